/**
 * The table of settings: everything a node's file and the cluster's configuration may hold. Each
 * row has the setting's place (as in the file), kind, default, environment variable, what a change
 * needs, and one sentence. Reading, the JSON schema, the environment, the defaults, what a reload
 * takes over and the tables of docs/configuration.md follow from it. How to add a row:
 * docs/HACKING.md.
 */
import { INITDB_FORBIDDEN } from '../pgconf/program-options.ts';
import { STRICT_PLACEHOLDER } from '../pgconf/server-config.ts';
import { hbaLine } from './access-lines.ts';
import {
  address,
  choice,
  flag,
  freeMap,
  levelMap,
  logFormat,
  looseText,
  mapList,
  programOptions,
  tagFlag,
  text,
  textMap,
  texts,
  whole,
} from './kinds.ts';
import { bad, good } from './read.ts';
import { type About, type Parsed, section } from './setting.ts';
import { postgresEverywhere, postgresLocal, postgresShared } from './table-postgres.ts';

const DEFAULT = { unreadable: 'default' } as const;
const NO_BOOTSTRAP = { unreadable: 'no-bootstrap' } as const;
const SECRET = { secret: true } as const;
const FALSE = { default: false } as const;

/** For Patroni's sake: read, and nothing is made of it. */
const IGNORED = { unreadable: 'default', as: [] } as const;
const IGNORED_DOC = "Accepted for Patroni's sake; no effect.";

const login = (doc: string, env: string) =>
  section(doc, { env }, { username: text('User name.'), password: looseText('Password. Never shown.', SECRET) });

const tls = {
  certfile: text('Certificate, PEM.'),
  keyfile: text('Its key, PEM.', { defaultIs: 'certfile' }),
  keyfile_password: looseText('Password of the key.', SECRET),
};

const pathWord = <const A extends About>(doc: string, about: A) =>
  text(doc, about, (value, echo) => {
    if (/[/\0]/.test(value)) return bad(`${echo(value)} contains a slash`, "write a word such as 'demo'; slashes separate keys in etcd");
    if (value === STRICT_PLACEHOLDER) return bad('this name is reserved', "write another, such as the host's name");
    return good(value);
  });

const LEVELS = {
  DEBUG: 'DEBUG',
  INFO: 'INFO',
  WARNING: 'WARNING',
  ERROR: 'ERROR',
  CRITICAL: 'CRITICAL',
  WARN: 'WARNING',
  FATAL: 'CRITICAL',
} as const;

const logKeys = {
  type: choice('plain or json.', { plain: 'plain', json: 'json' }, { default: 'plain', ...DEFAULT }),
  level: choice('Least severe level that is written.', LEVELS, {
    default: 'INFO',
    ...DEFAULT,
    formerEnv: ['LOGLEVEL'],
  }),
  format: logFormat('Format of a line; for json a list of fields.', {
    default: '%(asctime)s %(levelname)s: %(message)s',
    ...DEFAULT,
    formerEnv: ['LOGFORMAT'],
  }),
  dateformat: text('strftime format of %(asctime)s.', { ...DEFAULT, formerEnv: ['LOG_DATEFMT'] }),
  dir: text('Directory of the log files; without it: standard error.', DEFAULT),
  file_num: whole('Rotated files kept.', { min: 0, max: 10_000, example: 4 }, { default: 4, ...DEFAULT }),
  file_size: whole(
    'Bytes at which a file is rotated.',
    { min: 1, unit: 'B', example: 25_000_000 },
    { default: 25_000_000, ...DEFAULT, as: 'fileSizeBytes' },
  ),
  mode: whole('Permissions of the files, octal.', { min: 0, max: 0o777, example: '0640' }, { defaultIs: 'by umask', ...DEFAULT }),
  static_fields: textMap('Fields added to every JSON record.', 'app: regent', { default: {}, ...DEFAULT }),
  deduplicate_heartbeat_logs: flag('Write a repeated round message once.', { default: false, ...DEFAULT }),
  traceback_level: choice(
    'Level at which the stack of an unexpected error is written.',
    { ERROR: 'ERROR', DEBUG: 'DEBUG' },
    { default: 'ERROR', ...DEFAULT },
  ),
  max_queue_size: whole(
    'Lines that may wait to be written; more are lost, and counted.',
    { min: 1, example: 1000 },
    { default: 1000, ...DEFAULT },
  ),
  loggers: levelMap(
    'Levels of parts, in place of `level`: patroni.ha, patroni.dcs, patroni.postgresql, patroni.api, patroni.request, patroni.config, patroni.watchdog.',
    LEVELS,
    { default: {}, ...DEFAULT },
  ),
};

const restapiKeys = {
  listen: address(
    'Address and port it listens on.',
    { defaultPort: null, example: '0.0.0.0:8008', single: true, anyHost: true },
    { required: '0.0.0.0:8008', needs: 'restart-agent', holds: 'restapi.connect_address', as: ['listenHost', 'listenPort'] },
  ),
  connect_address: address(
    'host:port by which the other members reach it.',
    { defaultPort: null, example: '10.0.0.1:8008', single: true },
    { required: '10.0.0.1:8008', as: ['connectAddress'] },
  ),
  authentication: login('Basic authentication for everything that changes something.', 'RESTAPI_'),
  ...tls,
  cafile: text('CA of client certificates, PEM.'),
  ciphers: text("OpenSSL's cipher list."),
  verify_client: choice(
    'Client certificates: none, optional (for what changes something), required (for everything).',
    { none: 'none', optional: 'optional', required: 'required' },
    { default: 'none' },
  ),
  allowlist: texts(
    'Addresses, networks and host names that may change something; empty: all.',
    { commas: true, example: '10.0.0.0/8' },
    { default: [] },
  ),
  allowlist_include_members: flag('Let the other members in as well.', FALSE),
  http_extra_headers: textMap('Headers added to every answer.', 'X-Frame-Options: DENY', { default: {}, ...DEFAULT }),
  https_extra_headers: textMap('The same with TLS, instead of http_extra_headers of the same name.', 'X-Frame-Options: DENY', {
    default: {},
    ...DEFAULT,
  }),
  server_tokens: choice(
    'What the Server header tells.',
    { Original: 'original', Minimal: 'minimal', ProductOnly: 'productonly' },
    { default: 'Original', ...DEFAULT },
  ),
  request_queue_size: whole(IGNORED_DOC, { min: 0, max: 4096, example: 5 }, IGNORED),
  thread_pool_size: whole(IGNORED_DOC, { min: 1, example: 5 }, { ...IGNORED, env: null }),
};

const ctlKeys = {
  insecure: flag('Do not verify certificates.', { default: false, ...DEFAULT }),
  cacert: text('CA, PEM.', { defaultIs: 'restapi.cafile' }),
  ...tls,
  authentication: login('Credentials; without them those of restapi.', 'CTL_'),
  list_lsn: flag(
    'Columns of `list`: positions and both lags (true), or `Lag in MB` (false). Without it: true as `patronictl`, false as `regentctl`.',
    { env: null, as: [] },
  ),
  haproxy_url: text("HAProxy's statistics, for `regentctl health`.", { env: null, as: [] }, (value) =>
    /^https?:\/\//.test(value) && URL.canParse(value) ? good(value) : bad('not a URL', "write it as in 'http://127.0.0.1:7000/stats;csv'"),
  ),
};

/** With other addresses of etcd the whole section waits: who logs in belongs to where. */
const ENDPOINTS = { as: ['endpoints'], holds: 'etcd' } as const;

const etcdKeys = {
  hosts: texts('Endpoints, host:port; the port defaults to port, or 2379.', { commas: true, example: '10.0.0.1:2379' }, ENDPOINTS),
  host: text('One endpoint, where there is one.', ENDPOINTS),
  port: whole('Port of the hosts that are written without one.', { min: 1, max: 65_535, example: 2379 }, { default: 2379, ...ENDPOINTS }),
  url: text('One endpoint as a URL, with user and password if need be.', { ...SECRET, ...ENDPOINTS }),
  proxy: text('URL of a proxy before etcd; members are not discovered then.', { ...SECRET, ...ENDPOINTS, as: ['endpoints', 'discover'] }),
  srv: text('DNS domain whose SRV records name the endpoints.', { holds: 'etcd' }),
  srv_suffix: text('Suffix of the SRV service name.'),
  protocol: choice('For hosts without a scheme.', { http: 'http', https: 'https' }, { default: 'http', ...ENDPOINTS }),
  use_proxies: flag('Keep to the endpoints given, without discovering members.', { default: false, ...DEFAULT, as: ['discover'] }),
  username: text('User, where etcd has authentication.', { needs: 'reload', as: ['username'] }),
  password: looseText('Password of the user. Never shown.', { ...SECRET, needs: 'reload', as: ['password'] }),
  cacert: text('CA certificates, PEM.'),
  cert: text('Client certificate, PEM.', { as: ['cert', 'key'] }),
  key: text('Client key, PEM.', { defaultIs: 'cert', as: ['key'] }),
};

const bootstrapKeys = {
  dcs: freeMap('First dynamic configuration, written to etcd once.', { default: {}, ...NO_BOOTSTRAP }),
  method: text('How the first data directory is made: `initdb` or the name of a section below `bootstrap`.', {
    default: 'initdb',
    ...NO_BOOTSTRAP,
  }),
  initdb: programOptions('Options of initdb.', INITDB_FORBIDDEN, { default: [], ...NO_BOOTSTRAP }),
  post_bootstrap: text('Command run once on the new primary, with a connection string.', NO_BOOTSTRAP),
  pg_hba: texts(
    'Lines added to the pg_hba.conf of a new cluster.',
    { commas: false, lines: true, check: hbaLine, example: "'host all all all scram-sha-256'" },
    { default: [], ...NO_BOOTSTRAP },
  ),
};

const watchdogKeys = {
  mode: choice(
    'off, automatic (used where it works) or required (no leadership without).',
    {
      off: 'off',
      automatic: 'automatic',
      required: 'required',
      auto: 'automatic',
      require: 'required',
      disable: 'off',
      disabled: 'off',
      false: 'off',
    },
    { default: 'automatic' },
  ),
  device: text('Device file.', { default: '/dev/watchdog', needs: 'restart-agent', holds: 'watchdog' }),
  safety_margin: whole(
    'Seconds by which the watchdog fires before ttl ends; -1: half of ttl.',
    { min: -1, max: 86_400, unit: 's', example: 5 },
    { default: 5, as: 'safetyMarginSeconds' },
  ),
  driver: text(IGNORED_DOC, IGNORED),
};

/** Published as they are written, so that none is filled in. */
const tagKeys = {
  nofailover: tagFlag('Never lead.', { defaultIs: false }),
  failover_priority: whole('Higher leads first at equal positions; 0: never.', { example: 1 }, { defaultIs: 1, ...DEFAULT }),
  noloadbalance: tagFlag('Not offered for reading.', { defaultIs: false }),
  clonefrom: tagFlag('Preferred source of clones.', { defaultIs: false }),
  replicatefrom: text('Name of the member to stream from, instead of the leader.'),
  nosync: tagFlag('Never a synchronous standby.', { defaultIs: false }),
  sync_priority: whole('Higher becomes synchronous first; 0: never.', { example: 1 }, { defaultIs: 1, ...DEFAULT }),
  nostream: tagFlag('No streaming replication.', { defaultIs: false }),
};

const ETCD = { needs: 'restart-agent' } as const;

export const localTable = {
  scope: pathWord('Name of the cluster: the same on all members.', { required: 'demo', needs: 'restart-agent', env: 'SCOPE' }),
  name: pathWord('Name of this member, unique in the cluster.', {
    required: 'node1',
    needs: 'restart-agent',
    env: 'NAME',
    // The default of pgpass holds it.
    as: ['name', 'postgresql.pgpass'],
  }),
  namespace: looseText('First part of the keys in etcd; empty: none.', { default: 'service', needs: 'restart-agent', env: 'NAMESPACE' }),
  log: section('Log of the agent.', { env: 'LOG_' }, logKeys),
  restapi: section('HTTP server of the agent.', { env: 'RESTAPI_' }, restapiKeys),
  ctl: section('How regentctl and the other members talk to agents.', { env: 'CTL_' }, ctlKeys),
  etcd3: section('The etcd cluster, version 3 API.', { ...ETCD, env: 'ETCD3_' }, etcdKeys),
  etcd: section('The same as etcd3.', { ...ETCD, env: 'ETCD_' }, etcdKeys),
  bootstrap: section('How a new cluster is made. Without effect once it exists.', { needs: 'bootstrap' }, bootstrapKeys),
  postgresql: section('PostgreSQL on this node.', {}, { ...postgresLocal, ...postgresShared }),
  watchdog: section('Hardware watchdog.', {}, watchdogKeys),
  tags: section(
    'What the other members and load balancers should know of this one. Other keys are published as they are.',
    { open: true },
    tagKeys,
  ),
  router: freeMap(
    'Settings of `regent router`; agents pass over them: `haproxy_socket` (an absolute path, required), `primary_backend` (`postgres_primary`), `replica_backend` (`postgres_replicas`), `reconcile_interval` (5 s).',
    { as: [] },
  ),
  thread_pool_size: whole(IGNORED_DOC, { min: 1, example: 5 }, { ...IGNORED, env: 'THREAD_POOL_SIZE', envKind: 'text' }),
  thread_stack_size: whole(IGNORED_DOC, { min: 1, unit: 'B', example: 524_288 }, { ...IGNORED, env: 'THREAD_STACK_SIZE', envKind: 'text' }),
};

/** Least values Regent works with; Patroni raises ttl below 20 and retry_timeout below 3. */
export const TIMING_MIN = { ttl: 3, loop_wait: 1, retry_timeout: 1 } as const;
export const TIMING_PATRONI_MIN = { ttl: 20, loop_wait: 1, retry_timeout: 3 } as const;
/** A year. */
export const TIMING_MAX = 31_536_000;

/**
 * No unit may be written, as Patroni would not read one. Without a minimum: too small a value is
 * raised (see timing.ts), not refused.
 */
const seconds = <const F extends number, const N extends string>(doc: string, fallback: F, as: N, min?: number) =>
  whole(doc, { ...(min === undefined ? {} : { min }), max: TIMING_MAX, example: fallback }, { default: fallback, as });
const bytes = <const F extends number, const N extends string>(doc: string, fallback: F, as: N, min: number) =>
  whole(doc, { min, example: 1_048_576 }, { default: fallback, as });

/** The `config` key in etcd, and `bootstrap.dcs`. */
export const dynamicTable = {
  ttl: seconds('Seconds the leader key outlives its holder; 3 or more.', 30, 'ttlSeconds'),
  loop_wait: seconds('Seconds between rounds when nothing happens; 1 or more.', 10, 'loopWaitSeconds'),
  retry_timeout: seconds(
    'Seconds that a call to etcd may take. When a leader steps down follows from ttl.',
    10,
    'retryTimeoutSeconds',
    TIMING_MIN.retry_timeout,
  ),
  maximum_lag_on_failover: bytes(
    'Bytes a candidate may lag behind, where neither /sync nor votes prove that it has all that was acknowledged.',
    1_048_576,
    'maximumLagOnFailoverBytes',
    0,
  ),
  maximum_lag_on_syncnode: bytes(
    'Bytes a synchronous standby may lag behind before another takes its place; 0 or less: any.',
    -1,
    'maximumLagOnSyncnodeBytes',
    -1,
  ),
  max_timelines_history: whole('Entries kept in the history; 0: all.', { min: 0, example: 0 }, { default: 0 }),
  check_timeline: flag('A candidate must be on the newest timeline known.', FALSE),
  primary_start_timeout: seconds(
    'Seconds a crashed primary may take to come back before another leads; 0: at once.',
    300,
    'primaryStartTimeoutSeconds',
    0,
  ),
  primary_stop_timeout: seconds('Seconds an orderly stop may take under synchronous mode; 0: any.', 0, 'primaryStopTimeoutSeconds', 0),
  primary_race_backoff: seconds(
    'Longest time that a failover waits for a former primary whose WAL still comes. If set, it is at least one loop_wait, also where a failover would take one second. There is no wait where the former primary says that its PostgreSQL is down.',
    0,
    'primaryRaceBackoffSeconds',
    0,
  ),
  synchronous_mode: choice(
    'off, on (named standbys) or quorum (any of them).',
    { off: 'off', on: 'on', quorum: 'quorum', true: 'on', false: 'off', yes: 'on', no: 'off', '1': 'on', '0': 'off' },
    { default: 'off' },
  ),
  synchronous_mode_strict: flag('Refuse writes rather than commit without a synchronous standby.', FALSE),
  synchronous_node_count: whole('Synchronous standbys wanted.', { min: 0, max: 1000, example: 1 }, { default: 1 }),
  failover_fence: choice(
    'What a failover waits for in synchronous modes. quorum: promises of the voters, about a second. lease: the end of the ttl.',
    { quorum: 'quorum', lease: 'lease' },
    { default: 'quorum' },
  ),
  failover_on_refusal: flag(
    'Asynchronous clusters: another leads at once where the leader’s agent and PostgreSQL refuse connections. Where a firewall or proxy refuses in their place, two primaries take writes until the ttl ends.',
    FALSE,
  ),
  suspect_after: whole(
    'Milliseconds without a word from the leader after which its standbys count it as missed, unless PostgreSQL answers.',
    { min: 300, max: 60_000, unit: 'ms', example: '1s' },
    { default: 1000, as: 'suspectAfterMs' },
  ),
  postgresql_unresponsive_after: seconds(
    'Seconds for which the leader’s PostgreSQL may not answer, or (where voters’ promises are the fence) its disk finish no write. Then another leads, if one can.',
    5,
    'unresponsiveAfterSeconds',
    1,
  ),
  failsafe_mode: flag('A leader that cannot reach etcd goes on while all other members agree.', FALSE),
  pause: flag('No automatic failover (maintenance).', FALSE),
  standby_cluster: freeMap(
    'This cluster follows a server outside of it, and takes no writes: `host`, `port`, `primary_slot_name`, `restore_command`, `archive_cleanup_command`, `recovery_min_apply_delay`, `create_replica_methods`.',
    { as: ['standbyCluster'] },
  ),
  slots: freeMap('Permanent replication slots, by name, for consumers that are no members.', { as: ['slots', 'slotsElsewhere'] }),
  ignore_slots: mapList('Slots that are left alone. Unused ones that neither `slots` nor a member accounts for are dropped.', {
    default: [],
  }),
  member_slots_ttl: whole(
    'Seconds the slot of an absent member is kept (`regentctl forget`: no longer).',
    { min: 0, unit: 's', example: '30min' },
    { default: 1800, as: 'memberSlotsTtlSeconds' },
  ),
  terminate_strangers: flag(
    'End the walsender of a server that streams under a member’s name without being it, where the member’s slot proves that.',
    FALSE,
  ),
  postgresql: section('PostgreSQL settings for all members.', {}, postgresEverywhere),
};

export type LocalParsed = Parsed<typeof localTable>;
export type EtcdParsed = Parsed<typeof etcdKeys>;
export type SharedParsed = Parsed<typeof postgresEverywhere>;
export type DynamicParsed = Parsed<typeof dynamicTable>;

/** Known to Patroni, without effect here. */
export const UNSUPPORTED_SECTIONS = ['citus', 'standby_cluster'];
export const OTHER_DCS = ['consul', 'exhibitor', 'kubernetes', 'raft', 'zookeeper'];
