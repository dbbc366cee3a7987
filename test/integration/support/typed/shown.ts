/** What a cluster looks like. */
import type { JsonValue } from '../../../../src/support/json.ts';
import type { Differs, TypedCases } from './cluster.ts';

const BARE = { 'members/pg1': null, 'members/pg2': null, 'members/pg3': null };
const SCHEDULED = '2030-01-01T00:00:00+00:00';
const TAGS = {
  replicatefrom: 'pg2',
  x: 'on',
  n: 83,
  f: 1.5,
  nul: null,
  l: [1, 2],
  s: "it's",
  e: '',
  t: '2030-01-01',
  num: '012',
  yes: 'no',
  m: {},
};

const LOOKS: Readonly<Record<string, Readonly<Record<string, JsonValue>>>> = {
  'as usual': {},
  'not initialized': { initialize: null },
  initializing: { initialize: '' },
  tags: { 'members/pg2': { tags: { nofailover: true, dc: '東京 Zürich' } }, 'members/pg3': { tags: TAGS } },
  'a restart is scheduled': {
    'members/pg3': {
      pending_restart: true,
      scheduled_restart: { schedule: SCHEDULED, postgres_version: '15.9', postmaster_start_time: 'x' },
    },
  },
  'a switchover is scheduled': { failover: { leader: 'pg1', member: 'pg2', scheduled_at: SCHEDULED }, config: { pause: true } },
  'a failover is under way': { failover: { member: 'pg2' } },
  synchronous: { config: { synchronous_mode: true }, sync: { leader: 'pg1', sync_standby: 'pg2' } },
  quorum: { config: { synchronous_mode: 'quorum' }, sync: { leader: 'pg1', quorum: 1, sync_standby: 'pg2,pg3' } },
  'standby cluster': { config: { standby_cluster: { host: 'x' } }, 'members/pg1': { role: 'standby_leader' } },
  states: {
    'members/pg1': { state: 'stopping' },
    'members/pg3': { replication_state: 'in archive recovery', receive_lsn: 0, replay_lsn: 50000000 },
  },
  'older members': {
    'members/pg2': { receive_lsn: 0, replay_lsn: 0, version: '3.0.2' },
    'members/pg3': { receive_lsn: 0, replay_lsn: 0, replication_state: null, version: '3.0.2', xlog_location: 3000000 },
  },
  lags: { 'members/pg2': { receive_lsn: 60000000, replay_lsn: 1 }, 'members/pg3': { receive_lsn: 65536999, replay_lsn: 77109864 } },
  'no position is known': { status: null },
  'an unusual port': { 'members/pg2': { conn_url: 'postgres://172.20.0.4:5433/postgres' } },
  'no address': { 'members/pg2': { conn_url: null } },
  'the leader has no key': { 'members/pg1': null },
  'no members': BARE,
  'a long title': { initialize: '7234567890123456789'.repeat(6) },
  cascade: { 'members/pg2': { tags: { replicatefrom: 'pg3' } }, 'members/pg3': { tags: { replicatefrom: 'pg3' } } },
};

/** Where a topology shows more than a list. */
const TREES = new Set([
  'as usual',
  'tags',
  'a switchover is scheduled',
  'the leader has no key',
  'no members',
  'cascade',
  'standby cluster',
]);

const LEADERLESS: Differs = {
  why: 'no leader',
  err: /^Cluster demo has no leader: nobody holds the leader key; pg1 says that it runs as a primary\n$/,
};
const NOWHERE: Differs = {
  why: 'exit code',
  code: [0, 1],
  err: /There is no cluster 'nosuch': etcd has no keys below \/service\/nosuch\/\n/,
};
const STRANGER: Differs = {
  why: 'exit code',
  code: [0, 1],
  err: /^There is no member 'nobody' in cluster demo; members: pg1, pg2, pg3\n$/,
};
const REASONS = {
  max_connections: { old_value: '100', new_value: '200' },
  shared_preload_libraries: { old_value: 'a'.repeat(60), new_value: '' },
};
const PENDING = { 'members/pg2': { pending_restart: true, pending_restart_reason: REASONS } };
const ANSWER = (version: string) => JSON.stringify({ state: 'running', server_version: 150004, patroni: { version } });

export const shown: TypedCases = (typed) => {
  for (const [note, keys] of Object.entries(LOOKS)) {
    for (const line of ['list', 'list -f json', ...(TREES.has(note) ? ['topology'] : [])]) typed(line, { keys, note });
  }
  for (const line of ['list -e', 'list -e -f tsv', 'list -f yaml']) typed(line, { keys: LOOKS['tags']!, note: 'tags' });
  for (const line of ['list -t', 'list demo demo -f yaml', 'list -e -f json', 'list --group 0', 'topology demo demo']) {
    typed(line, line.includes('--group') ? { differs: { ...NOWHERE, why: 'exit code', err: /no keys below \/service\/demo\/0\/\n/ } } : {});
  }
  for (const line of ['list', 'list -f json', 'topology']) typed(line, { keys: { leader: null }, note: 'no leader', differs: LEADERLESS });
  for (const line of ['list', 'topology', 'list -f json']) typed(line, { keys: PENDING, note: 'a restart is pending' });
  typed('list -f tsv', {
    keys: PENDING,
    note: 'a restart is pending',
    differs: { why: 'one line per row', out: /max_connections: 100->200 shared_preload/ },
  });
  const sixth = { 'members/pg2': { conn_url: 'postgres://[::1]:5433/postgres' } };
  typed('list', { keys: sixth, note: 'IPv6', differs: { why: 'IPv6 in brackets', out: /\| \[::1\]:5433 / } });
  const circle = { 'members/pg2': { tags: { replicatefrom: 'pg3' } }, 'members/pg3': { tags: { replicatefrom: 'pg2' } } };
  typed('topology', { keys: circle, note: 'circle', differs: { why: 'members in a circle', out: /\| {3}\+ pg3 / } });
  const mute = { 'members/pg2': { api_url: 'http://127.0.0.1:1/patroni' } };
  for (const format of ['json', 'tsv', 'yaml']) typed(`list -f ${format}`, { keys: mute, note: 'a member does not answer' });
  typed('list', {
    keys: mute,
    note: 'a member does not answer',
    differs: { why: 'unavailable', out: /\n pg2 is unavailable: 127\.0\.0\.1:1 refuses the connection\n/ },
  });

  for (const line of [
    'list nosuch',
    'list nosuch -f json',
    'topology nosuch',
    'history nosuch',
    'history nosuch -f tsv',
    'show-config nosuch',
  ])
    typed(line, { differs: NOWHERE });
  for (const format of ['pretty', 'json', 'yaml', 'tsv']) typed(`history -f ${format}`);
  typed('history', { keys: { history: null }, note: 'none' });
  for (const role of ['leader', 'primary', 'standby-leader', 'replica', 'standby', 'any']) typed(`dsn -r ${role}`);
  for (const line of ['dsn', 'dsn -m pg3', 'dsn nosuch', 'dsn -m nobody']) typed(line);
  const differs: Differs = {
    why: 'version',
    out: /^patronictl version 4\.1\.4\n\npg1: Patroni 4\.1\.5 PostgreSQL 15\.4\npg2: Patroni 3\.0\.2 PostgreSQL 15\.4\npg3: Patroni 4\.1\.5 PostgreSQL 15\.4\n$/,
  };
  typed('version demo', { rest: { 'GET /patroni': ANSWER('4.1.5'), 'pg2 GET /patroni': ANSWER('3.0.2') }, differs });
  typed('version demo pg1', {
    rest: { 'GET /patroni': 'xx' },
    differs: { why: 'own reasons', out: /\npg1: failed to get version: not JSON/ },
  });
  typed('version demo nobody', { differs: { ...STRANGER, out: /^patronictl version 4\.1\.4\n\n$/ } });
  typed('query -c x -m nobody', { differs: { why: 'exit code', code: [0, 1] } });
  typed('query -c x -r standby-leader --format pretty', { differs: { why: 'exit code', code: [0, 1] } });
  typed('query -c x nosuch', { differs: NOWHERE });
  typed('show-config', { keys: { config: MANY } });
  typed('show-config', { keys: { config: null }, note: 'none' });
};

/** Texts that YAML would read as something else, and those it would not. */
const TEXTS =
  `test ! -f /x/%f && cp %p '/x/%f'|%t [%p]: |Zürich 東京|| x |100|yes|on|a: b|a #b|@x|*x|&x|!x|it's|say "x"|[x|{x|- x|~|12:30:45|2030-01-01|1e3
  1.0e+3|017|0x1F|.|=|null|true|y|.inf|1_000|1.|.5|a,b|? x|\\n|\`x|>x|x:|${'word '.repeat(60).trim()}`.split(/\|/);

const MANY = {
  ttl: 30,
  slots: { a: { type: 'physical' }, b: null, c: {} },
  ignore_slots: [{ name: 'x' }, { name: 'y', type: 'logical' }],
  postgresql: {
    use_pg_rewind: true,
    pg_hba: ['local all all trust', 'host "x: y" all # c'],
    parameters: {
      ...Object.fromEntries(TEXTS.map((text, index) => [`p${index}`, text])),
      n: 1.5,
      big: 123456789012,
      e2: -1,
      tabs: 'a\tb',
    },
  },
};
