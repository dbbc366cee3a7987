/** Checked sections to LocalSettings. Defaults: patroni-compat 2.4. */

import type { BootstrapSettings, CtlSettings, LocalSettings, LogSettings, RestSettings, WatchdogSettings } from '../core/settings.ts';
import type { JsonObject } from '../support/json.ts';
import { buildEtcd } from './build-etcd.ts';
import { buildPostgres, type Identity } from './build-postgres.ts';
import { bracketed } from './hostport.ts';
import { isMapping, own } from './merge.ts';
import type { LocalParsed } from './schema.ts';

/** `parsed` must be free of errors, required settings included; `raw` is what it was read from. */
export function buildLocal(
  parsed: LocalParsed,
  raw: JsonObject,
  { home, bootstrapRefusal }: { readonly home: string | null; readonly bootstrapRefusal: string | null },
): LocalSettings {
  const name = parsed.name!;
  const identity: Identity = { name, home };
  const postgresql = own(raw, 'postgresql');
  return {
    scope: parsed.scope!,
    name,
    namespace: trimSlashes(parsed.namespace ?? 'service'),
    etcd: buildEtcd(parsed),
    restapi: buildRest(parsed.restapi!),
    ctl: buildCtl(parsed),
    postgresql: buildPostgres(parsed.postgresql!, isMapping(postgresql) ? postgresql : {}, identity),
    bootstrap: bootstrapRefusal === null ? buildBootstrap(parsed.bootstrap, raw) : null,
    bootstrapRefusal,
    watchdog: buildWatchdog(parsed.watchdog),
    tags: buildTags(parsed.tags),
    log: buildLog(parsed.log),
  };
}

function trimSlashes(namespace: string): string {
  return namespace.replace(/\/+/g, '/').replace(/^\/|\/$/g, '');
}

type RestParsed = NonNullable<LocalParsed['restapi']>;

function buildRest(parsed: RestParsed): RestSettings {
  const listen = parsed.listen!;
  const connect = parsed.connect_address!;
  return {
    // `*` is Patroni's word; sockets know only addresses.
    listenHost: listen.hosts[0] === '*' ? '0.0.0.0' : listen.hosts[0]!,
    listenPort: listen.port,
    connectAddress: `${bracketed(connect.hosts[0]!)}:${connect.port}`,
    authentication: login(parsed.authentication),
    certfile: parsed.certfile ?? null,
    keyfile: parsed.keyfile ?? parsed.certfile ?? null,
    keyfilePassword: parsed.keyfile_password ?? null,
    cafile: parsed.cafile ?? null,
    ciphers: parsed.ciphers ?? null,
    verifyClient: parsed.certfile === undefined ? 'none' : (parsed.verify_client ?? 'none'),
    allowlist: parsed.allowlist ?? [],
    allowlistIncludeMembers: parsed.allowlist_include_members ?? false,
    httpExtraHeaders: parsed.http_extra_headers ?? {},
    httpsExtraHeaders: parsed.https_extra_headers ?? {},
    serverTokens: parsed.server_tokens ?? 'original',
  };
}

function login(parsed: RestParsed['authentication']): { readonly username: string; readonly password: string } | null {
  return parsed?.username === undefined ? null : { username: parsed.username, password: parsed.password ?? '' };
}

/**
 * Credentials and CA fall back to those of the REST server; certificates do not (patroni-compat
 * 2.11).
 */
function buildCtl(parsed: LocalParsed): CtlSettings {
  const { ctl, restapi } = parsed;
  return {
    insecure: ctl?.insecure ?? false,
    cacert: ctl?.cacert ?? restapi?.cafile ?? null,
    certfile: ctl?.certfile ?? null,
    keyfile: ctl?.keyfile ?? ctl?.certfile ?? null,
    keyfilePassword: ctl?.keyfile_password ?? null,
    authentication: login(ctl?.authentication) ?? login(restapi?.authentication),
  };
}

function buildBootstrap(parsed: LocalParsed['bootstrap'], raw: JsonObject): BootstrapSettings | null {
  if (!parsed) return null;
  const section = own(raw, 'bootstrap');
  const method = parsed.method ?? 'initdb';
  const options = method === 'initdb' || !isMapping(section) ? undefined : own(section, method);
  const custom = isMapping(options) && typeof own(options, 'command') === 'string';
  return {
    dcs: parsed.dcs ?? {},
    method: custom ? method : 'initdb',
    initdb: parsed.initdb ?? [],
    postBootstrap: parsed.post_bootstrap ?? null,
    pgHba: parsed.pg_hba ?? [],
    methodOptions: custom ? options : null,
  };
}

function buildWatchdog(parsed: LocalParsed['watchdog']): WatchdogSettings {
  return { mode: parsed?.mode ?? 'automatic', device: parsed?.device ?? '/dev/watchdog', safetyMarginSeconds: parsed?.safety_margin ?? 5 };
}

function buildTags(parsed: LocalParsed['tags']): LocalSettings['tags'] {
  return Object.fromEntries(Object.entries(parsed ?? {}).filter(([, value]) => value !== undefined));
}

function buildLog(parsed: LocalParsed['log']): LogSettings {
  const format = parsed?.format ?? '%(asctime)s %(levelname)s: %(message)s';
  return {
    type: parsed?.type ?? 'plain',
    level: parsed?.level ?? 'INFO',
    // The log reads a list of fields as JSON text.
    format: typeof format === 'string' ? format : JSON.stringify(format),
    dateformat: parsed?.dateformat ?? null,
    dir: parsed?.dir ?? null,
    fileNum: parsed?.file_num ?? 4,
    fileSizeBytes: parsed?.file_size ?? 25_000_000,
    mode: parsed?.mode ?? null,
    staticFields: parsed?.static_fields ?? {},
    deduplicateHeartbeatLogs: parsed?.deduplicate_heartbeat_logs ?? false,
  };
}
