/** The settings in force: the local file, the environment, and the `config` key, laid over each other and kept up to date. */
import type { ConfigKey } from '../core/cluster.ts';
import type { JsonObject } from '../core/json.ts';
import type { DynamicSettings, LocalSettings, Settings } from '../core/settings.ts';
import type { Log } from '../ports/log.ts';
import type { SettingsSource } from '../ports/settings.ts';
import { ensureError } from '../support/errors.ts';
import { readDynamicCache, writeDynamicCache } from './cache.ts';
import { blockProblems } from './dcs-block.ts';
import { resolveDynamic } from './dynamic.ts';
import type { Environment } from './env.ts';
import { type LoadResult, loadLocal } from './load.ts';
import { type ConfigProblem, formatProblem, placed } from './problems.ts';
import { describeChanges, diffLocal } from './reload-diff.ts';
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
  #settings: Settings;
  #savedText = '';
  /** Problems of the dynamic configuration already logged: each is told once, and again after it was mended and came back. */
  #told: readonly string[] = [];

  constructor(options: SourceOptions) {
    this.#options = options;
    this.#loaded = options.loaded;
    // Without etcd the last configuration the cluster had is a better guess than the one it began with.
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

  adopt(key: ConfigKey | null): boolean {
    if (key === null || key.modRevision === this.#seenRevision || Object.keys(key.data).length === 0) return false;
    this.#seenRevision = key.modRevision;
    this.#dynamicRaw = key.data;
    this.#settings = this.#resolve();
    return true;
  }

  reloadRefusal(): string | null {
    const read = this.#readAgain();
    if ('loaded' in read) return null;
    this.#options.log.error(read.refusal);
    return read.refusal;
  }

  reload(): 'changed' | 'same' | 'refused' {
    const { log } = this.#options;
    const read = this.#readAgain();
    if ('refusal' in read) {
      log.error(read.refusal);
      return 'refused';
    }
    const { loaded } = read;
    for (const warning of loaded.warnings) log.warning(formatProblem(warning));
    const same = JSON.stringify(loaded.raw) === JSON.stringify(this.#loaded.raw);
    log.info(same ? 'No local configuration items changed.' : `configuration read again from ${loaded.source}`);
    if (same) return 'same';
    this.#loaded = loaded;
    this.#settings = this.#resolve();
    return 'changed';
  }

  #readAgain(): { readonly loaded: LoadResult } | { readonly refusal: string } {
    const { path, env } = this.#options;
    try {
      const loaded = loadLocal({ path, env });
      const fixed = diffLocal(this.#loaded.local, loaded.local).filter((change) => change.need === 'restart-agent');
      if (fixed.length === 0) return { loaded };
      return { refusal: `not reloaded: ${describeChanges(fixed)} changed, and the agent has to be restarted for that` };
    } catch (error) {
      return { refusal: `the configuration was not reloaded, the old one stays in force: ${ensureError(error).message}` };
    }
  }

  save(): void {
    const text = JSON.stringify(this.#dynamicRaw);
    if (text === this.#savedText) return;
    if (writeDynamicCache(this.#settings.postgresql.dataDir, this.#dynamicRaw)) this.#savedText = text;
  }

  /** The file alone does not tell: the cluster's synchronous_mode decides what the list does. */
  #listOfStandbys(mode: DynamicSettings['synchronousMode']): ConfigProblem[] {
    const { local, syncNamesPlace } = this.#loaded;
    if (syncNamesPlace === null) return [];
    const findings = syncNamesFindings(local.postgresql.parameters, ['postgresql', 'parameters'], mode, local.name);
    return findings.map((finding) => placed(finding, syncNamesPlace));
  }

  #resolve(): Settings {
    const { dynamic, problems: wrong } = resolveDynamic(this.#dynamicRaw);
    // Before etcd was read there is nothing to differ from, nor to judge by.
    const { dcsBlock } = this.#loaded;
    const known = this.#seenRevision !== null;
    const block = known && dcsBlock !== null ? blockProblems(dcsBlock, this.#dynamicRaw) : [];
    const problems = [...wrong, ...block, ...(known ? this.#listOfStandbys(dynamic.synchronousMode) : [])];
    const fresh = problems.filter((problem) => !this.#told.includes(formatProblem(problem)));
    for (const problem of fresh) this.#options.log[problem.severity](formatProblem(problem));
    this.#told = problems.map(formatProblem);
    return resolveSettings(this.#loaded.local, this.#loaded.raw, dynamic);
  }
}
