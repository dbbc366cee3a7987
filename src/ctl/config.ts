/**
 * What the operator's tool needs from the configuration: a full agent file, or a file that names
 * only scope and etcd. Nothing else is checked, so that a mistake elsewhere in the file does not
 * keep the operator from looking at the cluster. Sources and precedence:
 * docs/dialect.md, "Where settings come from" and "The operator's tool".
 */
import { accessSync, constants } from 'node:fs';
import { buildEtcd, endpointTexts, readEndpoint } from '../config/build-etcd.ts';
import type { Environment } from '../config/env.ts';
import type { Places } from '../config/places.ts';
import { formatProblem } from '../config/problems.ts';
import { readSources } from '../config/sources.ts';
import type { EtcdParsed } from '../config/table.ts';
import { parseBool, parseInteger } from '../config/values.ts';
import type { Credentials, CtlSettings, EtcdSettings } from '../core/settings.ts';
import { CREDENTIAL_KEYWORDS } from '../pgconf/conninfo.ts';
import { isJsonObject } from '../support/big-json.ts';
import { ensureError } from '../support/errors.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { defaultPath, saysCluster } from './demo-fallback.ts';
import { CtlError } from './errors.ts';

export type RestAccess = CtlSettings;

export interface GlobalOptions {
  readonly configFile?: string;
  readonly dcs?: string;
  readonly insecure?: boolean;
}

export interface CtlConfig {
  /** The file that was read. Null: none. */
  readonly path: string | null;
  /** Null: the command line must name the cluster. */
  readonly scope: string | null;
  readonly namespace: string;
  /** Has no endpoints if the file, the environment and -d name none. */
  readonly etcd: EtcdSettings;
  readonly rest: RestAccess;
  readonly superuser: Credentials | null;
  /** Who streams from other members; null: the file names nobody. */
  readonly replication: Credentials | null;
  /** `ctl.haproxy_url`, a setting of Regent's own: where `health` looks. */
  readonly haproxyUrl: string | null;
  /** `ctl.list_lsn`: which columns tables have. Null: the name of the tool decides. */
  readonly listLsn: boolean | null;
  /** Of Citus: the group whose cluster some commands mean by default. */
  readonly citusGroup: number | null;
  /**
   * Nothing says which cluster is meant, so a demo was looked for (withDemo), and there is none.
   */
  readonly noDemo: boolean;
}

/** Throws CTL_CONFIG. */
export function loadCtlConfig(options: GlobalOptions, env: Environment): CtlConfig {
  const path = pathOf(options, env);
  const { raw, places, problems } = readSources(path, env);
  const syntax = problems.filter((problem) => problem.severity === 'error');
  if (syntax.length > 0) throw new CtlError('CTL_CONFIG', syntax.map(formatProblem).join('\n'));
  const settings = new Reader(raw, places);
  const url = options.dcs ?? env['DCS_URL'];
  const given = url ? dcsFromUrl(url) : null;
  return {
    path,
    scope: settings.text('scope') ?? settings.text('postgresql', 'scope'),
    namespace: given?.namespace ?? (settings.at('namespace') === '' ? '' : (settings.text('namespace') ?? 'service')),
    etcd: given?.etcd ?? etcdOf(settings),
    rest: restAccess(settings, options.insecure ?? false),
    superuser: credentialsOf(settings, 'superuser', 'postgres'),
    replication: credentialsOf(settings, 'replication', null),
    haproxyUrl: settings.text('ctl', 'haproxy_url'),
    listLsn: switchOf('REGENT_LIST_LSN', env['REGENT_LIST_LSN']) ?? switchOf('ctl.list_lsn', settings.at('ctl', 'list_lsn')),
    citusGroup: parseInteger(settings.at('citus', 'group')),
    noDemo: path === null && !saysCluster(env),
  };
}

/** Throws CTL_CONFIG when nothing says where etcd is. */
export function requireEtcd(config: CtlConfig): EtcdSettings {
  if (config.etcd.endpoints.length > 0 || config.etcd.srv !== null) return config.etcd;
  throw new CtlError(
    'CTL_CONFIG',
    `Can not find where etcd is: ${config.path === null ? 'no configuration was given' : `no etcd3 section in ${config.path}`}`,
    `${config.noDemo ? 'No demo runs here; ./regent demo starts one. For another cluster: give' : 'Give'} the configuration file of a node (-c FILE), set PATRONI_ETCD3_HOSTS, or name an etcd member (-d etcd3://host:2379).`,
  );
}

/** Null: no file. The default file need not exist. */
function pathOf(options: GlobalOptions, env: Environment): string | null {
  const named = options.configFile ?? env['PATRONICTL_CONFIG_FILE'];
  const path = named || defaultPath(env);
  try {
    accessSync(path, constants.R_OK);
    return path;
  } catch (error) {
    if (!named) return null;
    const message = `Provided config file ${path} not existing or no read rights. Check the -c/--config-file parameter`;
    throw new CtlError('CTL_CONFIG', message, ensureError(error).message);
  }
}

function switchOf(name: string, value: JsonValue | undefined): boolean | null {
  if (value === undefined || value === null || value === '') return null;
  const read = parseBool(value);
  if (read === null) throw new CtlError('CTL_CONFIG', `${name}: '${String(value)}' is neither on nor off`);
  return read;
}

/** Scalars of the configuration exactly as written: YAML would turn the password 0123 into 83. */
class Reader {
  readonly #raw: JsonObject;
  readonly #places: Places;

  constructor(raw: JsonObject, places: Places) {
    this.#raw = raw;
    this.#places = places;
  }

  at(...path: string[]): JsonValue | undefined {
    let value: JsonValue | undefined = this.#raw;
    for (const key of path) value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    return value;
  }

  /** Null for a missing value, for '' and for structures. */
  text(...path: string[]): string | null {
    const value = this.at(...path);
    if (value === undefined || value === null || value === '' || typeof value === 'object') return null;
    return typeof value === 'string' ? value : (this.#places.source(path) ?? String(value));
  }

  flag(...path: string[]): boolean {
    return parseBool(this.at(...path)) === true;
  }
}

/** `[scheme://]host[:port][/namespace]`, several hosts separated by commas. */
function dcsFromUrl(url: string): { etcd: EtcdSettings; namespace: string | null } {
  const match = /^(?:([a-z0-9+]+):\/\/)?([^/]+)(?:\/(.*))?$/i.exec(url.trim());
  const scheme = match?.[1]?.toLowerCase() ?? 'etcd3';
  if (!match || !['etcd', 'etcd3', 'http', 'https'].includes(scheme)) {
    throw new CtlError(
      'CTL_CONFIG',
      `Unknown dcs scheme: ${match?.[1] ?? url}`,
      'Regent keeps its state in etcd: write etcd3://host:2379.',
    );
  }
  const section: EtcdParsed = { hosts: hostList(match[2]), protocol: scheme === 'https' ? 'https' : 'http' };
  return { etcd: checkedEtcd(section), namespace: match[3]?.replace(/\/+$/, '') || null };
}

function etcdOf(settings: Reader): EtcdSettings {
  const name = settings.at('etcd3') === undefined ? 'etcd' : 'etcd3';
  const text = (key: string) => settings.text(name, key) ?? undefined;
  const texts = { url: text('url'), proxy: text('proxy'), srv: text('srv'), srv_suffix: text('srv_suffix') };
  const login = { username: text('username'), password: text('password') };
  const files = { cacert: text('cacert'), cert: text('cert'), key: text('key') };
  const [hosts, [host]] = [hostList(settings.at(name, 'hosts')), hostList(settings.at(name, 'host'))];
  const port = parseInteger(settings.at(name, 'port')) ?? undefined;
  const protocol = text('protocol')?.toLowerCase() === 'https' ? ('https' as const) : ('http' as const);
  return checkedEtcd({ ...texts, ...login, ...files, hosts, host, port, protocol, use_proxies: settings.flag(name, 'use_proxies') });
}

function checkedEtcd(section: EtcdParsed): EtcdSettings {
  for (const { path, text } of endpointTexts(section)) {
    // A URL may contain a password.
    const shown = ['url', 'proxy'].includes(path[0]!) ? path[0] : text;
    const read = readEndpoint(text, section);
    if (!read.ok) {
      const [wrong] = read.wrongs;
      throw new CtlError('CTL_CONFIG', `etcd address '${shown}': ${wrong.message}`, wrong.mend);
    }
  }
  return buildEtcd({ etcd3: section });
}

function hostList(value: JsonValue | undefined): string[] {
  const texts = Array.isArray(value) ? value.map(String) : typeof value === 'string' ? value.split(',') : [];
  return texts.map((text) => text.trim()).filter((text) => text !== '');
}

function restAccess(settings: Reader, insecure: boolean): RestAccess {
  return {
    insecure: insecure || settings.flag('ctl', 'insecure'),
    cacert: settings.text('ctl', 'cacert') ?? settings.text('restapi', 'cafile'),
    certfile: settings.text('ctl', 'certfile'),
    keyfile: settings.text('ctl', 'keyfile'),
    keyfilePassword: settings.text('ctl', 'keyfile_password'),
    authentication: authenticationOf(settings, 'ctl') ?? authenticationOf(settings, 'restapi'),
  };
}

function authenticationOf(settings: Reader, section: string): { username: string; password: string } | null {
  const username = settings.text(section, 'authentication', 'username');
  return username === null ? null : { username, password: settings.text(section, 'authentication', 'password') ?? '' };
}

/** `fallback`: the agent's default, for a file that gives a password and names no user. */
function credentialsOf(settings: Reader, role: 'superuser' | 'replication', fallback: string | null): Credentials | null {
  const text = (key: string) => settings.text('postgresql', 'authentication', role, key);
  const username = text('username') ?? (text('password') === null ? null : fallback);
  if (username === null) return null;
  const options = CREDENTIAL_KEYWORDS.flatMap((name) => {
    const value = text(name);
    return value === null ? [] : [[name, value] as const];
  });
  return { username, password: text('password'), options: Object.fromEntries(options) };
}
