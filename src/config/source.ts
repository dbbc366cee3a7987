/**
 * The settings in force: the local file, the environment, and the `config` key, laid over each
 * other and kept up to date.
 */
import type { ConfigKey } from '../core/cluster.ts';
import type { DynamicSettings, LocalSettings, Settings } from '../core/settings.ts';
import type { Log } from '../ports/log.ts';
import type { ReloadPreview, SettingsSource } from '../ports/settings.ts';
import { ensureError } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import { oneAtATime } from '../support/one-at-a-time.ts';
import { readDynamicCache, writeDynamicCache } from './cache.ts';
import { blockProblems } from './dcs-block.ts';
import { DYNAMIC_SOURCE, resolveDynamic } from './dynamic.ts';
import type { Environment } from './env.ts';
import { type LoadResult, loadLocal, settingsOf } from './load.ts';
import { localWins } from './local-wins.ts';
import { type ConfigProblem, formatProblem, placed } from './problems.ts';
import { changedKeys, type Part, partOf } from './reload-part.ts';
import { resolveSettings } from './resolve.ts';
import { syncNamesFindings } from './sync-names-findings.ts';

export interface SourceOptions {
  readonly path: string | null;
  readonly env: Environment;
  readonly loaded: LoadResult;
  readonly log: Log;
}

export function createSettingsSource(options: SourceOptions): SettingsSource {
  return new FileAndDcs(options);
}

class FileAndDcs implements SettingsSource {
  readonly #options: SourceOptions;
  #loaded: LoadResult;
  #dynamicRaw: JsonObject;
  #seenRevision: string | null = null;
  #refusesStandbyCluster = false;
  #settings: Settings;
  /**
   * Problems of the dynamic configuration already logged: each is told once, and again after it was
   * mended and came back.
   */
  #told: readonly string[] = [];

  constructor(options: SourceOptions) {
    this.#options = options;
    this.#loaded = options.loaded;
    // Without etcd the last configuration the cluster had is a better guess than the one it began
    // with. What was just said of bootstrap.dcs is not said once more of the configuration that is
    // made of it.
    this.#told = this.#loaded.warnings
      .filter(({ path }) => path.startsWith(BOOTSTRAP))
      .map(ofDynamic)
      .map(toldAs);
    this.#dynamicRaw = readDynamicCache(this.#loaded.local.postgresql.dataDir) ?? this.bootstrapConfig();
    this.#settings = this.#resolve();
  }

  current(): Settings {
    return this.#settings;
  }

  local(): LocalSettings {
    return this.#loaded.local;
  }

  bootstrapConfig(): JsonObject {
    return this.#loaded.local.bootstrap?.dcs ?? {};
  }

  adopt(key: ConfigKey | null, refuses = false): boolean {
    if (key === null || Object.keys(key.data).length === 0) return false;
    if (key.modRevision === this.#seenRevision && refuses === this.#refusesStandbyCluster) return false;
    this.#seenRevision = key.modRevision;
    this.#refusesStandbyCluster = refuses;
    this.#dynamicRaw = key.data;
    this.#settings = this.#resolve();
    return true;
  }

  preview({ data }: ConfigKey): Settings {
    return resolveSettings(this.#loaded.local, this.#loaded.raw, resolveDynamic(data).dynamic);
  }

  previewReload(): ReloadPreview {
    const read = this.#readAgain();
    if ('refusal' in read) {
      this.#options.log.error(read.refusal);
      return { refusal: read.refusal, waiting: [] };
    }
    return { refusal: null, waiting: read.part.waiting };
  }

  reload(): 'changed' | 'same' | 'refused' {
    const { log } = this.#options;
    const read = this.#readAgain();
    if ('refusal' in read) {
      log.error(read.refusal);
      return 'refused';
    }
    const { loaded, part } = read;
    for (const warning of loaded.warnings) log.warning(formatProblem(warning));
    const changed = changedKeys(this.#loaded.raw, part.raw);
    const what = changed.length === 0 ? '' : `: ${changed.join(', ')} changed`;
    log.info(what === '' ? 'No local configuration items changed.' : `configuration read again from ${loaded.source}${what}`);
    if (part.waiting.length > 0) log.warning(`not in force before the agent is restarted: ${part.waiting.join(', ')}`);
    if (changed.length === 0) return 'same';
    this.#loaded = { ...loaded, local: part.local, raw: part.raw };
    this.#settings = this.#resolve();
    return 'changed';
  }

  #readAgain(): { readonly loaded: LoadResult; readonly part: Part } | { readonly refusal: string } {
    const { path, env } = this.#options;
    try {
      const loaded = loadLocal({ path, env });
      const part = partOf(this.#loaded, loaded, (raw) => settingsOf(raw, env));
      if ('waiting' in part) return { loaded, part };
      return { refusal: `not reloaded: ${part.fixed.join(', ')} changed, and the agent has to be restarted for that` };
    } catch (error) {
      return { refusal: `the configuration was not reloaded, the old one stays in force: ${ensureError(error).message}` };
    }
  }

  save(): void {
    void this.#saving(undefined);
  }

  /** A copy or a rewind may have put another's in its place, so the file itself is looked at. */
  readonly #saving = oneAtATime(() => writeDynamicCache(this.#settings.postgresql.dataDir, this.#dynamicRaw));

  /** The file alone does not tell: the cluster's synchronous_mode decides what the list does. */
  #listOfStandbys(mode: DynamicSettings['synchronousMode']): ConfigProblem[] {
    const { local, syncNamesPlace } = this.#loaded;
    if (syncNamesPlace === null) return [];
    const findings = syncNamesFindings(local.postgresql.parameters, ['postgresql', 'parameters'], mode, local.name);
    return findings.map((finding) => placed(finding, syncNamesPlace));
  }

  #resolve(): Settings {
    const { standby_cluster: _, ...others } = this.#dynamicRaw;
    const { dynamic, problems: wrong } = resolveDynamic(this.#refusesStandbyCluster ? others : this.#dynamicRaw);
    // Before etcd was read, no cluster's configuration exists to compare with.
    const { dcsBlock } = this.#loaded;
    const known = this.#seenRevision !== null;
    const block = known && dcsBlock !== null ? blockProblems(dcsBlock, this.#dynamicRaw) : [];
    const overruled = known ? localWins(this.#loaded.raw, this.#dynamicRaw, this.#loaded.source) : [];
    const problems = [...wrong, ...block, ...overruled, ...(known ? this.#listOfStandbys(dynamic.synchronousMode) : [])];
    const fresh = problems.filter((problem) => !this.#told.includes(toldAs(problem)));
    for (const problem of fresh) this.#options.log[problem.severity](formatProblem(problem));
    this.#told = problems.map(toldAs);
    return resolveSettings(this.#loaded.local, this.#loaded.raw, dynamic);
  }
}

const BOOTSTRAP = 'bootstrap.dcs.';

function ofDynamic(problem: ConfigProblem): ConfigProblem {
  return { ...problem, file: DYNAMIC_SOURCE, line: null, column: null, path: problem.path.slice(BOOTSTRAP.length) };
}

function toldAs(problem: ConfigProblem): string {
  return `${problem.severity} ${formatProblem(problem)}`;
}
