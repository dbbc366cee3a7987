/**
 * What Patroni starts with starts Regent, with Patroni's meaning, and with a warning where somebody
 * may have meant something else.
 */
import { tmpdir } from 'node:os';
import { describe } from 'vitest';
import { added, BASE, checkMeanings, configFiles, etcd, type MeaningRow, postgres, replaced } from '../../test/fixtures/config-files.ts';
import type { LocalSettings } from '../core/settings.ts';

const files = configFiles();

const pg = (local: LocalSettings) => local.postgresql;

const ROWS: readonly MeaningRow[] = [
  // Empty texts count as not given.
  [
    'an empty dateformat',
    added("log: {dateformat: ''}"),
    (l) => l.log.dateformat,
    null,
    [/log\.dateformat: an empty text, which counts as not given/],
  ],
  ['an empty log.dir', added("log: {dir: ''}"), (l) => l.log.dir, null, [/log\.dir: an empty text/]],
  [
    'an empty replicatefrom',
    added("tags: {replicatefrom: ''}"),
    (l) => l.tags.replicatefrom,
    undefined,
    [/tags\.replicatefrom: an empty text/],
  ],
  ['an empty config_dir', postgres("config_dir: ''"), (l) => pg(l).configDir, '/data/a', [/postgresql\.config_dir: an empty text/]],
  ['an empty pgpass', postgres("pgpass: ''"), (l) => pg(l).pgpass, '/data/.pgpass-a', [/postgresql\.pgpass: an empty text/]],
  ['an empty bin_dir, which is documented', postgres("bin_dir: ''"), (l) => pg(l).binDir, '', []],
  ['an empty database', postgres("database: ''"), (l) => pg(l).database, 'postgres', [/postgresql\.database: an empty text/]],
  ['an empty custom_conf', postgres("custom_conf: ''"), (l) => pg(l).customConf, null, [/custom_conf: an empty text/]],
  ['an empty callback', postgres("callbacks: {on_stop: ''}"), (l) => pg(l).callbacks, {}, [/on_stop: an empty text/]],
  ['an empty cacert of etcd', etcd("{hosts: h, cacert: ''}"), (l) => l.etcd.cacert, null, [/etcd3\.cacert: an empty text/]],
  ['an empty certfile', replaced('restapi: {', "restapi: {certfile: '', "), (l) => l.restapi.certfile, null, [/certfile: an empty text/]],
  ['an empty namespace: no first part', added("namespace: ''"), (l) => l.namespace, '', []],
  [
    'an empty section',
    added("watchdog: ''"),
    (l) => l.watchdog.mode,
    'automatic',
    [/watchdog: an empty text where a mapping is meant; it counts as/],
  ],
  ['an empty list for a section', added('tags: []'), (l) => l.tags, {}, [/tags: an empty list where a mapping is meant; it counts as/]],
  // Addresses.
  [
    'no host to listen on',
    replaced("listen: '127.0.0.1:8008'", "listen: ':8008'"),
    (l) => [l.restapi.listenHost, l.restapi.listenPort],
    ['0.0.0.0', 8008],
    [/restapi\.listen: ':8008': no host before the port, which means every address; write '\*:8008'/],
  ],
  [
    'IPv6 and a port without brackets',
    replaced("listen: '127.0.0.1:8008'", "listen: '::1:8008'"),
    (l) => [l.restapi.listenHost, l.restapi.listenPort],
    ['::1', 8008],
    [/read as host ::1 and port 8008; write '\[::1\]:8008'/],
  ],
  [
    'the same for PostgreSQL',
    replaced('connect_address: 127.0.0.1:5432', "connect_address: 'fd00::7:5433'"),
    (l) => [pg(l).connectHost, pg(l).connectPort],
    ['fd00::7', 5433],
    [/read as host fd00::7 and port 5433; write '\[fd00::7\]:5433'/],
  ],
  [
    'a list of such',
    replaced('listen: 127.0.0.1:5432', "listen: '::1,127.0.0.1:5432'"),
    (l) => [pg(l).listenAddresses, pg(l).port],
    ['::1,127.0.0.1', 5432],
    [/write '\[::1\],127\.0\.0\.1:5432'/],
  ],
  ['a blank before the port', replaced('listen: 127.0.0.1:5432', "listen: '127.0.0.1: 5432'"), (l) => pg(l).port, 5432, []],
  [
    'no connect_address beside one address',
    replaced('  connect_address: 127.0.0.1:5432\n', ''),
    (l) => [pg(l).connectHost, pg(l).connectPort],
    ['127.0.0.1', 5432],
    [/postgresql\.connect_address: not given; 127\.0\.0\.1:5432 is used, as of 'listen'/],
  ],
  [
    'no connect_address beside several',
    replaced(/ {2}connect_address: 127.0.0.1:5432\n/, '').replace('listen: 127.0.0.1:5432', "listen: '127.0.0.1,10.0.0.7:5432'"),
    (l) => pg(l).connectHost,
    '10.0.0.7',
    [/postgresql\.connect_address: not given; 10\.0\.0\.7:5432 is used/],
  ],
  [
    'the same for the REST server',
    replaced(", connect_address: '127.0.0.1:8008'", ''),
    (l) => l.restapi.connectAddress,
    '127.0.0.1:8008',
    [/restapi\.connect_address: not given/],
  ],
  // Names.
  [
    'a name under postgresql only',
    replaced('name: a\n', '').replace('  data_dir', '  name: b\n  data_dir'),
    (l) => l.name,
    'b',
    [/postgresql\.name: 'name' does not belong here; taken as name/],
  ],
  [
    'a scope under postgresql only',
    replaced('scope: demo\n', '').replace('  data_dir', '  scope: s\n  data_dir'),
    (l) => l.scope,
    's',
    [/'scope' does not belong here; taken as scope/],
  ],
  [
    'no superuser.username',
    replaced('superuser: {username: postgres, ', 'superuser: {'),
    (l) => [pg(l).superuser.username, pg(l).superuser.password],
    ['postgres', 'hunter2'],
    [/superuser\.username: not given; 'postgres' is used/],
  ],
  [
    'no superuser',
    replaced('    superuser: {username: postgres, password: hunter2}\n', ''),
    (l) => pg(l).superuser.username,
    'postgres',
    [/superuser\.username: not given/],
  ],
  [
    'a number for a name',
    replaced('name: a', 'name: 1:30'),
    (l) => l.name,
    '1:30',
    [/YAML reads this as another number; it is taken as written/],
  ],
  // Keys twice.
  [
    'a key given twice',
    added('tags: {zone: a}\ntags: {zone: b}'),
    (l) => l.tags,
    { zone: 'b' },
    [/duplicate key 'tags', already given in line 12; this one, the last, counts/],
  ],
  ['a key below given twice', added('tags:\n  zone: a\n  zone: b'), (l) => l.tags, { zone: 'b' }, [/duplicate key 'zone'/]],
  ['quotes that go on in column 1', `${BASE}  callbacks:\n    on_stop: '/x\ny'\n`, (l) => pg(l).callbacks, { on_stop: '/x y' }, []],
  // Texts that stand for numbers, and numbers that stand for texts.
  [
    'a full stop, as PyYAML writes it',
    postgres('parameters: {unix_socket_directories: .}'),
    (l) => pg(l).parameters,
    { unix_socket_directories: '.' },
    [],
  ],
  [
    'what only looks like a number',
    postgres('parameters: {x.a: 2e3, x.b: .1e5, x.c: ._1, x.d: 1e-3}'),
    (l) => pg(l).parameters,
    { 'x.a': '2e3', 'x.b': '.1e5', 'x.c': '._1', 'x.d': '1e-3' },
    [],
  ],
  [
    'what is a number to YAML',
    postgres('parameters: {x.a: 017, x.b: 1:30, x.c: 0x1F, x.d: 1_000}'),
    (l) => pg(l).parameters,
    { 'x.a': '15', 'x.b': '90', 'x.c': '31', 'x.d': '1000' },
    [],
  ],
  ['a date', postgres('parameters: {x.a: 2026-11-28}'), (l) => pg(l).parameters, { 'x.a': '2026-11-28' }, []],
  [
    'a block that ends in a line break',
    postgres('parameters:\n  archive_command: |\n    cp %p /x'),
    (l) => pg(l).parameters,
    { archive_command: 'cp %p /x' },
    [/archive_command: a value that ends in a line break, which is left out/],
  ],
  ['a size with a fraction', added('log: {file_size: 12.5kB}'), (l) => l.log.fileSizeBytes, 12_800, []],
  ['a size with a fraction of nothing', added('log: {file_size: 17900.0kB}'), (l) => l.log.fileSizeBytes, 18_329_600, []],
  [
    'a word for a number nothing hangs on',
    added('log: {file_num: many}'),
    (l) => l.log.fileNum,
    4,
    [/log\.file_num: 'many' is not a whole number; the default \(4\) is used/],
  ],
  [
    'an unknown level',
    added('log: {level: LOUD}'),
    (l) => l.log.level,
    'INFO',
    [/log\.level: 'LOUD' is none of .*; the default \(INFO\) is used/],
  ],
  [
    'an empty format',
    added("log: {format: ''}"),
    (l) => l.log.format,
    '%(asctime)s %(levelname)s: %(message)s',
    [/log\.format: .*the default/],
  ],
  [
    'a number out of range',
    postgres('pg_ctl_timeout: 0'),
    (l) => pg(l).pgCtlTimeoutSeconds,
    60,
    [/pg_ctl_timeout: '0' is below the least allowed, 1; the default \(60\) is used/],
  ],
  [
    'a word for a switch',
    postgres('use_pg_rewind: perhaps'),
    (l) => pg(l).usePgRewind,
    false,
    [/use_pg_rewind: 'perhaps' is neither true nor false; the default \(false\) is used/],
  ],
  [
    'a word for a tag',
    added('tags: {nofailover: perhaps}'),
    (l) => l.tags.nofailover,
    true,
    [/tags\.nofailover: 'perhaps' is neither true nor false; it counts as true/],
  ],
  [
    'a number for a tag',
    added('tags: {clonefrom: 2}'),
    (l) => l.tags.clonefrom,
    true,
    [/tags\.clonefrom: '2' is neither true nor false; it counts as true/],
  ],
  [
    'a word for a priority',
    added('tags: {failover_priority: high}'),
    (l) => l.tags.failover_priority,
    undefined,
    [/failover_priority: 'high' is not a whole number; the default \(1\) is used/],
  ],
  // Lists.
  [
    'replica methods as a mapping',
    postgres('create_replica_methods:\n  pgbackrest:\n  basebackup:\npgbackrest: {command: /r}'),
    (l) => [pg(l).createReplicaMethods, pg(l).methodOptions],
    [['pgbackrest', 'basebackup'], { pgbackrest: { command: '/r' } }],
    [/create_replica_methods: a mapping where a list is meant; its keys count: pgbackrest, basebackup/],
  ],
  [
    'replica methods as a mapping with contents',
    postgres('create_replica_methods:\n  mine: {command: /m}\nmine: {command: /r}'),
    (l) => [pg(l).createReplicaMethods, pg(l).methodOptions],
    [['mine'], { mine: { command: '/r' } }],
    [/create_replica_methods: a mapping where a list is meant; its keys count: mine/],
  ],
  [
    'several lines of pg_hba.conf in one',
    postgres('pg_hba:\n- |\n  local all all peer\n  host all all all md5\n- local a a md5'),
    (l) => pg(l).pgHba,
    ['local all all peer', 'host all all all md5', 'local a a md5'],
    [/pg_hba\.0: an element of several lines, each of which counts/],
  ],
  ['one line as a block', postgres('pg_hba:\n- |\n  local all all peer'), (l) => pg(l).pgHba, ['local all all peer'], []],
  [
    'an empty element',
    postgres('pg_hba:\n-\n- local all all peer'),
    (l) => pg(l).pgHba,
    ['local all all peer'],
    [/pg_hba\.0: an empty element, which is left out/],
  ],
  [
    'an option that Patroni passes over',
    postgres('basebackup:\n- pgdata: /x\n- max-rate: 100M'),
    (l) => pg(l).basebackup,
    [{ name: 'max-rate', value: '100M' }],
    [/basebackup\.0: option 'pgdata' is set by Regent itself; it is left out/],
  ],
  [
    'an option that is switched off',
    postgres('basebackup: {no-verify-checksums: false, max-rate: 5M}'),
    (l) => pg(l).basebackup,
    [{ name: 'max-rate', value: '5M' }],
    [],
  ],
  [
    'half TLS',
    replaced('restapi: {', 'restapi: {verify_client: required, '),
    (l) => l.restapi.verifyClient,
    'none',
    [/verify_client: 'required' has no effect without TLS/],
  ],
  ['pgpass at home', postgres('pgpass: ~/pg'), (l) => pg(l).pgpass, `${tmpdir()}/pg`, [/'~' is the home directory/]],
];

describe('a configuration that starts Patroni starts Regent', () => checkMeanings(ROWS, files));
