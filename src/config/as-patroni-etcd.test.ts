/**
 * Where etcd is, and who makes a cluster: as Patroni reads it; and what is refused, because it
 * would be unsafe.
 */
import { describe, expect, it } from 'vitest';
import { added, BASE, checkMeanings, configFiles, etcd, type MeaningRow, postgres, replaced } from '../../test/fixtures/config-files.ts';
import type { LocalSettings } from '../core/settings.ts';

const files = configFiles();

const endpoints = (local: LocalSettings) => local.etcd.endpoints;
const makes = (local: LocalSettings) => [local.bootstrap !== null, local.bootstrapRefusal ?? null];

const ROWS: readonly MeaningRow[] = [
  // etcd: the port.
  ['hosts and a port', etcd('{hosts: h, port: 2479}'), endpoints, ['http://h:2479'], []],
  [
    'several hosts and a port',
    etcd("{hosts: 'h, i:2379,j', port: 2479}"),
    endpoints,
    ['http://h:2479', 'http://i:2379', 'http://j:2479'],
    [],
  ],
  ['a list of hosts and a port', etcd("{hosts: [h, 'i:1'], port: '2479'}"), endpoints, ['http://h:2479', 'http://i:1'], []],
  [
    'IPv6 hosts and a port',
    etcd("{hosts: ['[fd00::1]', 'fd00::2', 'fd00::3:2379'], port: 2479}"),
    endpoints,
    ['http://[fd00::1]:2479', 'http://[fd00::2]:2479', 'http://[fd00::3]:2379'],
    [
      /etcd3\.hosts\.1: .*host fd00::2 and the default port 2479; write '\[fd00::2\]:2479'/,
      /etcd3\.hosts\.2: .*host fd00::3 and port 2379/,
    ],
  ],
  ['a host and a port', etcd('{host: h, port: 2479}'), endpoints, ['http://h:2479'], []],
  [
    'a host with a port, and another port',
    etcd("{host: 'h:2379', port: 2479}"),
    endpoints,
    ['http://h:2479'],
    [/etcd3\.host: its port 2379 is not used, because 'port: 2479' is given/],
  ],
  [
    'an IPv6 host and a port',
    etcd("{host: '::1', port: 2479, protocol: https}"),
    endpoints,
    ['https://[::1]:2479'],
    [/etcd3\.host: .*without brackets/],
  ],
  [
    'a URL among the hosts, and a port',
    etcd("{hosts: ['https://h', 'http://i:1'], port: 2479}"),
    endpoints,
    ['https://h:2479', 'http://i:1'],
    [],
  ],
  [
    'a URL and a port',
    etcd("{url: 'http://h', port: 2479}"),
    endpoints,
    ['http://h:2379'],
    [/etcd3\.port: not used, because 'url' is given, which means port 2379; keep one/],
  ],
  [
    'a login with a percent sign in a URL',
    etcd("{url: 'http://u:100%25%@h:2379'}"),
    (l) => [l.etcd.username, l.etcd.password],
    ['u', '100%%'],
    [],
  ],
  ['a URL with the same port', etcd("{url: 'http://h:2479', port: 2479}"), endpoints, ['http://h:2479'], []],
  [
    'half a login',
    etcd('{hosts: h, username: u}'),
    (l) => [l.etcd.username, l.etcd.password],
    [null, null],
    [/etcd3\.username: given without password; etcd is spoken to without a login/],
  ],
  // Making a cluster.
  [
    'an option with an underscore',
    added('bootstrap: {initdb: [{compatibility_mode: oracle}]}'),
    (l) => [l.bootstrap?.initdb, l.bootstrapRefusal],
    [[{ name: 'compatibility_mode', value: 'oracle' }], null],
    [],
  ],
  [
    'values out of range',
    added('bootstrap: {dcs: {maximum_lag_on_failover: -5, ttl: soon, loop_wait: 0}}'),
    makes,
    [true, null],
    [
      /dcs\.maximum_lag_on_failover: .*the default is used/,
      /dcs\.ttl: .*the default is used/,
      /dcs\.loop_wait: 0 is below the least possible; 1 is used/,
    ],
  ],
  [
    'a wal_level of a cluster that cannot be',
    added('bootstrap: {dcs: {postgresql: {parameters: {wal_level: minimal}}}}'),
    makes,
    [true, null],
    [/wal_level = 'minimal' does not allow replication; the default replica is used/],
  ],
  [
    'a mode nobody knows',
    added('bootstrap: {dcs: {synchronous_mode: quorom}}'),
    makes,
    [false, expect.stringContaining("'quorom' is none of off, on, quorum")],
    [/synchronous_mode: .*this node makes no new cluster/],
  ],
  [
    'a method without a command',
    added('bootstrap: {method: pitr}'),
    makes,
    [false, expect.stringContaining("'pitr' has no command")],
    [/bootstrap\.method: 'pitr' has no command; this node makes no new cluster/],
  ],
  [
    'an option of initdb that is none',
    added('bootstrap: {initdb: [pgdata: /x]}'),
    makes,
    [false, expect.stringContaining("'pgdata' is set by Regent itself")],
    [/initdb\.0: .*this node makes no new cluster/],
  ],
  ['no bootstrap', BASE, makes, [false, expect.stringContaining("write 'bootstrap:' and below it, indented, 'method: initdb'")], []],
  ['the least bootstrap', added('bootstrap:\n  method: initdb'), makes, [true, null], []],
  ['a bootstrap without anything', added('bootstrap: {}'), makes, [true, null], []],
];

describe('etcd and bootstrap as Patroni reads them', () => checkMeanings(ROWS, files));

describe('Regent refuses what would be unsafe', () => {
  it.each([
    ['no scope', replaced('scope: demo', "scope: ''"), /scope: required, but empty/],
    ['a watchdog that is misspelt', added('watchdog: {mode: requierd}'), /watchdog\.mode: 'requierd' is none of/],
    ['a line of pg_hba.conf that is none', postgres('pg_hba: [{host: all}]'), /pg_hba\.0: a mapping where text is meant/],
    [
      'half a login',
      replaced('restapi: {', 'restapi: {authentication: {username: u}, '),
      /authentication\.username: given without password/,
    ],
    [
      'clients to be checked by nobody',
      replaced('restapi: {', 'restapi: {certfile: /c, verify_client: required, '),
      /verify_client: 'required' needs a CA/,
    ],
    [
      'an address nobody can connect to',
      replaced('connect_address: 127.0.0.1:5432', 'connect_address: :5432'),
      /connect_address: ':5432': the host is missing/,
    ],
    [
      'PostgreSQL that would listen nowhere',
      replaced('listen: 127.0.0.1:5432', 'listen: :5432'),
      /postgresql\.listen: ':5432': the host is missing/,
    ],
    [
      'a wildcard to publish',
      replaced(/ {2}connect_address: 127.0.0.1:5432\n/, '').replace('listen: 127.0.0.1:5432', 'listen: 0.0.0.0:5432'),
      /connect_address: required, but not given/,
    ],
    ['a port of etcd that is none', etcd('{hosts: h, port: 99999}'), /etcd3\.port: '99999' is above the most allowed/],
  ])('%s', (_, text, error) => {
    expect(files.told(text)).toContainEqual(expect.stringMatching(new RegExp(`^e .*${error.source}`)));
  });
});
