import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { BASE, configFiles } from '../../test/fixtures/config-files.ts';
import { resolveDynamic } from './dynamic.ts';
import type { Environment } from './env.ts';
import { examineLocal, loadLocal } from './load.ts';
import { formatProblem } from './problems.ts';
import { resolveSettings } from './resolve.ts';

const files = configFiles();
const { write, told } = files;
const loaded = (text: string, env: Environment = {}) => loadLocal({ path: write(text), env });

it('has nothing to say about a sound file', () => {
  expect(told(BASE)).toEqual([]);
  expect(examineLocal({ path: 'test/fixtures/patroni.yml', env: {} }).problems).toEqual([]);
});

describe('warnings, with which the file still loads', () => {
  it.each<[string, string, string[]]>([
    [
      'a misspelt key',
      `${BASE}  parametrs: {work_mem: 1MB}\n`,
      ["w p.yml:12:3: postgresql.parametrs: unknown key 'parametrs'; did you mean 'parameters'?"],
    ],
    ['a misspelt section', `${BASE}watchdgo: {mode: off}\n`, ["w p.yml:12:1: watchdgo: unknown key 'watchdgo'; did you mean 'watchdog'?"]],
    ['a key in the wrong section', `${BASE}ttl: 20\n`, ["w p.yml:12:6: ttl: unknown key 'ttl'; 'ttl' belongs under bootstrap.dcs"]],
    [
      'a section inside another',
      `${BASE}  watchdog: {mode: off}\n`,
      ["w p.yml:12:3: postgresql.watchdog: unknown key 'watchdog'; 'watchdog' belongs at the top level of the file, without indentation"],
    ],
    [
      'a section inside another',
      `${BASE.replace(/\n$/, '')}\n  watchdog: {mode: off}\n`,
      ["w p.yml:12:3: postgresql.watchdog: unknown key 'watchdog'; 'watchdog' belongs at the top level of the file, without indentation"],
    ],
    [
      'a key like no other',
      `${BASE}qwertyuiop: 1\n`,
      ["w p.yml:12:13: qwertyuiop: unknown key 'qwertyuiop'; remove it; docs/configuration.md lists all keys"],
    ],
    [
      'sections to come',
      `${BASE}citus: {group: 0, database: d}\n`,
      ["w p.yml:12:1: citus: 'citus' is not supported yet by this release, ignored; remove it, or keep it for Patroni"],
    ],
    [
      "the tutorial's dcs block",
      `${BASE}dcs:\n  ttl: 30\n`,
      [
        "w p.yml:12:1: dcs: 'dcs' does not belong here; taken as bootstrap.dcs; write 'dcs:' under 'bootstrap:', indented; in a cluster that runs, use 'regentctl edit-config'",
      ],
    ],
    [
      "the tutorial's replicatefrom",
      `${BASE}  replica:\n    replicatefrom: b\n`,
      [
        "w p.yml:13:20: postgresql.replica.replicatefrom: 'replicatefrom' does not belong here; taken as tags.replicatefrom; write 'tags:' and below it 'replicatefrom: b'",
      ],
    ],
    [
      'etcd for etcd3',
      BASE.replace('etcd3:', 'etcd:'),
      [
        "w p.yml:3:1: etcd: to Patroni 'etcd' means etcd's version 2 API, whose keys are others; Regent speaks version 3 only; write 'etcd3:' instead",
      ],
    ],
    [
      'another store beside etcd',
      `${BASE}consul: {host: x}\n`,
      ["w p.yml:12:1: consul: 'consul' is not supported by this release, ignored; etcd3 is used; remove 'consul'"],
    ],
    [
      'a number for text',
      BASE.replace('name: a', 'name: 007'),
      ['w p.yml:2:7: name: YAML reads this as another number; it is taken as written; put it in quotes'],
    ],
    [
      'loopback where others are involved',
      BASE.replace("hosts: '127.0.0.1:2379'", "hosts: '10.0.0.9:2379'"),
      [
        "w p.yml:4:54: restapi.connect_address: '127.0.0.1' cannot be reached from other hosts, where etcd is; write the address by which other hosts reach this one, such as '10.0.0.1:8008'",
        "w p.yml:7:20: postgresql.connect_address: '127.0.0.1' cannot be reached from other hosts, where etcd is; write the address by which other hosts reach this one, such as '10.0.0.1:5432'",
      ],
    ],
    [
      'a relative path',
      BASE.replace('/data/a', 'data'),
      ['w p.yml:8:13: postgresql.data_dir: a relative path depends on where the agent is started; write the whole path'],
    ],
    [
      'tags that contradict each other',
      `${BASE}tags: {nofailover: true, failover_priority: 2}\n`,
      [
        'w p.yml:12:45: tags.failover_priority: Conflicting configuration between nofailover: True and failover_priority: 2. Defaulting to nofailover: True; remove one of the two',
      ],
    ],
    [
      'tags of synchronous standbys that contradict each other',
      `${BASE}tags: {nosync: true, sync_priority: 2}\n`,
      [
        'w p.yml:12:37: tags.sync_priority: Conflicting configuration between nosync: True and sync_priority: 2. Defaulting to nosync: True; remove one of the two',
      ],
    ],
    [
      "Patroni's truthy text",
      `${BASE}tags: {noloadbalance: 'false'}\n`,
      [
        "w p.yml:12:23: tags.noloadbalance: 'false' in quotes means true to Patroni, false here; write 'noloadbalance: false' without quotes",
      ],
    ],
    [
      'a cluster-wide parameter that differs',
      `${BASE}  parameters: {max_connections: 50, wal_level: replica, max_wal_senders: 10}\n`,
      [
        "w p.yml:12:33: postgresql.parameters.max_connections: max_connections is the same on all members and is taken from the dynamic configuration; it is ignored here; change it with 'regentctl edit-config', or before the first start under bootstrap.dcs.postgresql.parameters",
      ],
    ],
    [
      'a recovery parameter of ours',
      `${BASE}  recovery_conf: {primary_conninfo: x}\n`,
      ['w p.yml:12:37: postgresql.recovery_conf.primary_conninfo: primary_conninfo is set by Regent itself; it is ignored; remove it'],
    ],
    [
      'timings that do not fit',
      `${BASE}bootstrap: {dcs: {ttl: 20, loop_wait: 10, retry_timeout: 10}}\n`,
      [
        'w p.yml:12:24: bootstrap.dcs.ttl: loop_wait + 2 * retry_timeout = 30 exceeds ttl = 20; loop_wait 1 and retry_timeout 9 are used; write a ttl of 30 or more, or smaller values for the other two',
      ],
    ],
  ])('%s', (_, text, expected) => {
    expect(told(text)).toEqual(expected);
    expect(loaded(text).warnings).toHaveLength(expected.length);
  });

  it('passes over what is the user’s own', () => {
    const text = `${BASE}  create_replica_methods: [mine, basebackup]\n  mine: {command: /x}\nbootstrap:\n  method: pitr\n  pitr: {command: /y}\ntags: {zone: north}\nx-anchors: {a: 1}\nrouter: {haproxy_socket: /s}\n`;
    expect(told(text)).toEqual([]);
    const { local } = loaded(text);
    expect(local.postgresql.methodOptions).toEqual({ mine: { command: '/x' } });
    expect(local.bootstrap).toMatchObject({ method: 'pitr', methodOptions: { command: '/y' } });
    expect(local.tags).toEqual({ zone: 'north' });
  });

  it('reads a method that only a standby cluster names, in the file and in etcd', () => {
    const text = `${BASE}  mine: {command: /x}\n`;
    expect(told(text)).toEqual([]);
    const { local, raw } = loaded(text);
    expect(local.postgresql.methodOptions).toEqual({ mine: { command: '/x' } });
    const data = { standby_cluster: { host: 'h', create_replica_methods: ['mine', 'ours'] }, postgresql: { ours: { command: '/y' } } };
    const { dynamic, problems } = resolveDynamic(data);
    expect(problems).toEqual([]);
    expect(resolveSettings(local, raw, dynamic).postgresql.methodOptions).toEqual({ mine: { command: '/x' }, ours: { command: '/y' } });
  });
});

describe('missing settings', () => {
  it('are reported all at once', () => {
    expect(told('restapi: {listen: 0.0.0.0:8008}\n')).toEqual([
      "e p.yml:1:1: scope: required, but not given; write 'scope: demo'",
      "e p.yml:1:1: name: required, but not given; write 'name: node1'",
      "e p.yml:1:1: restapi.connect_address: required, but not given; write 'connect_address: 10.0.0.1:8008' under 'restapi'",
      "e p.yml:1:1: postgresql.listen: required, but not given; write 'listen: 0.0.0.0:5432' under 'postgresql'",
      "e p.yml:1:1: postgresql.connect_address: required, but not given; write 'connect_address: 10.0.0.1:5432' under 'postgresql'",
      "e p.yml:1:1: postgresql.data_dir: required, but not given; write 'data_dir: /var/lib/postgresql/data' under 'postgresql'",
      "e p.yml:1:1: postgresql.authentication.replication.username: required, but not given; write 'username: replicator' under 'postgresql.authentication.replication'",
      "e p.yml:1:1: etcd3: required, but not given; write 'etcd3:' and below it 'hosts: 10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379'",
    ]);
  });

  it('are reported at the section they belong to, and not beside the mistake that caused them', () => {
    expect(told(BASE.replace('  data_dir: /data/a\n', ''))).toEqual([
      "e p.yml:5:1: postgresql.data_dir: required, but not given; write 'data_dir: /var/lib/postgresql/data' under 'postgresql'",
    ]);
    expect(told(BASE.replace(/postgresql:[\s\S]*/, 'postgresql: 5\n'))).toEqual([
      "e p.yml:5:13: postgresql: a number where a mapping is meant; write 'postgresql:' on a line of its own and its settings below, indented",
    ]);
    expect(told(BASE.replace('data_dir: /data/a', 'data_dir:'))).toEqual([
      "e p.yml:8:3: postgresql.data_dir: required, but not given; write 'data_dir: /var/lib/postgresql/data' under 'postgresql'",
    ]);
  });
});

describe('sources', () => {
  const problemsOf = (path: string | null, env: Environment = {}) =>
    examineLocal({ path, env }).problems.map((problem) => formatProblem(problem).replaceAll(`${files.dir}/`, ''));

  it('tells files that cannot be read', () => {
    expect(problemsOf(join(files.dir, 'missing.yml'))).toEqual(['missing.yml: no such file; name the configuration file of this node']);
    expect(problemsOf(write('# nothing\n', 'empty.yml'))).toEqual([
      "empty.yml:1:1: the file is empty; write settings as 'key: value', such as 'scope: demo'",
    ]);
    expect(problemsOf(write('- a\n', 'list.yml'))).toEqual([
      "list.yml:1:1: the file holds a list, not a mapping; write settings as 'key: value', such as 'scope: demo'",
    ]);
    writeFileSync(join(files.dir, 'latin.yml'), Buffer.from([0x61, 0x3a, 0x20, 0xe9]));
    expect(problemsOf(join(files.dir, 'latin.yml'))).toEqual([
      'latin.yml:1:4: not a UTF-8 text: the byte 0xe9 (the file may be ISO-8859-1); convert it: iconv -f ISO-8859-1 -t UTF-8 latin.yml > NEW_FILE',
    ]);
    mkdirSync(join(files.dir, 'void'), { recursive: true });
    expect(problemsOf(join(files.dir, 'void'))).toEqual(['void: the directory holds no .yml or .yaml file; put one there, or name a file']);
    expect(problemsOf(null)).toEqual(['environment: the configuration is empty; name a configuration file, or set PATRONI_* variables']);
    expect(problemsOf(write('a: [\n', 'broken.yml'))).toHaveLength(1);
  });

  it('merges the files of a directory by name; null deletes', () => {
    const conf = join(files.dir, 'conf.d');
    mkdirSync(conf, { recursive: true });
    writeFileSync(join(conf, '10-base.yml'), `${BASE}watchdog: {mode: off, device: /dev/w}\ntags: {zone: a}\n`);
    writeFileSync(join(conf, '20-more.yaml'), 'watchdog:\n  mode: required\ntags: null\nname: b\nbogus: 1\n');
    writeFileSync(join(conf, '90-ignored.txt'), 'name: c\n');
    writeFileSync(join(conf, '95-empty.yml'), '');
    const { local, warnings, source } = loadLocal({ path: conf, env: {} });
    expect(local).toMatchObject({ name: 'b', scope: 'demo', watchdog: { mode: 'required', device: '/dev/w' }, tags: {} });
    expect(warnings.map((warning) => formatProblem(warning).replaceAll(`${conf}/`, ''))).toEqual([
      "95-empty.yml:1:1: the file is empty; write settings as 'key: value', such as 'scope: demo'",
      "20-more.yaml:5:8: bogus: unknown key 'bogus'; remove it; docs/configuration.md lists all keys",
    ]);
    expect(source.split(', ')).toHaveLength(3);
  });

  it('lets the environment win over the file, and places its mistakes there', () => {
    const env = { PATRONI_NAME: 'z', PATRONI_POSTGRESQL_LISTEN: 'nowhere', PATRONI_RESTAPI_ALLOWLIST_INCLUDE_MEMBERS: 'perhaps' };
    expect(told(BASE, env)).toEqual([
      "e PATRONI_RESTAPI_ALLOWLIST_INCLUDE_MEMBERS: restapi.allowlist_include_members: neither true nor false; write 'true' or 'false'",
    ]);
    expect(told(BASE, { PATRONI_POSTGRESQL_LISTEN: '127.0.0.1:x' })).toEqual([
      "e PATRONI_POSTGRESQL_LISTEN: postgresql.listen: '127.0.0.1:x': the port is not a number from 1 to 65535; write host:port, such as '0.0.0.0:5432'",
    ]);
    const { local, source, consumed } = loaded(BASE, { PATRONI_NAME: 'z', OTHER: 'x' });
    expect(local.name).toBe('z');
    expect(source).toMatch(/p\.yml, environment$/);
    expect(consumed).toEqual(['PATRONI_NAME']);
  });

  it('needs only the environment, or only PATRONI_CONFIGURATION', () => {
    const env = {
      PATRONI_SCOPE: 'demo',
      PATRONI_NAME: 'e',
      PATRONI_ETCD3_HOSTS: "'10.0.0.1:2379','10.0.0.2:2379'",
      PATRONI_ETCD3_USERNAME: 'u',
      PATRONI_ETCD3_PASSWORD: 'p',
      PATRONI_RESTAPI_LISTEN: '0.0.0.0:8008',
      PATRONI_RESTAPI_CONNECT_ADDRESS: '10.0.0.5:8008',
      PATRONI_POSTGRESQL_LISTEN: '0.0.0.0:5432',
      PATRONI_POSTGRESQL_CONNECT_ADDRESS: '10.0.0.5:5432',
      PATRONI_POSTGRESQL_DATA_DIR: '/data/e',
      PATRONI_SUPERUSER_USERNAME: 'postgres',
      PATRONI_REPLICATION_USERNAME: 'rep',
      PATRONI_REPLICATION_PASSWORD: '007',
    };
    const { local, warnings, source } = loadLocal({ path: null, env });
    expect(warnings).toEqual([]);
    expect(source).toBe('environment');
    expect(local.etcd).toMatchObject({ endpoints: ['http://10.0.0.1:2379', 'http://10.0.0.2:2379'], username: 'u', password: 'p' });
    expect(local.postgresql.replication).toMatchObject({ username: 'rep', password: '007' });
    expect(problemsOf(join(files.dir, 'missing.yml'), env)).toEqual([
      'missing.yml: no such file; the environment alone is used; correct the path, or leave it out',
    ]);

    const whole = loadLocal({ path: null, env: { ...env, PATRONI_CONFIGURATION: BASE } });
    expect(whole.local.name).toBe('a');
    expect(whole.source).toBe('PATRONI_CONFIGURATION');
    expect(whole.consumed).toContain('PATRONI_CONFIGURATION');
    expect(loaded(BASE.replace('name: a', 'name: f'), { PATRONI_CONFIGURATION: BASE }).local.name).toBe('f');
  });
});

describe('secrets', () => {
  const SECRET = 'hunter2secret';

  it('are never printed, however wrong the rest is', () => {
    const wrongs = [`[${SECRET}]`, `{${SECRET}: 1}`, `'${SECRET}'`, `"${SECRET}\\n"`];
    const places = [
      'ctl: {keyfile_password: @}',
      'ctl: {authentication: {password: @}}',
      'ctl: {authentication: [@]}',
      'restapi: {authentication: "admin:@"}',
      'etcd: {url: @, hosts: [a b]}',
      'etcd: {password: @}',
      'bootstrap: {dcs: {postgresql: {authentication: {superuser: {password: @}}}}}',
      'log: {file_num: "password=@"}',
      'postgresql: {authentication: {rewind: {password: @, sslpassword: @}}}',
    ];
    for (const place of places) {
      for (const wrong of wrongs) {
        expect(told(place.replaceAll('@', /"[a-z]+[=:]@/.test(place) ? SECRET : wrong)).join()).not.toContain(SECRET);
      }
    }
    expect(told(`etcd3: {hosts: 'http://u:${SECRET}@h:99999'}\n`).join()).not.toContain(SECRET);
    try {
      loaded(`etcd3: {hosts: x, password: ${SECRET}}\nname: [x]\n`);
      expect.unreachable();
    } catch (error) {
      expect(String(error)).not.toContain(SECRET);
    }
  });
});

it('takes any YAML or JSON without a crash, and either loads it or says why not', () => {
  const keys = fc.constantFrom(
    'scope',
    'name',
    'etcd3',
    'etcd',
    'hosts',
    'postgresql',
    'parameters',
    'restapi',
    'listen',
    'bootstrap',
    'dcs',
    'ttl',
    'tags',
    'nofailover',
    'log',
    'mode',
    'watchdog',
    'authentication',
    'superuser',
    'password',
    'pg_hba',
    'slots',
    'replica',
    'replicatefrom',
    '__proto__',
    'constructor',
    'toString',
    'consul',
    'initdb',
    'basebackup',
  );
  const scalar = fc.oneof(
    fc.constantFrom(null, true, 0, -1, 1e300, '', 'on', 'x:1', '*:1', '[::1]:1', '30s', 'http://[', '%'),
    fc.string({ maxLength: 8 }),
  );
  const tree = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 5, withCrossShrink: true }, scalar, fc.array(tie('value'), { maxLength: 3 }), tie('map')),
    map: fc.dictionary(keys, tie('value'), { maxKeys: 6 }),
  }));
  fc.assert(
    fc.property(tree['map'] as fc.Arbitrary<object>, fc.boolean(), (config, json) => {
      const text = json ? JSON.stringify(config) : stringify(config, { version: '1.1' });
      const { local, problems } = examineLocal({ path: null, env: { PATRONI_CONFIGURATION: text } });
      expect(local !== null || problems.some((problem) => problem.severity === 'error')).toBe(true);
    }),
    { numRuns: 500 },
  );
});

it.each([
  ['{host: h, port: 5}', ['http://h:5']],
  ["{host: '[::1]', port: 5, protocol: HTTPS}", ['https://[::1]:5']],
  ['{hosts: [a, b], host: c}', ['http://a:2379', 'http://b:2379']],
  ["{url: 'https://u:p@h'}", ['https://h:2379']],
  ['{srv: example.org}', []],
  ["{proxy: 'http://p:1', hosts: a}", ['http://p:1']],
])('etcd3: %s means %j', (section, endpoints) => {
  const { local, warnings } = loaded(BASE.replace("{hosts: '127.0.0.1:2379'}", section).replace(/127\.0\.0\.1/g, '10.0.0.1'));
  expect(local.etcd.endpoints).toEqual(endpoints);
  expect(local.etcd.discover).toBe(!section.includes('proxy'));
  expect(warnings).toEqual([]);
});

it('finds pgpass without a HOME beside the data directory', () => {
  const home = mkdtempSync(join(tmpdir(), 'regent-home-'));
  try {
    expect(loaded(BASE).local.postgresql.pgpass).toBe('/data/.pgpass-a');
    expect(loaded(BASE, { HOME: home }).local.postgresql.pgpass).toBe(`${home}/pgpass`);
  } finally {
    rmSync(home, { recursive: true });
  }
});

it('takes old places for credentials', () => {
  const text = `${BASE}`
    .replace('  authentication:\n', '')
    .replace('    superuser:', '  superuser:')
    .replace('    replication:', '  replication:');
  const { local, warnings } = loaded(text);
  expect(local.postgresql.superuser.password).toBe('hunter2');
  expect(local.postgresql.rewind).toEqual(local.postgresql.superuser);
  expect(warnings.map((warning) => warning.path)).toEqual(['postgresql.superuser', 'postgresql.replication']);
});
