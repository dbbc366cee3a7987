/**
 * Local and dynamic settings laid over each other: what the agent and PostgreSQL run with. Rules:
 * docs/dialect.md, "Where settings come from" and "Controlled parameters".
 */

import type { DynamicSettings, LocalSettings, Settings } from '../core/settings.ts';
import type { JsonObject } from '../support/json.ts';
import { sharedPart } from './build-postgres.ts';
import { parseTolerant, without } from './conform.ts';
import { controlledValues } from './gucs.ts';
import { isMapping, own } from './merge.ts';
import { byRoleOf } from './role-parts.ts';
import { postgresEverywhere, postgresLocal } from './table-postgres.ts';

/**
 * Local keys win one by one, `parameters` name by name; cluster-wide parameters and use_slots count
 * in the dynamic configuration only. `rawLocal` is LoadResult.raw. Never throws: what the dynamic
 * configuration has wrong is left out (resolveDynamic reports it).
 */
export function resolveSettings(local: LocalSettings, rawLocal: JsonObject, dynamic: DynamicSettings): Settings {
  const here = mapping(own(rawLocal, 'postgresql'));
  const everywhere = Object.fromEntries(Object.entries(dynamic.postgresql).filter(([key]) => !Object.hasOwn(postgresLocal, key)));
  const merged: JsonObject = { ...everywhere, ...here };
  const shared = readShared(merged);
  const dynamicParameters = readShared(everywhere).data.parameters ?? {};
  const fromCluster = sharedPart(readShared(everywhere).data, everywhere);
  const controlled = controlledValues(dynamicParameters);
  const parameters: Record<string, string> = {
    wal_keep_size: controlled.walKeepSize,
    ...fromCluster.parameters,
    ...local.postgresql.parameters,
  };
  const finish = (given: Readonly<Record<string, string>>) => {
    // Under synchronous mode the list of standbys is Regent's: the user's own would acknowledge
    // what nobody vouches for.
    const { synchronous_standby_names: _, ...others } = given;
    return inConfigDir(dynamic.synchronousMode === 'off' ? given : others, local.postgresql.configDir);
  };
  const ownPart = sharedPart(shared.data, shared.valid);
  const postgresql = {
    ...local.postgresql,
    ...ownPart,
    parameters: finish(parameters),
    recoveryConf: { ...fromCluster.recoveryConf, ...local.postgresql.recoveryConf },
  };
  const byRole = byRoleOf(shared.data, postgresql, finish);
  return {
    local,
    dynamic,
    postgresql,
    controlledParameters: {
      listen_addresses: local.postgresql.listenAddresses,
      port: String(local.postgresql.port),
      cluster_name: local.scope,
      ...controlled.commandLine,
    },
    parameters: postgresql.parameters,
    ...(byRole && { byRole }),
  };
}

function readShared(raw: JsonObject) {
  const { data, findings } = parseTolerant(postgresEverywhere, raw);
  return {
    data,
    valid: without(
      raw,
      findings.map((finding) => finding.path),
    ),
  };
}

function mapping(value: unknown): JsonObject {
  return isMapping(value) ? value : {};
}

/** PostgreSQL would look for relative paths in the data directory. */
function inConfigDir(parameters: Readonly<Record<string, string>>, configDir: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => {
      const relative = (name === 'hba_file' || name === 'ident_file') && value !== '' && !value.startsWith('/');
      return [name, relative ? `${configDir}/${value}` : value];
    }),
  );
}
