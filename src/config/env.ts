/** PATRONI_* variables to a raw configuration. Names: docs/dialect.md, "Environment". */
import type { JsonObject, JsonValue } from '../support/json.ts';
import { isMapping, nested, own, patchMerge } from './merge.ts';
import { Places } from './places.ts';
import { type ConfigProblem, placed } from './problems.ts';
import { type EnvKind, eachSetting, type SectionAbout, type Setting } from './setting.ts';
import { nearest } from './suggest.ts';
import { localTable } from './table.ts';
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

interface Variable {
  readonly name: string;
  readonly path: readonly string[];
  readonly kind: EnvKind;
}

const PREFIX = 'PATRONI_';
export const WHOLE_CONFIGURATION = 'PATRONI_CONFIGURATION';

/** Names without PATRONI_, the one to write first. */
export function variableNames(key: string, { about }: Setting, around: SectionAbout): readonly string[] {
  const usual = around.env === undefined ? null : `${around.env}${key.toUpperCase()}`;
  const name = about.env === undefined ? usual : about.env;
  return name === null ? [] : [name, ...(about.formerEnv ?? [])];
}

/** Logins of etcd. Without another variable of the section they are not etcd's, as in Patroni. */
const LOGIN: readonly string[] = ['username', 'password'];

const words = (text: string): string[] => text.split(' ');

/** Patroni's for what Regent does not have: their sections are seen, and told of. */
const FOREIGN: readonly Variable[] = [
  ...words(
    'DATA_DIR SELF_ADDR PARTNER_ADDRS PASSWORD BIND_ADDR MIN_TIMEOUT MAX_TIMEOUT CONNECTION_TIMEOUT APPEND_ENTRIES_PERIOD CONNECTION_RETRY_TIME LEADER_FALLBACK_TIMEOUT',
  ).map((key) => foreign('raft', key, key === 'PARTNER_ADDRS' ? 'list' : 'text')),
  foreign('citus', 'GROUP', 'int'),
  foreign('citus', 'DATABASE', 'text'),
];

function foreign(section: string, key: string, kind: EnvKind): Variable {
  return { name: `${PREFIX}${section.toUpperCase()}_${key}`, path: [section, key.toLowerCase()], kind };
}

/** Older names stand before the others, so that those win. */
const VARIABLES: readonly Variable[] = [...ownVariables(), ...FOREIGN];

function ownVariables(): Variable[] {
  const [older, names]: [Variable[], Variable[]] = [[], []];
  // The two sections of etcd have their variables by the rule for every store of state.
  const { etcd: _, etcd3: __, ...table } = localTable;
  eachSetting(table, (path, row, around) => {
    const [name, ...former] = variableNames(path.at(-1)!, row, around);
    if (name === undefined) return;
    names.push({ name: `${PREFIX}${name}`, path, kind: row.envKind });
    const kind = row.envKind === 'format' ? 'text' : row.envKind;
    older.push(...former.map((old) => ({ name: `${PREFIX}${old}`, path, kind })));
  });
  return [...older, ...names];
}

/** Any `PATRONI_<STORE>_<SUFFIX>`, etcd's among them. */
const DCS_SUFFIXES: Readonly<Record<string, EnvKind>> = {
  ...Object.fromEntries(
    words(
      'TOKEN DC CONSISTENCY SERVICE_CHECK_INTERVAL SERVICE_CHECK_TLS_SERVER_NAME NAMESPACE CONTEXT SCOPE_LABEL ROLE_LABEL POD_IP RETRIABLE_HTTP_CODES KEY_PASSWORD USE_SSL LEADER_LABEL_VALUE FOLLOWER_LABEL_VALUE STANDBY_LEADER_LABEL_VALUE TMP_ROLE_LABEL',
    ).map((suffix) => [suffix, 'text' as const]),
  ),
  ...Object.fromEntries(words('VERIFY REGISTER_SERVICE USE_ENDPOINTS BYPASS_API_SERVICE').map((suffix) => [suffix, 'bool' as const])),
  ...Object.fromEntries(words('CHECKS SERVICE_TAGS PORTS').map((suffix) => [suffix, 'list' as const])),
  ...Object.fromEntries(words('LABELS SET_ACLS AUTH_DATA BOOTSTRAP_LABELS').map((suffix) => [suffix, 'map' as const])),
  ...Object.fromEntries(
    Object.entries(localTable.etcd3.keys)
      .filter(([key]) => !LOGIN.includes(key))
      .map(([key, row]) => [key.toUpperCase(), row.envKind]),
  ),
};

const BY_NAME = new Map(VARIABLES.map((variable) => [variable.name, variable]));

/** Never throws. An empty variable counts as absent. */
export function readEnvironment(env: Environment): EnvironmentConfig {
  const reader = new Reader();
  const names = Object.keys(env).filter((name) => name.startsWith(PREFIX) && name !== WHOLE_CONFIGURATION);
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
    this.raw = patchMerge(this.raw, nested(variable.path, value));
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

const MISTAKES: Readonly<Record<EnvKind, readonly [string, string]>> = {
  text: ['not a text', 'write a text'],
  int: ['not a whole number', 'write a whole number'],
  bool: ['neither true nor false', "write 'true' or 'false'"],
  list: ['not a list', "write 'a,b' or a YAML list such as '[a, b]'"],
  format: ['not a text', 'write a text'],
  map: ['not a mapping', "write a YAML mapping such as '{a: b}'"],
};

function convert(variable: Variable, text: string): JsonValue | undefined {
  switch (variable.kind) {
    case 'text':
      return text;
    case 'format':
      return logFormat(text);
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
