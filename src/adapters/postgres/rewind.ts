/**
 * pg_rewind against a running primary: https://www.postgresql.org/docs/current/app-pgrewind.html.
 * From 13 on it brings a crashed target to a clean shutdown by itself. See docs/dialect.md,
 * "Rewind".
 */
import { join } from 'node:path';
import type { Source } from '../../core/effects.ts';
import type { SourceHistory, TimelineStart } from '../../core/postgres-facts.ts';
import { COMPARE_NO_PROGRAM, REWIND_NO_PROGRAM } from '../../core/rewind-prospects.ts';
import type { Timeline } from '../../core/units.ts';
import { confPath, USUAL_CONF } from '../../pgconf/conf-place.ts';
import { quoteValue } from '../../pgconf/guc.ts';
import { REWIND_FORBIDDEN } from '../../pgconf/program-options.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { lastLines, type RunResult } from '../../support/exec.ts';
import { removeAbandoned } from './abandoned-timelines.ts';
import { readText, removeFile, writeFileAtomic } from './atomic-file.ts';
import { parseBackupLabel } from './backup-label.ts';
import { optionArguments } from './binary-options.ts';
import { followAsItIs } from './contained.ts';
import { type ControlData, ControlDataReader } from './control-data.ts';
import { clearIncomplete, type DataDirFacts, inspectDataDir, markIncomplete } from './data-dir.ts';
import type { Deps } from './deps.ts';
import { clearMark } from './directory-mark.ts';
import { removeForeignSettings } from './foreign-settings.ts';
import { historyFileName, parseHistory } from './history-file.ts';
import { NO_LIBPQ_ENV } from './libpq-environment.ts';
import { keepingTexts } from './marks.ts';
import { forgetKeptBase, keepOwnBase, settleBase } from './own-base.ts';
import { programConnection } from './passfile.ts';
import { binary } from './programs.ts';
import { rewindFailure } from './rewind-failure.ts';
import { rewindCredentials, settleSource } from './rewind-source.ts';
import { beStandby, removeSignalFiles } from './signal-files.ts';
import { refuseSocketInSource, removeSocketFiles } from './sockets.ts';
import { askSourceHistory } from './source-history.ts';
import { askFingerprint, hasTimeline, readFingerprint } from './timeline-fingerprint.ts';
import { archiveReadySegments, runningValue } from './wal-archive.ts';

/**
 * The source must have reached a checkpoint on its own timeline; most of the time left belongs to
 * pg_rewind.
 */
const SETTLE_SHARE = 0.5;
const STATE_MS = 5000;

/**
 * The server must be stopped and stay so. Afterwards the directory is a standby's (standby.signal
 * is in place) and its configuration files are the source's: write them again before the start.
 *
 * A directory that needs no rewind, because its WAL ends within the source's history, is left as it
 * is.
 *
 * Throws SOURCE_UNREACHABLE or SOURCE_NOT_READY when nothing was touched and it may be tried again
 * later. Throws REWIND_REFUSED; or REWIND_BLIND when pg_rewind would take the source's timeline for
 * ours (nothing was touched). With pg_rewind's words it throws one of the codes of
 * rewind-failure.ts. If it had begun to copy by then, the marker 'rewind' stays, because such a
 * directory mixes the old history and the new one.
 */
export async function rewind(deps: Deps, source: Source, options: Bounded): Promise<void> {
  const { settings } = deps;
  const { dataDir } = settings.postgresql;
  const deadline = deps.clock.monotonicMs() + options.timeoutMs;
  const timed = () => ({ ...options, timeoutMs: left(deps, deadline) });
  const directory = await inspectDataDir(dataDir);
  const { major, state, incompleteWork } = directory;
  if (major === null || (state !== 'valid' && incompleteWork !== 'rewind')) {
    throw new RegentError('REWIND_REFUSED', `${dataDir} cannot be rewound: it is ${state}`, { mend: 'reinitialize the member' });
  }
  await settleSource(deps, source, { ...options, timeoutMs: options.timeoutMs * SETTLE_SHARE });
  const history = await askSourceHistory(settings, source, timed());
  if (directory.backupLabel !== undefined && (await settleLabel(deps, directory, timed()))) return await finish(deps, source, history);
  await refuseTwin(deps, source, history, timed());
  await refuseSocketInSource(deps, source, major, timed());
  const before = await controlData(deps, left(deps, deadline));
  if (incompleteWork === null && (await followAsItIs(deps, source, { major, control: before }, history, timed).catch(withoutWaldump)))
    return;
  await archiveReadySegments(deps, major, timed());
  await keepOwnBase(settings, deps.runAs ?? null);
  // A single-user server, which finishes crash recovery, refuses to be a standby.
  await markIncomplete(dataDir, 'rewind');
  await removeSignalFiles(settings);
  await removeSocketFiles(dataDir);
  // pg_rewind (up to 15) reads the timeline of the last checkpoint, and a standby that followed a
  // promotion may have had none since.
  if (before.state === 'shut down in recovery' && (before.minRecoveryTimeline ?? 0) > before.timeline) await finishRecovery(deps, timed());
  const { result, archive } = await keepingTexts(dataDir, () => run(deps, source, major, timed()));
  // What another run had begun to copy stays half copied, if this one takes both histories for the
  // same.
  const unseen = incompleteWork === 'rewind' && /no rewind required/.test(`${result.stdout}\n${result.stderr}`);
  if (unseen) throw halfRewound(source);
  if (result.code === 0) return await finish(deps, source, history);
  await beStandby(deps);
  const touched =
    incompleteWork === 'rewind' || hasBegunToCopy(result) || endedRecovery(before.state, (await controlData(deps, STATE_MS)).state);
  if (!touched) await clearIncomplete(dataDir);
  const how = result.cause === 'exit' ? '' : ` was stopped (${result.cause})`;
  const { code, mend, words } = rewindFailure(result, archive);
  throw new RegentError(code, `pg_rewind from ${source.name}${how}: ${words}`, { mend });
}

/**
 * A primary that crashed, and that nobody may rewind: see Postgres.compare. One that was shut down
 * needs no look at its WAL, because pg_controldata tells where that ends.
 */
export async function compare(deps: Deps, source: Source, options: Bounded): Promise<void> {
  const { settings } = deps;
  const deadline = deps.clock.monotonicMs() + options.timeoutMs;
  const timed = () => ({ ...options, timeoutMs: left(deps, deadline) });
  const { state, major } = await inspectDataDir(settings.postgresql.dataDir);
  const history = await askSourceHistory(settings, source, timed());
  await refuseTwin(deps, source, history, timed());
  const control = await controlData(deps, timed().timeoutMs);
  if (state === 'valid' && major !== null && (await followAsItIs(deps, source, { major, control }, history, timed))) return;
  throw new RegentError('COMPARE_DIVERGED', `the WAL here is not known to end within the history of ${source.name}`, {
    mend: 'reinitialize the member, or set use_pg_rewind',
  });
}

/** pg_rewind works without it. What it may not see then (wal-end.ts) is rare. */
function withoutWaldump(error: unknown): false {
  if (codeOf(error) === COMPARE_NO_PROGRAM) return false;
  throw error;
}

const halfRewound = (source: Source) =>
  new RegentError(
    'REWIND_BLIND',
    `a rewind was interrupted half-way, and now pg_rewind takes the histories of this node and ${source.name} for the same`,
    {
      mend: 'reinitialize the member',
    },
  );

/** History that was given up must not lead the standby back to it. */
async function finish(deps: Deps, source: Source, history: SourceHistory): Promise<void> {
  const { settings, log } = deps;
  const { dataDir } = settings.postgresql;
  const removed = await removeAbandoned(dataDir, history);
  if (removed.length > 0) log.info('WAL and history of timelines that were given up have been removed', { files: removed });
  await removeSocketFiles(dataDir);
  await removeForeignSettings(dataDir, source);
  await beStandby(deps);
  await settleBase(settings, log, deps.runAs ?? null);
  await clearMark(dataDir, 'opened-by-hand');
  await clearIncomplete(dataDir);
  await forgetKeptBase(dataDir);
}

/**
 * pg_rewind writes a backup_label when everything is copied, and the control file after it. When it
 * was interrupted between the two, it is done again without the label, because with it crash
 * recovery would begin at a wrong place. After both only the sync to disk is missing. Any other
 * label is that of a base backup. True: nothing is left to do.
 */
async function settleLabel(deps: Deps, { backupLabel, incompleteWork }: DataDirFacts, options: Bounded): Promise<boolean> {
  const { settings } = deps;
  const { dataDir } = settings.postgresql;
  const label = parseBackupLabel(backupLabel ?? '');
  if (incompleteWork !== 'rewind' || label?.byRewind !== true)
    throw new RegentError('REWIND_REFUSED', `${dataDir} is a base backup that was not recovered to its end: pg_rewind would spoil it`, {
      mend: 'start it as a standby first',
      policy: 'transient',
    });
  const control = await controlData(deps, options.timeoutMs);
  if (control.state !== 'in archive recovery' || control.checkpointLsn !== label.checkpointLsn) {
    await removeFile(join(dataDir, 'backup_label'));
    return false;
  }
  const synced = await deps.run(binary(settings, 'initdb'), ['--sync-only', `--pgdata=${dataDir}`], { ...options, env: { LC_ALL: 'C' } });
  if (synced.code !== 0) throw new RegentError('REWIND_FAILED', `initdb --sync-only: ${lastLines(synced.stderr) || synced.cause}`);
  return true;
}

/**
 * Does as pg_rewind does for a server that crashed: starts a single-user server and gives it
 * nothing to do.
 */
async function finishRecovery(deps: Deps, options: Bounded): Promise<void> {
  const { settings } = deps;
  const { dataDir } = settings.postgresql;
  const args = ['--single', '-D', dataDir, '-c', `config_file=${confPath(settings)}`, 'template1'];
  const result = await deps.run(binary(settings, 'postgres'), args, { ...options, env: { LC_ALL: 'C' } });
  if (result.code === 0) return;
  const { code, mend, words } = rewindFailure(result, false);
  throw new RegentError(code, `recovery before pg_rewind: ${words}`, { mend });
}

/**
 * A primary may have crashed before the first checkpoint on its timeline. Then only its WAL has
 * that timeline's number, so nothing could be compared before. pg_rewind finds the number by
 * recovery, and then compares numbers alone.
 */
async function refuseTwin(deps: Deps, source: Source, history: SourceHistory, options: Bounded): Promise<void> {
  const { dataDir } = deps.settings.postgresql;
  const control = await controlData(deps, STATE_MS);
  const start = await latestStart(dataDir, Math.max(control.timeline, control.minRecoveryTimeline ?? 0));
  if (start === null) return;
  const own = await readFingerprint(dataDir, start, control.walSegmentBytes);
  if (own === null) return;
  if (start.timeline !== history.timeline || hasTimeline(history, start)) {
    const theirs = await askFingerprint(deps, source, start, control.walSegmentBytes, options).catch(() => null);
    if (theirs === null || theirs === own) return;
  }
  throw new RegentError(
    'REWIND_BLIND',
    `${source.name} has a timeline ${start.timeline} of its own, which pg_rewind cannot tell from the one here`,
    {
      mend: 'reinitialize the member',
    },
  );
}

async function latestStart(dataDir: string, from: Timeline): Promise<TimelineStart | null> {
  const history = (timeline: Timeline) => readText(join(dataDir, 'pg_wal', historyFileName(timeline)));
  let timeline = from;
  let text = timeline > 1 ? await history(timeline) : null;
  for (let next = await history(timeline + 1); next !== null; next = await history(timeline + 1)) {
    timeline += 1;
    text = next;
  }
  const parent = text === null ? undefined : parseHistory(text).at(-1);
  return parent === undefined ? null : { timeline, from: parent.switchLsn };
}

function controlData({ settings, run }: Deps, timeoutMs: number): Promise<ControlData> {
  return new ControlDataReader().read(settings.postgresql.dataDir, binary(settings, 'pg_controldata'), run, timeoutMs);
}

/**
 * pg_rewind shuts a crashed standby down as a single-user primary, which ends its WAL with a record
 * that no other server has. The record is on the source's timeline, so the numbers do not show it.
 */
export function endedRecovery(before: string, after: string): boolean {
  return before.includes('recovery') && before !== 'in crash recovery' && before !== after && after === 'shut down';
}

function left(deps: Deps, deadline: number): number {
  return Math.max(1, deadline - deps.clock.monotonicMs());
}

/**
 * pg_rewind --progress says what it needs to copy just before it changes the first file. What was
 * cut off counts as said.
 */
export function hasBegunToCopy(result: Pick<RunResult, 'stdout' | 'stderr' | 'truncated'>): boolean {
  return result.truncated || /need to copy \d+/.test(`${result.stdout}\n${result.stderr}`);
}

async function run(deps: Deps, source: Source, major: number, options: Bounded): Promise<{ result: RunResult; archive: boolean }> {
  const { settings, log } = deps;
  const { dataDir } = settings.postgresql;
  const { args, refused } = optionArguments(settings.postgresql.rewindOptions, REWIND_FORBIDDEN);
  if (refused.length > 0) log.error('options of postgresql.rewind that Regent decides on are ignored', { options: refused });
  const credentials = rewindCredentials(deps);
  const connection = await programConnection(deps, { ...source, credentials, major, readWrite: true });
  const elsewhere = confPath(settings) !== join(dataDir, USUAL_CONF);
  const removeStandIn = elsewhere && major < 15 ? await standInConf(deps) : null;
  try {
    const archive = (await runningValue(deps, 'restore_command', options.timeoutMs)) !== '';
    const result = await deps.run(
      binary(settings, 'pg_rewind'),
      [
        `--target-pgdata=${dataDir}`,
        `--source-server=${connection.conninfo}`,
        '--progress',
        ...(archive ? ['--restore-target-wal'] : []),
        ...(elsewhere && major >= 15 ? [`--config-file=${confPath(settings)}`] : []),
        ...args,
      ],
      {
        timeoutMs: options.timeoutMs,
        ...(options.signal ? { signal: options.signal } : {}),
        env: { ...NO_LIBPQ_ENV, ...connection.env, LC_ALL: 'C', PGOPTIONS: '-c statement_timeout=0' },
      },
    );
    return { result, archive };
  } catch (error) {
    const code = codeOf(error) === 'COMMAND_NOT_STARTED' ? REWIND_NO_PROGRAM : 'REWIND_FAILED';
    const mend = 'install pg_rewind of this major (it comes with the server), or say with postgresql.bin_dir where it is';
    throw new RegentError(code, `pg_rewind could not be run: ${ensureError(error).message}`, { cause: error, mend });
  } finally {
    await removeStandIn?.();
    await connection.remove();
  }
}

/**
 * Before 15 pg_rewind cannot be told of a configuration directory: the servers it starts look into
 * the data directory only.
 */
async function standInConf(deps: Deps): Promise<() => Promise<void>> {
  const { dataDir } = deps.settings.postgresql;
  const path = join(dataDir, USUAL_CONF);
  const options = { mode: 0o600, owner: deps.runAs ?? undefined };
  const before = await readText(path);
  await writeFileAtomic(path, `${STAND_IN}include ${quoteValue(confPath(deps.settings))}\n`, options);
  return async () => {
    // pg_rewind may have put the source's in its place.
    if (!(await readText(path))?.startsWith(STAND_IN)) return;
    if (before === null || before.startsWith(STAND_IN)) await removeFile(path);
    else await writeFileAtomic(path, before, options);
  };
}

const STAND_IN = '# Regent put this file here for pg_rewind; it may be deleted.\n';
