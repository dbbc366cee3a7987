/**
 * The cluster-wide configuration (`config` key in etcd, `bootstrap.dcs` before there is one) to
 * DynamicSettings.
 */

import type { DynamicSettings } from '../core/settings.ts';
import { isUserRecoveryGuc, RECOVERY_GUCS } from '../pgconf/guc-table.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { parseTolerant, remarksOn, unknownKeys, without } from './conform.ts';
import { controlledValues } from './gucs.ts';
import { hasCommand, isMapping, own, patchMerge } from './merge.ts';
import { modernPostgres } from './normalize.ts';
import { type ConfigProblem, type Finding, placed } from './problems.ts';
import { clusterWideFindings, roleParameters } from './role-parts.ts';
import { made } from './setting.ts';
import { ignoreFindings, readSlots, walLevelFindings, withShortSlots } from './slots.ts';
import { readStandbyCluster } from './standby-cluster.ts';
import { syncNamesFindings } from './sync-names-findings.ts';
import { type DynamicParsed, dynamicTable, type SharedParsed } from './table.ts';
import { postgresDynamicOnly, postgresLocal } from './table-postgres.ts';
import { fitTiming, outOfRange } from './timing.ts';

/** Name under which problems of the etcd key are reported. */
export const DYNAMIC_SOURCE = 'dynamic configuration';

const PLACE = { file: DYNAMIC_SOURCE, line: null, column: null };

/** Never throws: what is invalid takes its default and is a problem; `raw` is kept whole. */
export function resolveDynamic(raw: JsonObject): { readonly dynamic: DynamicSettings; readonly problems: readonly ConfigProblem[] } {
  const { dynamic, findings } = readDynamic(isMapping(raw) ? raw : {});
  return { dynamic, problems: findings.map((finding) => placed(finding, PLACE)) };
}

/**
 * Problems of a PATCH (nulls delete) or, with `current` {}, of a whole new configuration. Only what
 * the patch touches is reported: an old mistake must not stand in the way of a new value. Errors
 * mean that the patch should be refused.
 */
export function validateDynamicPatch(patch: JsonObject, current: JsonObject = {}): readonly ConfigProblem[] {
  const { raw: named } = renameAliases(patch);
  const timings = ['ttl', 'loop_wait', 'retry_timeout'];
  const timed = timings.some((key) => own(named, key) !== undefined);
  return readDynamic(patchMerge(current, patch), true)
    .findings.filter(
      (finding) => touches(named, finding.path) || touches(patch, finding.path) || (timed && timings.includes(finding.path[0]!)),
    )
    .map((finding) => placed(finding, PLACE));
}

/**
 * What an operator's change would bring that is out of range and would be raised to what is
 * possible. Errors.
 */
export function outOfRangeProblems(after: JsonObject): readonly ConfigProblem[] {
  return outOfRange(after).map((finding) => placed(finding, PLACE));
}

function touches(patch: JsonObject, path: readonly string[]): boolean {
  let value: JsonValue = patch;
  for (const key of path) {
    if (!isMapping(value)) return true;
    const below: JsonValue | undefined = own(value, key);
    if (below === undefined) return false;
    value = below;
  }
  return true;
}

/** `isAsked`: what is an error is going to be refused, so that nothing is used instead of it. */
export function readDynamic(
  raw: JsonObject,
  isAsked = false,
): { readonly dynamic: DynamicSettings; readonly findings: readonly Finding[] } {
  const { raw: named, findings: aliases } = renameAliases(withShortSlots(patchMerge({}, raw), raw));
  const { data, findings: invalid } = parseTolerant(dynamicTable, named);
  const defaulted = invalid.map((finding) => {
    if (isAsked && finding.severity === 'error') return finding;
    return { ...finding, message: `${finding.message}; ${isTop(finding) ? 'the default is used' : 'it is ignored'}` };
  });
  const plain = made(dynamicTable, data);
  const { timing, findings: timings } = fitTiming({
    ttl: plain.ttlSeconds,
    loop_wait: plain.loopWaitSeconds,
    retry_timeout: plain.retryTimeoutSeconds,
  });
  const standbyCluster = readStandbyCluster(data.standby_cluster);
  const { slots, slotsElsewhere, findings: slotFindings } = readSlots(data.slots, standbyCluster.settings !== null);
  const valid = without(
    named,
    invalid.map((finding) => finding.path),
  );
  const postgresql = own(valid, 'postgresql');
  const old = isMapping(postgresql) ? modernPostgres(postgresql) : { raw: {} };
  const least = plain.synchronousModeStrict ? 1 : 0;
  const dynamic: DynamicSettings = {
    ...plain,
    ttlSeconds: timing.ttl,
    loopWaitSeconds: timing.loop_wait,
    retryTimeoutSeconds: timing.retry_timeout,
    synchronousNodeCount: Math.max(plain.synchronousNodeCount, least),
    ...made(postgresDynamicOnly, data.postgresql),
    slots,
    slotsElsewhere,
    postgresql: old.raw,
    standbyCluster: standbyCluster.settings,
    ...(standbyCluster.settings === null ? {} : NOTHING_TO_CONFIRM),
    raw,
  };
  return {
    dynamic,
    findings: [
      ...aliases,
      ...defaulted,
      ...timings,
      ...slotFindings,
      ...walLevelFindings(slots, controlledValues(data.postgresql?.parameters ?? {}).commandLine),
      ...ignoreFindings(plain.ignoreSlots),
      ...standbyCluster.findings,
      ...judge(named, data),
    ],
  };
}

/** In a standby cluster, whatever is configured: it acknowledges no commit. */
const NOTHING_TO_CONFIRM = { synchronousMode: 'off', failsafeMode: false, failoverOnRefusal: false } as const;

const isTop = (finding: Finding) => finding.path.length === 1;

/** Older names, most preferred first. */
const DYNAMIC_ALIASES: Readonly<Record<string, string>> = {
  master_start_timeout: 'primary_start_timeout',
  master_stop_timeout: 'primary_stop_timeout',
  permanent_slots: 'slots',
  permanent_replication_slots: 'slots',
};

function renameAliases(raw: JsonObject): { raw: JsonObject; findings: Finding[] } {
  const result = new Map(Object.entries(raw));
  const findings: Finding[] = [];
  for (const [alias, name] of Object.entries(DYNAMIC_ALIASES)) {
    const value = result.get(alias);
    if (value === undefined) continue;
    result.delete(alias);
    // Patroni prefers the old names of `slots` where they name any, but the new names of the
    // timeouts.
    const names = name === 'slots' && !(isMapping(value) && Object.keys(value).length === 0);
    if (names || !result.has(name)) result.set(name, value);
    findings.push({ path: [alias], message: `'${alias}' is an old name`, mend: `write '${name}'`, severity: 'warning' });
  }
  return { raw: Object.fromEntries(result), findings };
}

/** What can be read and yet is not meant so. */
function judge(raw: JsonObject, data: DynamicParsed): Finding[] {
  const methods = data.postgresql?.create_replica_methods ?? [];
  const section = own(raw, 'postgresql');
  const postgresql = isMapping(section) ? section : {};
  const isKnown = (key: string) => Object.hasOwn(postgresLocal, key) || methods.includes(key) || hasCommand(postgresql[key]);
  const findings = unknownKeys(dynamicTable, raw, (path, key) => path.length === 1 && path[0] === 'postgresql' && isKnown(key));
  for (const key of Object.keys(postgresql)) {
    if (!Object.hasOwn(postgresLocal, key)) continue;
    findings.push({
      path: ['postgresql', key],
      message: `'${key}' belongs to one node; it is ignored here`,
      mend: "write it in the node's own file",
      severity: 'warning',
    });
  }
  const parameters = data.postgresql?.parameters ?? {};
  for (const finding of controlledValues(parameters).findings)
    findings.push({ ...finding, path: ['postgresql', 'parameters', ...finding.path] });
  findings.push(
    ...recoveryFindings(parameters, ['postgresql', 'parameters']),
    ...recoveryFindings(data.postgresql?.recovery_conf ?? {}, ['postgresql', 'recovery_conf']),
  );
  const mode = data.synchronous_mode ?? 'off';
  findings.push(...syncNamesFindings(parameters, ['postgresql', 'parameters'], mode, null));
  findings.push(...roleFindings(data.postgresql ?? {}, mode, null), ...accessFindings(raw));
  return findings;
}

/** Of the lines of pg_hba.conf and pg_ident.conf. */
const accessFindings = (raw: JsonObject) =>
  remarksOn(dynamicTable, raw).filter(({ path }) => path[0] === 'postgresql' && /^pg_(hba|ident)/.test(path[1] ?? ''));

/** What is said of the parameters of each role. `me` null: the settings of all members. */
export function roleFindings(parsed: SharedParsed, mode: DynamicSettings['synchronousMode'], me: string | null): Finding[] {
  return roleParameters(parsed).flatMap(([key, map]) => {
    const path = ['postgresql', key];
    return [...clusterWideFindings(map, path), ...syncNamesFindings(map, path, mode, me), ...recoveryFindings(map, path)];
  });
}

/** Recovery parameters Regent sets itself. */
export function recoveryFindings(parameters: Readonly<Record<string, string>>, path: readonly string[]): Finding[] {
  return Object.keys(parameters)
    .filter((name) => RECOVERY_GUCS.has(name.toLowerCase()) && !isUserRecoveryGuc(name))
    .map((name) => ({
      path: [...path, name],
      message: `${name} is set by Regent itself; it is ignored`,
      mend: 'remove it',
      severity: 'warning',
    }));
}
