/**
 * What `patroni --validate-config` looks at, in its order. Each row is a kind of value, whether it
 * must be there, and a further check. Keys that are not in here pass.
 */
import { unbracketed } from '../config/hostport.ts';
import { isMapping } from '../config/merge.ts';
import { parseInteger } from '../config/values.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { pythonLiteral } from './python-text.ts';

/** What is wrong with a value; null: nothing. */
type Verdict = string | null;

export interface Problem {
  /** Dotted. */
  readonly path: string;
  /** The whole line. */
  readonly text: string;
}

/** What the host is asked for. */
export interface Surroundings {
  /** The whole configuration. */
  readonly raw: JsonObject;
  readonly listens: (value: string) => Promise<Verdict>;
  readonly reachable: (value: string) => Promise<Verdict>;
  readonly dataDirectory: (value: string) => Promise<Verdict>;
}

export type Type = 'string' | 'integer' | 'boolean' | 'array' | 'dictionary';
type Check = (value: JsonValue, at: Surroundings) => Verdict | Promise<Verdict>;

export interface Value {
  readonly kind: 'value';
  /** One of them; none: any. */
  readonly types: readonly Type[];
  readonly required: boolean;
  readonly check: Check | null;
  /** Of a list: what each element must be. */
  readonly item: Value | null;
  /** Of a number as a text. */
  readonly unit: string | null;
}

export interface Fields {
  readonly kind: 'fields';
  readonly required: boolean;
  readonly keys: Readonly<Record<string, Value | Fields>>;
  /** Keys of which only one may be there. */
  readonly oneOf: readonly string[];
  /** At least one of them must be there. */
  readonly anyOf: readonly string[];
}

interface ValueOptions {
  readonly required?: boolean;
  readonly check?: Check;
  readonly item?: Value;
  readonly unit?: string;
}

function value(types: readonly Type[], { required = false, check, item, unit }: ValueOptions = {}): Value {
  return { kind: 'value', types, required, check: check ?? null, item: item ?? null, unit: unit ?? null };
}

function fields(keys: Fields['keys'], options: Partial<Pick<Fields, 'required' | 'oneOf' | 'anyOf'>> = {}): Fields {
  return { kind: 'fields', required: false, oneOf: [], anyOf: [], ...options, keys };
}

/** `didn't pass validation: DETAIL`; a detail that is a text is in quotes. */
export const refused = (detail: string, quoted = true): string => `didn't pass validation: ${quoted ? pythonLiteral(detail) : detail}`;

const WRONG = refused('Wrong value', false);
const string = (options: ValueOptions = {}) => value(['string'], options);
const boolean = value(['boolean']);
const dictionary = value(['dictionary']);
const strings = value(['array'], { item: string() });
const required = { required: true } as const;

function integer(min: number, max = Number.MAX_SAFE_INTEGER, unit?: string): Value {
  const check = (given: JsonValue) => {
    const number = parseInteger(given, unit ?? null);
    return number !== null && number >= min && number <= max ? null : WRONG;
  };
  return value(['integer'], { check, ...(unit === undefined ? {} : { unit }) });
}

/** In any case. */
function words(...known: readonly (string | boolean)[]): Value {
  const meant = known.map((word) => String(word).toLowerCase());
  return value([], { check: (given) => (meant.includes(String(given).toLowerCase()) ? null : WRONG) });
}

const LOCAL = ['127.0.0.1', '0.0.0.0', '*', '::1', 'localhost'];

const connectAddress: Check = (given) => {
  const [host, port] = splitHostPort(String(given));
  if (port === null) return refused('contains a wrong value');
  return LOCAL.includes(host) ? refused(`must not contain ${LOCAL.map((word) => `"${word}"`).join(', ')}`) : null;
};

/** What stands behind the last colon is the port. */
export function splitHostPort(text: string): readonly [string, number | null] {
  const at = text.lastIndexOf(':');
  const port = Number(text.slice(at + 1));
  const good = at !== -1 && /^\d+$/.test(text.slice(at + 1)) && port <= 65_535;
  return [unbracketed(at === -1 ? text : text.slice(0, at)), good ? port : null];
}

const login = fields({ username: string(), password: string() });
const listen = string({ required: true, check: (given, at) => at.listens(String(given)) });
const address = string({ required: true, check: connectAddress });
const reachable = string({ check: (given, at) => at.reachable(String(given)) });
const tls = { certfile: string(), keyfile: string(), keyfile_password: string() };
const options = value(['array', 'dictionary']);
const LEVELS = ['DEBUG', 'INFO', 'WARN', 'WARNING', 'ERROR', 'FATAL', 'CRITICAL'];

const log = fields({
  type: words('plain', 'json'),
  level: words(...LEVELS),
  traceback_level: words('DEBUG', 'ERROR'),
  format: value(['string', 'array']),
  dateformat: string(),
  static_fields: dictionary,
  max_queue_size: integer(0),
  dir: string(),
  mode: integer(0, 0o777),
  file_num: integer(0),
  file_size: integer(0),
  loggers: dictionary,
  deduplicate_heartbeat_logs: boolean,
});

const restapi = fields(
  {
    listen,
    connect_address: address,
    authentication: login,
    ...tls,
    cafile: string(),
    ciphers: string(),
    verify_client: words('none', 'optional', 'required'),
    allowlist: strings,
    allowlist_include_members: boolean,
    http_extra_headers: dictionary,
    https_extra_headers: dictionary,
    request_queue_size: integer(0, 4096),
    server_tokens: words('original', 'minimal', 'productonly'),
    thread_pool_size: integer(5),
  },
  required,
);

const dynamic = fields(
  {
    ttl: integer(20),
    loop_wait: integer(1),
    retry_timeout: integer(3),
    maximum_lag_on_failover: integer(0),
    maximum_lag_on_syncnode: integer(-1),
    member_slots_ttl: integer(0, Number.MAX_SAFE_INTEGER, 's'),
    postgresql: fields({
      parameters: fields({
        max_connections: integer(1, 262_143),
        max_locks_per_transaction: integer(10, 2_147_483_647),
        max_prepared_transactions: integer(0, 262_143),
        max_replication_slots: integer(0, 262_143),
        max_wal_senders: integer(0, 262_143),
        max_worker_processes: integer(0, 262_143),
      }),
    }),
    primary_start_timeout: integer(0),
    primary_stop_timeout: integer(0),
    synchronous_mode: words('on', 'off', 'true', 'false', 'yes', 'no', '1', '0', 'quorum'),
    synchronous_node_count: integer(1),
  },
  required,
);

const etcd = fields(
  {
    host: reachable,
    hosts: value(['string', 'array'], {
      check: (given, at) => (typeof given === 'string' ? at.reachable(given) : null),
      item: reachable,
    }),
    srv: string(),
    url: string(),
    proxy: string(),
    protocol: words('http', 'https'),
    cacert: string(),
    cert: string(),
    key: string(),
  },
  { anyOf: ['host', 'hosts', 'srv', 'url', 'proxy'] },
);

/** One at least. Of those that Regent does not have, only that they are there. */
export const STORES = ['consul', 'etcd', 'etcd3', 'exhibitor', 'kubernetes', 'raft', 'zookeeper'] as const;
const stores = Object.fromEntries(STORES.map((name) => [name, name.startsWith('etcd') ? etcd : fields({})]));

const SSL = ['sslmode', 'sslcert', 'sslkey', 'sslpassword', 'sslrootcert', 'sslcrl', 'sslcrldir', 'gssencmode', 'channel_binding'];
const credentials = (named: boolean) =>
  fields(
    {
      username: string({ required: named }),
      password: string(),
      ...Object.fromEntries([...SSL, 'sslnegotiation'].map((key) => [key, string()])),
    },
    { required: named },
  );

const postgresql = fields(
  {
    listen,
    connect_address: address,
    proxy_address: string({ check: (given) => (splitHostPort(String(given))[1] === null ? refused('contains a wrong value') : null) }),
    authentication: fields({ replication: credentials(true), superuser: credentials(true), rewind: credentials(false) }, required),
    data_dir: string({ required: true, check: (given, at) => at.dataDirectory(String(given)) }),
    bin_name: fields({}),
    bin_dir: string(),
    parameters: fields({}),
    pg_hba: strings,
    pg_ident: strings,
    pg_ctl_timeout: integer(0),
    use_pg_rewind: boolean,
    rewind: options,
    basebackup: options,
  },
  required,
);

export const SCHEMA: Fields = fields(
  {
    name: string(required),
    scope: string(required),
    thread_pool_size: integer(5),
    thread_stack_size: integer(65_536, Number.MAX_SAFE_INTEGER, 'B'),
    log,
    ctl: fields({ insecure: boolean, cacert: string(), ...tls, authentication: login }),
    restapi,
    bootstrap: fields({ dcs: dynamic, initdb: options }),
    ...stores,
    citus: fields({ database: string(), group: integer(0) }),
    postgresql,
    watchdog: fields({
      mode: words('off', 'automatic', 'required', false, 'disable', 'disabled', 'auto', 'require'),
      device: string(),
      safety_margin: integer(-1),
    }),
    tags: fields(
      {
        nofailover: boolean,
        failover_priority: integer(0),
        clonefrom: boolean,
        noloadbalance: boolean,
        replicatefrom: string(),
        nosync: boolean,
        sync_priority: integer(0),
        nostream: boolean,
      },
      { oneOf: ['nofailover', 'failover_priority'] },
    ),
  },
  { anyOf: STORES },
);

export function isOfType(given: JsonValue, type: Type, unit: string | null): boolean {
  switch (type) {
    case 'string':
      return typeof given === 'string';
    case 'boolean':
      return typeof given === 'boolean';
    case 'array':
      return Array.isArray(given);
    case 'dictionary':
      return isMapping(given);
    case 'integer':
      return typeof given !== 'boolean' && typeof given !== 'object' && parseInteger(given, unit) !== null;
  }
}
