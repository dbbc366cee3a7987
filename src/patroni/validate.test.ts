/** The lines of `patroni --validate-config`, with the host played by the test. */
import { describe, expect, it } from 'vitest';
import { patchMerge } from '../config/merge.ts';
import type { JsonObject } from '../support/json.ts';
import type { Surroundings } from './schema.ts';
import { validate } from './validate.ts';

const GOOD: JsonObject = {
  name: 'a',
  scope: 'demo',
  restapi: { listen: '0.0.0.0:8008', connect_address: '10.0.0.1:8008' },
  bootstrap: { dcs: { ttl: 30, loop_wait: '10', synchronous_mode: 'quorum' } },
  etcd3: { hosts: ['10.0.0.1:2379', '10.0.0.2:2379'] },
  postgresql: {
    listen: '*:5432',
    connect_address: '10.0.0.1:5432',
    data_dir: '/data',
    authentication: { superuser: { username: 'postgres' }, replication: { username: 'rep' } },
  },
  tags: { failover_priority: 1 },
};

async function linesOf(patch: JsonObject, host: Partial<Surroundings> = {}): Promise<string[]> {
  const fine = async () => null;
  const raw = patchMerge(GOOD, patch);
  const problems = await validate({ raw, listens: fine, reachable: fine, dataDirectory: fine, ...host });
  return problems.map(({ text }) => text);
}

describe('--validate-config', () => {
  it('finds nothing in a good configuration, nor in keys it does not know', async () => {
    expect(await linesOf({})).toEqual([]);
    expect(await linesOf({ mine: 5, postgresql: { whatever: ['x'] } })).toEqual([]);
  });

  it.each<[string, JsonObject, string[]]>([
    ['a name that is missing', { name: null }, ['name  is not defined.']],
    ['a name that is a number', { name: 5 }, ['name 5 is not a string']],
    ['an empty scope', { scope: '' }, ['scope  is not defined.']],
    ['a section that is missing', { postgresql: null }, ['postgresql  is not defined.']],
    ['a section that is something else', { restapi: 'x' }, ['restapi  is not a dictionary.']],
    [
      'no store at all',
      { etcd3: null },
      ['consul', 'etcd', 'etcd3', 'exhibitor', 'kubernetes', 'raft', 'zookeeper'].map((name) => `${name}  is not defined.`),
    ],
    ['a bootstrap without dcs', { bootstrap: { dcs: null, initdb: [] } }, ['bootstrap.dcs  is not defined.']],
    ['a ttl out of range', { bootstrap: { dcs: { ttl: 5 } } }, ["bootstrap.dcs.ttl 5 didn't pass validation: Wrong value"]],
    ['a number that is none', { bootstrap: { dcs: { ttl: 'long' } } }, ['bootstrap.dcs.ttl long is not an integer']],
    ['a time with its unit', { bootstrap: { dcs: { member_slots_ttl: '30min' } } }, []],
    [
      'an address of this host only',
      { restapi: { connect_address: 'localhost:8008' } },
      [`restapi.connect_address localhost:8008 didn't pass validation: 'must not contain "127.0.0.1", "0.0.0.0", "*", "::1", "localhost"'`],
    ],
    ['a boolean in quotes', { tags: { noloadbalance: 'true' } }, ['tags.noloadbalance true is not a boolean']],
    ['two tags that say the same', { tags: { nofailover: false } }, ["tags  Multiple of ('nofailover', 'failover_priority') provided"]],
    ['a list that is a text', { postgresql: { pg_hba: 'x' } }, ['postgresql.pg_hba x is not a list']],
    ['an element that is a number', { postgresql: { pg_hba: ['x', 5] } }, ['postgresql.pg_hba.1 5 is not a string']],
    ['an empty list', { etcd3: { hosts: [] } }, ['etcd3.hosts  is an empty list']],
    ['a word in another case', { log: { level: 'debug' }, watchdog: { mode: false } }, []],
    ['a word that is none', { log: { level: 'loud' } }, ["log.level loud didn't pass validation: Wrong value"]],
  ])('%s', async (_, patch, expected) => {
    expect(await linesOf(patch)).toEqual(expected);
  });

  it('prints no password, neither in a value nor in what is said of it', async () => {
    const lines = await linesOf(
      {
        restapi: { authentication: { username: 'u', password: 87654321 }, keyfile_password: ['topsecret'] },
        etcd3: { hosts: ['http://u:topsecret@10.0.0.1:2379', 'u:topsecret@10.0.0.2:2379'] },
        postgresql: {
          authentication: { superuser: { password: 87654321 } },
          pg_ident: { password: 'topsecret', a: 'host=h password=topsecret' },
        },
      },
      { reachable: async (value) => `didn't pass validation: '${value} is not reachable'` },
    );
    expect(lines).toEqual([
      'restapi.authentication.password ******** is not a string',
      "restapi.keyfile_password ['********'] is not a string",
      "etcd3.hosts.0 http://u:********@10.0.0.1:2379 didn't pass validation: 'http://u:********@10.0.0.1:2379 is not reachable'",
      "etcd3.hosts.1 u:********@10.0.0.2:2379 didn't pass validation: 'u:********@10.0.0.2:2379 is not reachable'",
      'postgresql.authentication.superuser.password ******** is not a string',
      "postgresql.pg_ident {'password': '********', 'a': 'host=h password=********'} is not a list",
    ]);
  });

  it('tells what the host says of ports, stores and directories', async () => {
    const lines = await linesOf(
      {},
      {
        listens: async (value) => (value === '*:5432' ? "didn't pass validation: 'Port 5432 is already in use.'" : null),
        reachable: async (value) => (value === '10.0.0.2:2379' ? `didn't pass validation: '${value} is not reachable'` : null),
        dataDirectory: async () => `didn't pass validation: "doesn't look like a valid data directory"`,
      },
    );
    expect(lines).toEqual([
      "etcd3.hosts.1 10.0.0.2:2379 didn't pass validation: '10.0.0.2:2379 is not reachable'",
      "postgresql.listen *:5432 didn't pass validation: 'Port 5432 is already in use.'",
      `postgresql.data_dir /data didn't pass validation: "doesn't look like a valid data directory"`,
    ]);
  });
});
