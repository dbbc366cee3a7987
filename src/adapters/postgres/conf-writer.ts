/**
 * PostgreSQL's files for a role. Every file is replaced as a whole and durably, and postgresql.conf
 * holds only what this PostgreSQL accepts. So a server may be started on them, or told to reload,
 * at any moment. postgresql.conf and its includes say which server it follows and which standbys
 * its commits wait for. No other file keeps them from being written.
 */

import { chown, mkdir } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { ServerRole } from '../../core/effects.ts';
import { endpointsOf } from '../../core/remote.ts';
import { carriedSyncNames } from '../../core/server-names.ts';
import type { Settings } from '../../core/settings.ts';
import { baseConfName, confPath } from '../../pgconf/conf-place.ts';
import { type Gucs, parseConf, withoutGucs } from '../../pgconf/guc.ts';
import type { Complaint } from '../../pgconf/guc-complaints.ts';
import { RECOVERY_GUCS } from '../../pgconf/guc-table.ts';
import {
  type ControlLimits,
  isGenerated,
  judgedRecoveryGucs,
  mainGucs,
  mainPart,
  patienceGucs,
  recoveryGucs,
  renderPostgresqlConf,
  synchronousNames,
} from '../../pgconf/server-config.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { AccessFiles, type Judge, writeBack } from './access-files.ts';
import { fileMode, readText, reasonOf, removeFile, writeFileAtomic } from './atomic-file.ts';
import { basePath } from './base-place.ts';
import { keepBefore } from './before.ts';
import { ACCESS_FILES, restoreConfigFile, roleFiles } from './conf-backup.ts';
import { inspectDataDir } from './data-dir.ts';
import type { Deps } from './deps.ts';
import { exists, type InPlaceNote, type WriteOptions } from './file-steps.ts';
import { flattened } from './flatten.ts';
import { checkGucs } from './guc-check.ts';
import { writePassfile } from './passfile.ts';
import { RECOVERY } from './signal-files.ts';

export interface WriteOutcome {
  readonly changed: boolean;
  /** Full paths. */
  readonly changedFiles: string[];
  /** Why some of those that PostgreSQL can do without for its role could not be written. */
  readonly notWritten: string[];
  /** Why the role is not in the files (FILE_WRITE_FAILED, CUSTOM_CONF_MISSING); null: it is. */
  readonly ofRole: Error | null;
}

interface Wanted {
  readonly settings: Settings;
  readonly role: ServerRole;
  readonly syncNames: string | null;
  readonly major: number;
  readonly control: ControlLimits | null;
  readonly autoConf: 'clean' | 'leave';
}

/** How this call writes, and notes what it has written. */
interface Hand {
  readonly put: (path: string, text: string) => Promise<void>;
  readonly putBack: (name: Parameters<typeof restoreConfigFile>[2]) => Promise<void>;
  readonly tried: (work: () => Promise<void>) => Promise<void>;
  readonly changed: string[];
}

/** role: what PostgreSQL needs for its role, and the passfile. */
export type Scope = 'role' | 'all';

type WriterDeps = Pick<Deps, 'run' | 'log' | 'runAs'>;

export class ConfWriter {
  readonly #deps: WriterDeps;
  /** The last judgement: PostgreSQL is asked again only when settings or version have changed. */
  #judged: { readonly key: string; readonly accepted: Gucs } | null = null;
  /** What PostgreSQL objected to, told once for as long as it does. */
  #told: ReadonlySet<string> = new Set();
  readonly #access = new AccessFiles();
  /** Files that cannot be replaced: told once. */
  readonly #inPlace = new Set<string>();

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  /**
   * Writes whatever differs. `control`: limits of the control file, when a standby is about to
   * start; null for a primary and for a running server. A standby gets standby.signal first; a
   * primary's signal files are left alone (see `removeSignalFiles`). `autoConf`:
   * postgresql.auto.conf of a server that reads none of these files yet and goes by that alone.
   * `judge`: asks the running server about the access files. One file that cannot be written keeps
   * no other from being written.
   */
  async writeServerFiles(
    settings: Settings,
    role: ServerRole,
    syncNames: string | null,
    major: number,
    control: ControlLimits | null,
    scope: Scope = 'all',
    autoConf: 'clean' | 'leave' = 'clean',
    judge: Judge | null = null,
  ): Promise<WriteOutcome> {
    const { dataDir } = settings.postgresql;
    const owner = this.#deps.runAs ?? null;
    const changed: string[] = [];
    const notWritten: string[] = [];
    const made = (await inspectDataDir(dataDir)).state === 'incomplete' ? dataDir : null;
    const put = async (path: string, text: string) => {
      const mode = await fileMode(path, dataDir);
      if (await isForeign(path, text, made)) await keepBefore(path, owner, dataDir);
      if (await writeFileAtomic(path, text, { mode, ...this.#ways(dataDir) })) changed.push(path);
    };
    const putBack = async (name: Parameters<typeof restoreConfigFile>[2]) => {
      const path = await restoreConfigFile(settings, owner, name);
      if (path !== null) changed.push(path);
    };
    const tried = (work: () => Promise<void>) => work().catch((error: unknown) => void notWritten.push(ensureError(error).message));
    const ofRole = await this.#writeRole({ settings, role, syncNames, major, control, autoConf }, { put, putBack, tried, changed }).then(
      () => null,
      (error: unknown) => ensureError(error),
    );
    if (scope === 'all') {
      for (const name of ACCESS_FILES) await tried(() => putBack(name));
      const undone = async (path: string, text: string) => {
        await writeBack(path, text, dataDir, this.#ways(dataDir));
        if (changed.includes(path)) changed.splice(changed.indexOf(path), 1);
      };
      for (const which of ['hba', 'ident'] as const)
        await tried(() => this.#access.bring(which, { settings, put, putBack: undone }, judge));
    }
    return { changed: changed.length > 0, changedFiles: changed, notWritten, ofRole };
  }

  /** Throws FILE_WRITE_FAILED, CUSTOM_CONF_MISSING. */
  async #writeRole({ settings, role, syncNames, major, control, autoConf }: Wanted, { put, putBack, tried, changed }: Hand): Promise<void> {
    const { dataDir, pgpass } = settings.postgresql;
    if (role.kind === 'standby') {
      await put(join(dataDir, 'standby.signal'), '');
      // Beside the other PostgreSQL does not see it, and leaves it there after a promotion.
      await tried(async () => void (await removeFile(join(dataDir, RECOVERY))));
      const { source } = role;
      // Before the file that names it.
      if (source)
        await tried(async () => void ((await writePassfile(settings, endpointsOf(source), this.#ways(dataDir))) && changed.push(pgpass)));
    }
    for (const name of roleFiles(settings)) await putBack(name);
    const include = await this.#includedFile(settings, put);
    const { main, recovery } = await this.#accepted(settings, role, major);
    const path = confPath(settings);
    const wanted = synchronousNames(settings, role, syncNames, await writtenNames(path));
    const names = wanted === null || settings.dynamic.synchronousMode === 'off' ? wanted : carriedSyncNames(wanted, major * 10_000);
    await makeDirectories(settings, main, this.#deps);
    const ours = { ...mainPart(settings, main, control, names), ...patienceGucs(settings, role) };
    await put(path, renderPostgresqlConf({ include, main: ours, recovery }));
    if (autoConf === 'clean')
      await this.#cleanAutoConf(settings, names !== null && (syncNames !== null || settings.dynamic.synchronousMode !== 'off'), put);
  }

  #tell(complaints: readonly Complaint[]): void {
    const told = new Set<string>();
    for (const { name, message, instead } of complaints) {
      const done = instead === null ? 'is left out' : `becomes ${instead}`;
      const key = JSON.stringify([name, message, done]);
      told.add(key);
      if (this.#told.has(key)) continue;
      const what = instead === null ? `Removing invalid parameter ${name}: ` : '';
      this.#deps.log.warning(`${what}PostgreSQL does not accept the setting ${name}; it ${done}`, { setting: name, reason: message });
    }
    this.#told = told;
  }

  async #accepted(settings: Settings, role: ServerRole, major: number): Promise<{ main: Gucs; recovery: Gucs }> {
    const wanted = { ...mainGucs(settings, role), ...judgedRecoveryGucs(settings, role) };
    const key = JSON.stringify([major, settings.postgresql.binDir, settings.postgresql.binNames['postgres'], wanted]);
    if (this.#judged?.key !== key) {
      const { accepted, complaints, judged } = await checkGucs(this.#deps, settings, wanted);
      this.#tell(complaints);
      this.#judged = judged ? { key, accepted } : null;
      return split(accepted, recoveryGucs(settings, role, major));
    }
    return split(this.#judged.accepted, recoveryGucs(settings, role, major));
  }

  /** The file that the user's own postgresql.conf has become, or the one that custom_conf names. */
  async #includedFile(settings: Settings, put: (path: string, text: string) => Promise<void>): Promise<string> {
    const { configDir, customConf } = settings.postgresql;
    if (customConf !== null) {
      const path = isAbsolute(customConf) ? customConf : resolve(configDir, customConf);
      if (await exists(path)) return customConf;
      throw new RegentError('CUSTOM_CONF_MISSING', `postgresql.custom_conf names ${path}, which does not exist`, {
        mend: 'create the file or take custom_conf out of the configuration',
      });
    }
    const base = await basePath(settings);
    const beside = dirname(base) === configDir;
    if (!(await exists(base))) {
      const conf = confPath(settings);
      const original = await readText(conf);
      // A generated file as base would include itself, or bring another node's settings back.
      if (original === null || isGenerated(original)) await put(base, '');
      // Its includes are relative to where it lies.
      else await put(base, beside ? original : await flattened(conf));
    }
    return beside ? baseConfName(settings) : base;
  }

  /** See AccessFiles. */
  async fallBackFrom(settings: Settings, words: string): ReturnType<AccessFiles['fallBack']> {
    const { dataDir } = settings.postgresql;
    return await this.#access.fallBack(
      settings,
      words,
      async (path, text) => void (await writeBack(path, text, dataDir, this.#ways(dataDir))),
    );
  }

  /** How to write files that may be mounts, or lie where no other file can be made. */
  #ways(dataDir: string): Omit<WriteOptions, 'mode'> {
    return { owner: this.#deps.runAs ?? undefined, spare: dataDir, inPlace: (note) => this.#tellInPlace(note) };
  }

  #tellInPlace({ path, reason, kept }: InPlaceNote): void {
    if (this.#inPlace.has(path)) return;
    this.#inPlace.add(path);
    this.#deps.log.warning(`${path} cannot be replaced and was written in place; its former text is in ${kept}`, {
      reason: reasonOf(reason),
    });
  }

  async #cleanAutoConf(settings: Settings, ownsNames: boolean, put: (path: string, text: string) => Promise<void>): Promise<void> {
    const path = join(settings.postgresql.dataDir, 'postgresql.auto.conf');
    const text = await readText(path);
    if (text === null) return;
    const names = ownsNames ? new Set([...RECOVERY_GUCS, 'synchronous_standby_names']) : RECOVERY_GUCS;
    const clean = withoutGucs(text, names);
    if (clean.removed.length === 0) return;
    await put(path, clean.text);
    this.#deps.log.warning('settings of ALTER SYSTEM that Regent decides on were taken out of postgresql.auto.conf', {
      settings: clean.removed,
    });
  }
}

/**
 * The judged settings of the user go to their part; Regent's own recovery settings are not judged
 * and win.
 */
function split(accepted: Gucs, recovery: Gucs): { main: Gucs; recovery: Gucs } {
  const main = Object.fromEntries(Object.entries(accepted).filter(([name]) => !RECOVERY_GUCS.has(name)));
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(recovery)) {
    const owned = OWN_RECOVERY.has(name) || name.startsWith('recovery_target');
    const judged = accepted[name];
    if (owned) kept[name] = value;
    else if (judged !== undefined) kept[name] = judged;
  }
  return { main, recovery: kept };
}

/**
 * True when another program wrote it: an operator may want it back. Not so in a directory that is
 * being `made`, where it is what a program of PostgreSQL has just left.
 */
async function isForeign(path: string, text: string, made: string | null): Promise<boolean> {
  if (made !== null && path.startsWith(`${made}/`)) return false;
  const old = await readText(path).catch((error: unknown) => {
    // A directory cannot be written either, and writing will say so.
    if (codeOf(error) === 'EISDIR') return null;
    throw new RegentError(
      'FILE_WRITE_FAILED',
      `${path} is not overwritten, because it cannot be read and copied: ${ensureError(error).message}`,
      {
        mend: 'it must be readable by the user Regent runs as',
        cause: error,
      },
    );
  });
  // Its first line says that nobody should edit it, as an agent's file does. PostgreSQL wrote that
  // line; the operator wrote what follows.
  const ofAgent = old !== null && isGenerated(old) && !path.endsWith('/postgresql.auto.conf');
  return old !== null && old !== text && !ofAgent;
}

const OWN_RECOVERY: ReadonlySet<string> = new Set(['primary_conninfo', 'primary_slot_name']);

/**
 * synchronous_standby_names as last written by Regent (or Patroni) on this node; null when there is
 * none.
 */
async function writtenNames(path: string): Promise<string | null> {
  const text = await readText(path);
  if (text === null || !isGenerated(text)) return null;
  return parseConf(text)['synchronous_standby_names'] ?? null;
}

/**
 * Directories PostgreSQL wants to find and does not create. PostgreSQL complains at its start of
 * what cannot be made here.
 */
async function makeDirectories(settings: Settings, main: Gucs, deps: WriterDeps): Promise<void> {
  const sockets = (main['unix_socket_directories'] ?? '').split(',').map((part) => part.trim().replace(/^"(.*)"$/, '$1'));
  const statistics = main['stats_temp_directory'] === undefined ? [] : [resolve(settings.postgresql.dataDir, main['stats_temp_directory'])];
  for (const path of [...sockets.filter((part) => part.startsWith('/')), ...statistics]) {
    if (await exists(path)) continue;
    try {
      await mkdir(path, { recursive: true });
      if (deps.runAs) await chown(path, deps.runAs.uid, deps.runAs.gid);
    } catch (error) {
      deps.log.warning(`${path} is missing and could not be created`, { reason: ensureError(error).message });
    }
  }
}
