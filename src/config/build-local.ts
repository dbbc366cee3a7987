/** Checked sections to LocalSettings: what the table of settings does not say by itself. */

import type { BootstrapSettings, CtlSettings, LocalSettings, LogSettings, RestSettings } from '../core/settings.ts';
import type { JsonObject } from '../support/json.ts';
import { buildEtcd } from './build-etcd.ts';
import { buildPostgres, type Identity } from './build-postgres.ts';
import { bracketed } from './hostport.ts';
import { isMapping, own } from './merge.ts';
import { made } from './setting.ts';
import { type LocalParsed, localTable } from './table.ts';

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
    namespace: trimSlashes(made(localTable, parsed).namespace),
    etcd: buildEtcd(parsed),
    restapi: buildRest(parsed.restapi!),
    ctl: buildCtl(parsed),
    postgresql: buildPostgres(parsed.postgresql!, isMapping(postgresql) ? postgresql : {}, identity),
    bootstrap: bootstrapRefusal === null ? buildBootstrap(parsed.bootstrap, raw) : null,
    bootstrapRefusal,
    watchdog: made(localTable.watchdog.keys, parsed.watchdog),
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
  const plain = made(localTable.restapi.keys, parsed);
  return {
    ...plain,
    // `*` is Patroni's word; sockets know only addresses.
    listenHost: listen.hosts[0] === '*' ? '0.0.0.0' : listen.hosts[0]!,
    listenPort: listen.port,
    connectAddress: `${bracketed(connect.hosts[0]!)}:${connect.port}`,
    authentication: login(parsed.authentication),
    keyfile: parsed.keyfile ?? parsed.certfile ?? null,
    verifyClient: parsed.certfile === undefined ? 'none' : plain.verifyClient,
  };
}

function login(parsed: RestParsed['authentication']): { readonly username: string; readonly password: string } | null {
  return parsed?.username === undefined ? null : { username: parsed.username, password: parsed.password ?? '' };
}

/**
 * Credentials and CA fall back to those of the REST server; certificates do not
 * (docs/dialect.md, "HTTP clients").
 */
function buildCtl(parsed: LocalParsed): CtlSettings {
  const { ctl, restapi } = parsed;
  return {
    ...made(localTable.ctl.keys, ctl),
    cacert: ctl?.cacert ?? restapi?.cafile ?? null,
    keyfile: ctl?.keyfile ?? ctl?.certfile ?? null,
    authentication: login(ctl?.authentication) ?? login(restapi?.authentication),
  };
}

function buildBootstrap(parsed: LocalParsed['bootstrap'], raw: JsonObject): BootstrapSettings | null {
  if (!parsed) return null;
  const section = own(raw, 'bootstrap');
  const plain = made(localTable.bootstrap.keys, parsed);
  const { method } = plain;
  const options = method === 'initdb' || !isMapping(section) ? undefined : own(section, method);
  const custom = isMapping(options) && typeof own(options, 'command') === 'string';
  return {
    ...plain,
    method: custom ? method : 'initdb',
    methodOptions: custom ? options : null,
  };
}

function buildTags(parsed: LocalParsed['tags']): LocalSettings['tags'] {
  return Object.fromEntries(Object.entries(parsed ?? {}).filter(([, value]) => value !== undefined));
}

export function buildLog(parsed: LocalParsed['log']): LogSettings {
  const plain = made(localTable.log.keys, parsed);
  // The log reads a list of fields as JSON text.
  return { ...plain, format: typeof plain.format === 'string' ? plain.format : JSON.stringify(plain.format) };
}
