/** PATRONI_* variables to a raw configuration. Names: patroni-compat 2.6. */
import type { JsonObject, JsonValue } from '../support/json.ts';
import { isMapping, own, patchMerge } from './merge.ts';
import { Places } from './places.ts';
import { type ConfigProblem, placed } from './problems.ts';
import { nearest } from './suggest.ts';
import { parseBool, parseInteger } from './values.ts';
import { parseYamlValue } from './yaml.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface EnvironmentConfig {
  readonly raw: JsonObject;
  readonly places: Places;
  readonly problems: readonly ConfigProblem[];
  /**
   * Variables that were understood. Take them out of the environment of child processes: they may
   * hold passwords.
   */
  readonly consumed: readonly string[];
}

type Kind = 'text' | 'int' | 'bool' | 'list' | 'map';
interface Variable {
  readonly name: string;
  readonly path: readonly string[];
  readonly kind: Kind;
}

const PREFIX = 'PATRONI_';
export const WHOLE_CONFIGURATION = 'PATRONI_CONFIGURATION';

const words = (text: string): string[] => text.split(' ');

function group(section: readonly string[], prefix: string, names: string, kinds: Readonly<Record<string, Kind>> = {}): Variable[] {
  return words(names).map((name) => ({
    name: `${PREFIX}${prefix}${name}`,
    path: [...section, name.toLowerCase()],
    kind: kinds[name] ?? 'text',
  }));
}

const AUTH_KEYS =
  'USERNAME PASSWORD SSLMODE SSLCERT SSLKEY SSLPASSWORD SSLROOTCERT SSLCRL SSLCRLDIR GSSENCMODE CHANNEL_BINDING SSLNEGOTIATION';

const VARIABLES: readonly Variable[] = [
  ...group([], '', 'NAME NAMESPACE SCOPE THREAD_POOL_SIZE THREAD_STACK_SIZE'),
  { name: 'PATRONI_LOGLEVEL', path: ['log', 'level'], kind: 'text' },
  { name: 'PATRONI_LOGFORMAT', path: ['log', 'format'], kind: 'text' },
  { name: 'PATRONI_LOG_DATEFMT', path: ['log', 'dateformat'], kind: 'text' },
  ...group(
    ['log'],
    'LOG_',
    'TYPE LEVEL TRACEBACK_LEVEL FORMAT DATEFORMAT STATIC_FIELDS MAX_QUEUE_SIZE DIR MODE FILE_SIZE FILE_NUM LOGGERS DEDUPLICATE_HEARTBEAT_LOGS',
    {
      STATIC_FIELDS: 'map',
      MAX_QUEUE_SIZE: 'int',
      MODE: 'int',
      FILE_SIZE: 'int',
      FILE_NUM: 'int',
      LOGGERS: 'map',
      DEDUPLICATE_HEARTBEAT_LOGS: 'bool',
    },
  ),
  ...group(
    ['restapi'],
    'RESTAPI_',
    'LISTEN CONNECT_ADDRESS CERTFILE KEYFILE KEYFILE_PASSWORD CAFILE CIPHERS VERIFY_CLIENT HTTP_EXTRA_HEADERS HTTPS_EXTRA_HEADERS ALLOWLIST ALLOWLIST_INCLUDE_MEMBERS REQUEST_QUEUE_SIZE SERVER_TOKENS',
    {
      HTTP_EXTRA_HEADERS: 'map',
      HTTPS_EXTRA_HEADERS: 'map',
      ALLOWLIST: 'list',
      ALLOWLIST_INCLUDE_MEMBERS: 'bool',
      REQUEST_QUEUE_SIZE: 'int',
    },
  ),
  ...group(['restapi', 'authentication'], 'RESTAPI_', 'USERNAME PASSWORD'),
  ...group(['ctl'], 'CTL_', 'INSECURE CACERT CERTFILE KEYFILE KEYFILE_PASSWORD', { INSECURE: 'bool' }),
  ...group(['ctl', 'authentication'], 'CTL_', 'USERNAME PASSWORD'),
  ...group(['postgresql'], 'POSTGRESQL_', 'LISTEN CONNECT_ADDRESS PROXY_ADDRESS CONFIG_DIR DATA_DIR PGPASS BIN_DIR'),
  ...group(['postgresql', 'bin_name'], 'POSTGRESQL_BIN_', 'PG_CTL INITDB PG_CONTROLDATA PG_BASEBACKUP POSTGRES PG_ISREADY PG_REWIND'),
  ...words('SUPERUSER REPLICATION REWIND').flatMap((role) =>
    group(['postgresql', 'authentication', role.toLowerCase()], `${role}_`, AUTH_KEYS),
  ),
  ...group(
    ['raft'],
    'RAFT_',
    'DATA_DIR SELF_ADDR PARTNER_ADDRS PASSWORD BIND_ADDR MIN_TIMEOUT MAX_TIMEOUT CONNECTION_TIMEOUT APPEND_ENTRIES_PERIOD CONNECTION_RETRY_TIME LEADER_FALLBACK_TIMEOUT',
    { PARTNER_ADDRS: 'list' },
  ),
  ...group(['citus'], 'CITUS_', 'GROUP DATABASE', { GROUP: 'int' }),
];

/** Any `PATRONI_<DCS>_<SUFFIX>`. */
const DCS_SUFFIXES: Readonly<Record<string, Kind>> = {
  ...Object.fromEntries(
    words(
      'HOST PROTOCOL SRV SRV_SUFFIX URL PROXY CACERT CERT KEY TOKEN DC CONSISTENCY SERVICE_CHECK_INTERVAL SERVICE_CHECK_TLS_SERVER_NAME NAMESPACE CONTEXT SCOPE_LABEL ROLE_LABEL POD_IP RETRIABLE_HTTP_CODES KEY_PASSWORD USE_SSL LEADER_LABEL_VALUE FOLLOWER_LABEL_VALUE STANDBY_LEADER_LABEL_VALUE TMP_ROLE_LABEL',
    ).map((suffix) => [suffix, 'text' as const]),
  ),
  ...Object.fromEntries(
    words('USE_PROXIES VERIFY REGISTER_SERVICE USE_ENDPOINTS BYPASS_API_SERVICE').map((suffix) => [suffix, 'bool' as const]),
  ),
  ...Object.fromEntries(words('HOSTS CHECKS SERVICE_TAGS PORTS').map((suffix) => [suffix, 'list' as const])),
  ...Object.fromEntries(words('LABELS SET_ACLS AUTH_DATA BOOTSTRAP_LABELS').map((suffix) => [suffix, 'map' as const])),
  PORT: 'int',
};

const BY_NAME = new Map(VARIABLES.map((variable) => [variable.name, variable]));

/** Never throws. An empty variable counts as absent. */
export function readEnvironment(env: Environment): EnvironmentConfig {
  const reader = new Reader();
  const names = Object.keys(env).filter((name) => name.startsWith(PREFIX) && name !== WHOLE_CONFIGURATION);
  // The old names of the log settings stand before the new ones in VARIABLES, so that the new ones
  // win.
  const order = (name: string) => VARIABLES.findIndex((variable) => variable.name === name);
  const unknown: string[] = [];
  for (const name of names.sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1))) {
    const variable = BY_NAME.get(name) ?? dcsVariable(name);
    if (variable) reader.take(variable, env[name] ?? '');
    else unknown.push(name);
  }
  for (const name of unknown) {
    const [, section, suffix] = /^PATRONI_(ETCD3?)_(USERNAME|PASSWORD)$/.exec(name) ?? [];
    // Without another variable of the section these belong to something else, as in Patroni.
    if (section && suffix && own(reader.raw, section.toLowerCase()) !== undefined) {
      reader.take({ name, path: [section.toLowerCase(), suffix.toLowerCase()], kind: 'text' }, env[name] ?? '');
    } else {
      reader.suggest(name);
    }
  }
  return reader;
}

function dcsVariable(name: string): Variable | null {
  const match = /^PATRONI_([^_]+)_(.+)$/.exec(name);
  const suffix = match?.[2] ?? '';
  if (!match || !Object.hasOwn(DCS_SUFFIXES, suffix)) return null;
  return { name, path: [match[1]!.toLowerCase(), suffix.toLowerCase()], kind: DCS_SUFFIXES[suffix]! };
}

class Reader implements EnvironmentConfig {
  raw: JsonObject = {};
  readonly places = new Places({ file: 'environment', line: null, column: null });
  readonly problems: ConfigProblem[] = [];
  readonly consumed: string[] = [];

  take(variable: Variable, text: string): void {
    this.consumed.push(variable.name);
    if (text === '') return;
    const place = { file: variable.name, line: null, column: null };
    const value = convert(variable, text);
    if (value === undefined) {
      const [message, mend] = MISTAKES[variable.kind];
      this.problems.push(placed({ path: variable.path, message, mend, severity: 'error' }, place));
      return;
    }
    this.raw = patchMerge(this.raw, variable.path.reduceRight<JsonValue>((inner, key) => ({ [key]: inner }), value) as JsonObject);
    this.places.set(variable.path, { ...place, source: text });
    for (let length = 1; length < variable.path.length; length++) {
      this.places.set(variable.path.slice(0, length), { ...place, source: null, around: true });
    }
  }

  /** A variable that is nearly one of ours was probably meant to be one. */
  suggest(name: string): void {
    const near = nearest(
      name.slice(PREFIX.length),
      [...BY_NAME.keys()].map((known) => known.slice(PREFIX.length)),
    );
    if (near === null) return;
    const finding = {
      path: [],
      message: `unknown variable '${name}'`,
      mend: `did you mean '${PREFIX}${near}'?`,
      severity: 'warning' as const,
    };
    this.problems.push(placed(finding, { file: name, line: null, column: null }));
  }
}

const MISTAKES: Readonly<Record<Kind, readonly [string, string]>> = {
  text: ['not a text', 'write a text'],
  int: ['not a whole number', 'write a whole number'],
  bool: ['neither true nor false', "write 'true' or 'false'"],
  list: ['not a list', "write 'a,b' or a YAML list such as '[a, b]'"],
  map: ['not a mapping', "write a YAML mapping such as '{a: b}'"],
};

function convert(variable: Variable, text: string): JsonValue | undefined {
  switch (variable.kind) {
    case 'text':
      return variable.name === 'PATRONI_LOG_FORMAT' ? logFormat(text) : text;
    case 'int':
      return parseInteger(text) ?? undefined;
    case 'bool':
      return parseBool(text) ?? undefined;
    case 'list': {
      const found = parseYamlValue(text.startsWith('-') || text.includes('[') ? text : `[${text}]`);
      return Array.isArray(found) ? found : undefined;
    }
    case 'map': {
      const found = parseYamlValue(text.startsWith('{') ? text : `{${text}}`);
      return isMapping(found) ? found : undefined;
    }
  }
}

/** For JSON logs a list of fields; a format of lines always has a `%(field)s`. */
function logFormat(text: string): JsonValue {
  if (/%\(\w+\)/.test(text)) return text;
  const found = parseYamlValue(text.startsWith('-') || text.includes('[') ? text : `[${text}]`);
  return Array.isArray(found) ? found : text;
}
