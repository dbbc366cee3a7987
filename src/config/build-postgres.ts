/** `postgresql:` as read to PostgresSettings. */
import { constants, existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Callbacks, Credentials, PostgresSettings } from '../core/settings.ts';
import { CREDENTIAL_KEYWORDS } from '../pgconf/conninfo.ts';
import { isClusterWide, isUserRecoveryGuc, RECOVERY_GUCS } from '../pgconf/guc-table.ts';
import type { JsonObject } from '../support/json.ts';
import { isWritable } from './home.ts';
import { bracketed } from './hostport.ts';
import { isMapping } from './merge.ts';
import { made } from './setting.ts';
import type { LocalParsed, SharedParsed } from './table.ts';
import { postgresEverywhere, postgresLocal, postgresShared } from './table-postgres.ts';

type PostgresParsed = NonNullable<LocalParsed['postgresql']>;
const ALL_KEYS = { ...postgresLocal, ...postgresEverywhere };

type Shared = Omit<PostgresSettings, keyof ReturnType<typeof localPart>>;

/** What only this node can say. */
export interface Identity {
  readonly name: string;
  /** Where the default passfile may be written; null: nowhere there. */
  readonly home: string | null;
}

/** Required settings must have been checked. */
export function buildPostgres(parsed: PostgresParsed, raw: JsonObject, identity: Identity): PostgresSettings {
  return { ...localPart(parsed, identity), ...sharedPart(parsed, raw) };
}

function localPart(parsed: PostgresParsed, identity: Identity) {
  const dataDir = resolve(parsed.data_dir!);
  const superuser = credentials(parsed.authentication?.superuser, postgresLocal.authentication.keys.superuser.keys.username.fallback!);
  return {
    listenAddresses: parsed.listen!.hosts.join(','),
    port: parsed.listen!.port,
    connectHost: parsed.connect_address!.hosts[0]!,
    connectPort: parsed.connect_address!.port,
    proxyAddress: parsed.proxy_address ? `${bracketed(parsed.proxy_address.hosts[0]!)}:${parsed.proxy_address.port}` : null,
    dataDir,
    configBaseName: parsed.config_base_name ?? postgresLocal.config_base_name.fallback!,
    configDir: parsed.config_dir === undefined ? dataDir : resolve(parsed.config_dir),
    pgpass:
      parsed.pgpass === undefined
        ? defaultPgpass(dataDir, identity)
        : resolve(atHome(parsed.pgpass, identity) ?? defaultPgpass(dataDir, identity)),
    superuser,
    replication: credentials(parsed.authentication?.replication, ''),
    // Without a user of its own, pg_rewind works as the superuser.
    rewind: parsed.authentication?.rewind?.username === undefined ? superuser : credentials(parsed.authentication.rewind, ''),
  } as const;
}

/**
 * Patroni's place where there is a home; several nodes of one machine without one must not share a
 * file. In a parent that takes no file it lies within, under a name that base backups leave out.
 */
function defaultPgpass(dataDir: string, identity: Identity): string {
  if (identity.home !== null) return join(identity.home, 'pgpass');
  const parent = dirname(dataDir);
  const beside = join(parent, `.pgpass-${identity.name}`);
  const fits = !existsSync(parent) || isWritable(existsSync(beside) ? beside : parent, constants.W_OK);
  return fits ? beside : join(dataDir, 'pgsql_tmp.pgpass');
}

/** Null where the path is in a home directory that this user does not have. */
function atHome(path: string, { home }: Identity): string | null {
  if (!path.startsWith('~/')) return path;
  return home === null ? null : join(home, path.slice(2));
}

type CredentialsParsed = NonNullable<NonNullable<PostgresParsed['authentication']>['superuser']>;

function credentials(parsed: CredentialsParsed | undefined, fallback: string): Credentials {
  const options = CREDENTIAL_KEYWORDS.flatMap((name): [string, string][] => {
    const value = parsed?.[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { username: parsed?.username ?? fallback, password: parsed?.password || null, options: Object.fromEntries(options) };
}

/** What may also come from the dynamic configuration. `raw` is the map `parsed` was read from. */
export function sharedPart(parsed: SharedParsed, raw: JsonObject): Shared {
  const plain = made(postgresShared, parsed);
  // An empty list is none.
  const methods = plain.createReplicaMethods.length > 0 ? plain.createReplicaMethods : postgresShared.create_replica_methods.fallback!;
  // A standby cluster may name methods that this list does not.
  const methodOptions = Object.entries(raw).filter(
    (entry): entry is [string, JsonObject] => entry[0] !== 'basebackup' && !Object.hasOwn(ALL_KEYS, entry[0]) && isMapping(entry[1]),
  );
  const parameters = splitParameters(parsed.parameters ?? {});
  return {
    ...plain,
    binNames: defined(parsed.bin_name ?? {}),
    parameters: parameters.plain,
    recoveryConf: { ...parameters.recovery, ...userRecovery(parsed.recovery_conf ?? {}) },
    createReplicaMethods: methods,
    methodOptions: Object.fromEntries(methodOptions),
    callbacks: defined(parsed.callbacks ?? {}) as Callbacks,
    pgHba: linesOf(parsed.pg_hba),
    pgIdent: linesOf(parsed.pg_ident),
  };
}

/**
 * Of an empty list nothing is made, as by Patroni: PostgreSQL does not start with a pg_hba.conf
 * that has no line.
 */
export function linesOf(lines: readonly string[] | undefined): readonly string[] | null {
  return lines === undefined || lines.length === 0 ? null : lines;
}

function defined(map: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(map).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** Names in lower case; without what is cluster-wide; recovery parameters apart. */
export function splitParameters(parameters: Readonly<Record<string, string>>) {
  const lower = Object.entries(parameters).map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  const plain = lower.filter(([name]) => !isClusterWide(name) && !RECOVERY_GUCS.has(name));
  const recovery = lower.filter(([name]) => RECOVERY_GUCS.has(name) && isUserRecoveryGuc(name));
  return { plain: Object.fromEntries(plain), recovery: Object.fromEntries(recovery) };
}

function userRecovery(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const lower = Object.entries(map).map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  return Object.fromEntries(lower.filter(([name]) => isUserRecoveryGuc(name)));
}
