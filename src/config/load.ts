/**
 * The local configuration, from wherever it comes, checked and ready.
 * Everything that is wrong is reported at once, each with its place and mend.
 */

import type { LocalSettings } from '../core/settings.ts';
import type { JsonObject } from '../support/json.ts';
import { buildLocal } from './build-local.ts';
import { checkLocal } from './checks.ts';
import { dropEmptySections, parseTolerant, remarksOn, restoreTexts, tolerate, unknownKeys, without } from './conform.ts';
import { type DcsBlock, dcsBlockOf } from './dcs-block.ts';
import type { Environment } from './env.ts';
import { homeForPassfile } from './home.ts';
import { hasCommand, isMapping, own } from './merge.ts';
import { deriveAddresses, normalizeLocal } from './normalize.ts';
import { ConfigError, type ConfigProblem, type Finding, formatProblem, type Place, placed, sortProblems } from './problems.ts';
import { readSources } from './sources.ts';
import { isSyncNamesProblem } from './sync-names-findings.ts';
import { localTable, OTHER_DCS } from './table.ts';

export interface LoadOptions {
  /** A file or a directory; null: PATRONI_CONFIGURATION, or the other PATRONI_* variables alone. */
  readonly path: string | null;
  readonly env: Environment;
}

export interface LoadResult {
  readonly local: LocalSettings;
  /**
   * Merged from all sources, settings moved where they belong. Holds passwords: `redact()` it
   * before printing.
   */
  readonly raw: JsonObject;
  /** Without what the cluster's synchronous_mode decides: see `syncNamesPlace`. */
  readonly warnings: readonly ConfigProblem[];
  /**
   * Where a list of standbys was written that has to be judged by the synchronous_mode in force;
   * null: none.
   */
  readonly syncNamesPlace: Place | null;
  /** The tutorial's `dcs` at the top level, as far as it counts; null: there is none. */
  readonly dcsBlock: DcsBlock | null;
  /** `patroni.yml, environment` */
  readonly source: string;
  /** Variables to keep from child processes. */
  readonly consumed: readonly string[];
}

/** Throws ConfigError with every problem found. */
export function loadLocal(options: LoadOptions): LoadResult {
  const examined = examineLocal(options);
  if (examined.local === null) throw new ConfigError(examined.problems);
  const { local, raw, problems, dcsBlock, source, consumed } = examined;
  const warnings = problems.filter((problem) => !isSyncNamesProblem(problem));
  return { local, raw, warnings, syncNamesPlace: problems.find(isSyncNamesProblem) ?? null, dcsBlock, source, consumed };
}

/**
 * Settings of a configuration that was read and put right before (LoadResult.raw); null when they
 * contradict each other.
 */
export function settingsOf(raw: JsonObject, env: Environment): LocalSettings | null {
  const { data, findings } = parseTolerant(localTable, raw);
  const checked = checkLocal(data, raw);
  if ([...findings, ...checked].some((finding) => finding.severity === 'error')) return null;
  const obstacle = checked.find((finding) => finding.noBootstrap) ?? null;
  return buildLocal(data, raw, { home: homeForPassfile(env['HOME']), bootstrapRefusal: refusalOf(raw, obstacle) });
}

export interface Examined {
  /** Null when there are errors. */
  readonly local: LocalSettings | null;
  readonly raw: JsonObject;
  readonly problems: readonly ConfigProblem[];
  readonly dcsBlock: DcsBlock | null;
  readonly source: string;
  readonly consumed: readonly string[];
}

/** As loadLocal, without throwing. */
export function examineLocal({ path, env }: LoadOptions): Examined {
  const sources = readSources(path, env);
  const { places, description: source, consumed } = sources;
  const problems: ConfigProblem[] = [...sources.problems];
  const dcsPlace = places.of(['dcs']);
  const add = (findings: readonly Finding[]) => problems.push(...findings.map((finding) => placed(finding, places.of(finding.path))));
  const end = (local: LocalSettings | null, raw: JsonObject): Examined => ({
    local,
    raw,
    problems: sortProblems(problems),
    dcsBlock: dcsBlockOf(sources.raw, raw, dcsPlace),
    source,
    consumed,
  });

  // After a syntax error the rest would be reported as missing.
  if (problems.some((problem) => problem.severity === 'error' && problem.path === '')) return end(null, sources.raw);
  if (Object.keys(sources.raw).length === 0) {
    const mend = 'name a configuration file, or set PATRONI_* variables';
    add([{ path: [], message: 'the configuration is empty', mend, severity: 'error' }]);
    return end(null, sources.raw);
  }
  const normalized = normalizeLocal(sources.raw);
  add(normalized.findings);
  for (const { from, to } of normalized.moves) places.move(from, to);
  const filled = dropEmptySections(localTable, normalized.raw);
  add(filled.findings);
  const derived = deriveAddresses(filled.raw);
  add(derived.findings);
  const restored = restoreTexts(localTable, derived.raw, places);
  add(restored.findings);
  const parsed = parseTolerant(localTable, restored.raw);
  const { findings, dropped } = tolerate(localTable, parsed.findings);
  const raw = without(restored.raw, dropped);
  const checked = checkLocal(parsed.data, restored.raw);
  add(findings.map(withConsequence));
  add(checked.map(withConsequence));
  add(remarksOn(localTable, raw).filter(({ path }) => !checked.some((other) => other.path.join('.') === path.join('.'))));
  add(unknownKeys(localTable, raw, (parent, key) => isExtra(raw, parent, key)));
  const broken = problems.some((problem) => problem.severity === 'error');
  const obstacle = [...findings, ...checked].find((finding) => finding.noBootstrap) ?? null;
  return end(
    broken ? null : buildLocal(parsed.data, raw, { home: homeForPassfile(env['HOME']), bootstrapRefusal: refusalOf(raw, obstacle) }),
    raw,
  );
}

function withConsequence(finding: Finding): Finding {
  return finding.noBootstrap ? { ...finding, message: `${finding.message}; this node makes no new cluster as long as it stands` } : finding;
}

/** Why this node makes no new cluster; null: it does where there is none. */
function refusalOf(raw: JsonObject, obstacle: Finding | null): string | null {
  if (own(raw, 'bootstrap') === undefined) {
    return "its configuration has no section 'bootstrap'; to let it, write 'bootstrap:' and below it, indented, 'method: initdb'";
  }
  return obstacle === null ? null : formatProblem({ ...placed(obstacle, NOWHERE) });
}

const NOWHERE: Place = { file: '', line: null, column: null };

/** Keys that name something of the user's own. */
function isExtra(raw: JsonObject, parent: readonly string[], key: string): boolean {
  if (parent.length === 0) return OTHER_DCS.includes(key) || key.startsWith('x-');
  if (parent.length > 1) return false;
  const section = own(raw, parent[0]!);
  if (parent[0] === 'bootstrap') return isMapping(section) && own(section, 'method') === key;
  if (parent[0] !== 'postgresql' || !isMapping(section)) return false;
  const methods = own(section, 'create_replica_methods');
  const names =
    typeof methods === 'string' ? methods.split(',').map((name) => name.trim()) : isMapping(methods) ? Object.keys(methods) : methods;
  // standby_cluster, which may be in etcd alone, names methods too.
  return (Array.isArray(names) && names.includes(key)) || hasCommand(own(section, key));
}
