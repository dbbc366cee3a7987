import { describe, expect, it } from 'vitest';
import { BASE, configFiles } from '../../test/fixtures/config-files.ts';
import { loadLocal } from './load.ts';
import { ConfigError } from './problems.ts';

const { write, told } = configFiles();

describe('wrong values, each with place and mend', () => {
  it.each<[string, string, string[]]>([
    [
      'a list for the scope',
      BASE.replace('scope: demo', 'scope: [demo]'),
      ['e p.yml:1:1: scope: a list where text is meant; write one word or quoted text'],
    ],
    [
      'a slash in the name',
      BASE.replace('name: a', 'name: a/b'),
      ["e p.yml:2:7: name: 'a/b' contains a slash; write a word such as 'demo'; slashes separate keys in etcd"],
    ],
    [
      'the reserved name',
      BASE.replace('name: a', 'name: __patroni_strict_sync_replica_placeholder__'),
      ["e p.yml:2:7: name: this name is reserved; write another, such as the host's name"],
    ],
    ['an empty scope', BASE.replace('scope: demo', "scope: ''"), ["e p.yml:1:8: scope: required, but empty; write 'scope: demo'"]],
    [
      'no port',
      BASE.replace("listen: '127.0.0.1:8008'", 'listen: 127.0.0.1'),
      ["e p.yml:4:19: restapi.listen: '127.0.0.1': the port is missing; write host:port, such as '0.0.0.0:8008'"],
    ],
    [
      'an impossible port',
      BASE.replace('listen: 127.0.0.1:5432', 'listen: 127.0.0.1:70000'),
      [
        "e p.yml:6:11: postgresql.listen: '127.0.0.1:70000': the port is not a number from 1 to 65535; write host:port, such as '0.0.0.0:5432'",
      ],
    ],
    [
      'a wildcard to connect to',
      BASE.replace('  connect_address: 127.0.0.1:5432', '  connect_address: 0.0.0.0:5432'),
      [
        "e p.yml:7:20: postgresql.connect_address: '0.0.0.0' means every address, which nobody can connect to; write the address by which other hosts reach this one, such as '10.0.0.1:5432'",
      ],
    ],
    [
      'two hosts to connect to',
      BASE.replace('  connect_address: 127.0.0.1:5432', '  connect_address: a,b:5432'),
      ["e p.yml:7:20: postgresql.connect_address: 'a,b:5432' names several hosts; write one, such as '10.0.0.1:5432'"],
    ],
    [
      'the root as data directory',
      BASE.replace('/data/a', '/'),
      ["e p.yml:8:13: postgresql.data_dir: the root directory; write a directory of its own, such as '/var/lib/postgresql/data'"],
    ],
    ['a tilde', BASE.replace('/data/a', '~/data'), ["e p.yml:8:13: postgresql.data_dir: '~' is not expanded here; write the whole path"]],
    [
      'text for a section',
      `${BASE}watchdog: automatic\n`,
      ["e p.yml:12:11: watchdog: text where a mapping is meant; write 'watchdog:' on a line of its own and its settings below, indented"],
    ],
    [
      'a wrong word',
      `${BASE}watchdog:\n  mode: sometimes\n`,
      ["e p.yml:13:9: watchdog.mode: 'sometimes' is none of off, automatic, required; write one of them"],
    ],
    [
      'a number below',
      `${BASE}watchdog: {safety_margin: -2}\n`,
      ["e p.yml:12:27: watchdog.safety_margin: '-2' is below the least allowed, -1; write -1 or more"],
    ],
    [
      'text for a list',
      `${BASE}  pg_hba: local all all peer\n`,
      ["e p.yml:12:11: postgresql.pg_hba: text where a list is meant; write a list: '- 'host all all 10.0.0.0/8 scram-sha-256''"],
    ],
    [
      'a mapping in a list of lines',
      `${BASE}  pg_hba:\n    - local all all peer\n    - host: all\n`,
      ['e p.yml:14:7: postgresql.pg_hba.1: a mapping where text is meant; put the line in quotes'],
    ],
    [
      'lists among the parameters',
      `${BASE}  parameters:\n    shared_preload_libraries: [a, b]\n    work_mem: {x: 1}\n`,
      [
        "e p.yml:13:5: postgresql.parameters.shared_preload_libraries: a list where a single value is meant; write 'shared_preload_libraries: value'; several as one text with commas",
        "e p.yml:14:5: postgresql.parameters.work_mem: a mapping where a single value is meant; write 'work_mem: value'; several as one text with commas",
      ],
    ],
    [
      'a name no parameter has',
      `${BASE}  parameters: {"work mem": 1}\n`,
      ["e p.yml:12:28: postgresql.parameters.work mem: 'work mem' cannot be the name of a parameter; correct or remove it"],
    ],
    [
      'half a login',
      BASE.replace("connect_address: '127.0.0.1:8008'}", "connect_address: '127.0.0.1:8008', authentication: {username: op}}"),
      ["e p.yml:4:99: restapi.authentication.username: given without password; write 'password: …' beside it"],
    ],
    [
      'an etcd host that is none',
      BASE.replace("hosts: '127.0.0.1:2379'", "hosts: ['127.0.0.1:2379', 'b:x']"),
      ["e p.yml:3:35: etcd3.hosts.1: the port is not a number from 1 to 65535; write host:port, such as '10.0.0.1:2379'"],
    ],
    [
      'etcd without hosts',
      BASE.replace("{hosts: '127.0.0.1:2379'}", '{}'),
      ["e p.yml:3:1: etcd3: names no endpoint; write 'hosts: 10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379' below it"],
    ],
    [
      'a method of another store only',
      BASE.replace("etcd3: {hosts: '127.0.0.1:2379'}", 'consul: {host: x}'),
      [
        "e p.yml:3:1: consul: 'consul' is not supported by this release; Regent keeps its state in etcd; write 'etcd3:' and below it 'hosts: 10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379'",
      ],
    ],
  ])('%s', (_, text, expected) => {
    expect(told(text)).toEqual(expected);
    expect(() => loadLocal({ path: write(text), env: {} })).toThrow(ConfigError);
  });
});

it('a refusal lists the warnings first: a misspelt key explains what is missing', () => {
  const refusal = () => loadLocal({ path: write(BASE.replace('postgresql:', 'postgresq:')), env: {} });
  expect(refusal).toThrow(
    /^warning: .*: postgresq: unknown key 'postgresq'; did you mean 'postgresql'\?\n(?!warning)[^\n]*required, but not given/,
  );
});
