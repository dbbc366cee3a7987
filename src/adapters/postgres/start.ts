/** Starts the server for a role and waits until it lets clients in. */
import { existsSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ServerRole } from '../../core/effects.ts';
import type { Settings } from '../../core/settings.ts';
import { parseConf } from '../../pgconf/guc.ts';
import { commandLineArguments } from '../../pgconf/server-config.ts';
import { sleep } from '../../ports/clock.ts';
import type { ApplyOutcome, Bounded } from '../../ports/postgres.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { readText } from './atomic-file.ts';
import { basePath } from './base-place.ts';
import { closeGate, openGate, removeGate } from './client-gate.ts';
import { saveConfigBackups } from './conf-backup.ts';
import type { ControlData } from './control-data.ts';
import { inspectDataDir } from './data-dir.ts';
import type { HeldProcess } from './detect.ts';
import { isSomebodysCopy, setMark } from './directory-mark.ts';
import { isSamePath } from './doors.ts';
import { type LocalServer, runner, settingsInRole } from './local-server.ts';
import { noteWalOwner } from './made-elsewhere.ts';
import { namesInFiles } from './origin.ts';
import { readPidFile } from './pid-file.ts';
import { stateByError } from './probe.ts';
import { binary } from './programs.ts';
import { writeFiles } from './reload.ts';
import { removeSignalFiles } from './signal-files.ts';
import { holdTether, type Spawned, spawnPostmaster } from './spawn.ts';
import { startFailure } from './start-failure.ts';
import { endLeftovers } from './stop.ts';
import { refuseUnexplained } from './unexplained.ts';

const LOOK_MS = 10;
/** Guards against a pid file that somebody removed: it would never say 'ready'. */
const TRY_ANYWAY_MS = 250;
const CONTROL_DATA_MS = 5000;
/** Where spawnPostmaster() starts it. */
const SPAWNED_IN = '/';
const END_MS = 5000;

export interface StartOptions extends Bounded {
  /**
   * A base backup in the directory was made by this agent just now, from a member of the cluster.
   * Any other is marked as restored.
   */
  readonly freshCopy?: boolean;
  /** See Postgres.start. */
  readonly clientsOut?: boolean;
  readonly onSpawn?: (pid: number) => void;
  /**
   * Set by the code that is at work in the directory. Others must not start a half-made directory.
   */
  readonly evenIncomplete?: boolean;
  /** Arguments of the postmaster for this start; they override the configured ones. */
  readonly extraArgs?: readonly string[];
  /**
   * Runs once the files are written, before the start. Signal files are then the caller's, and
   * limits those of the control file.
   */
  readonly prepare?: () => Promise<void>;
}

/**
 * Throws PG_START_FAILED (it ended; with its last words), PG_START_TIMEOUT (it goes on starting, as
 * recovery may take long), PG_START_ABORTED, PG_RUNNING, PG_PID_UNEXPLAINED, DATA_DIR_UNUSABLE.
 */
export async function startServer(server: LocalServer, role: ServerRole, options: StartOptions): Promise<Pick<ApplyOutcome, 'notWritten'>> {
  const { settings, clock, watch } = server;
  const deadline = clock.monotonicMs() + options.timeoutMs;
  const { dataDir } = settings.postgresql;
  const running = watch.current(dataDir);
  if (running) throw new RegentError('PG_RUNNING', `PostgreSQL is running already (pid ${running.pid})`, { policy: 'transient' });
  const directory = await inspectDataDir(dataDir);
  if (directory.major === null || (directory.state === 'incomplete' && !options.evenIncomplete)) {
    throw new RegentError('DATA_DIR_UNUSABLE', `${dataDir} is no usable data directory of PostgreSQL (${directory.state})`);
  }
  // The shared memory of a crashed server stays in use as long as one of its processes lives.
  await endLeftovers(server, deadline);
  refuseUnexplained(server, 'a server started here');
  const control = await server.control.read(dataDir, binary(settings, 'pg_controldata'), runner(server.runAs), CONTROL_DATA_MS);
  if (options.freshCopy !== true && isSomebodysCopy(role, directory, control)) await setMark(dataDir, 'restored');
  await noteWalOwner(settings);
  const { notWritten, ofRole } = await writeFiles(server, role, directory.major, role.kind === 'standby' ? control : null);
  if (ofRole !== null) throw ofRole;
  const recovering = role.kind === 'standby' || options.prepare !== undefined;
  if (options.prepare) await options.prepare();
  else await clearSignals(server, role, control);
  const limits = recovering ? control.limits : null;
  const mine = settingsInRole(server);
  const args = [...commandLineArguments(mine, directory.major, limits, await ownPidFile(mine)), ...(options.extraArgs ?? [])];
  const complaint = await launchThroughGate(server, args, deadline, options);
  if (complaint !== null) notWritten.push(complaint);
  // It runs; copies are for a later start.
  await saveConfigBackups(mine, server.runAs).catch((error: unknown) => notWritten.push(ensureError(error).message));
  return { notWritten };
}

/**
 * With clients kept out, if that is asked for and can be done. A server that does not start so, or
 * does not let the agent in, is started as ever: it must run.
 */
async function launchThroughGate(
  server: LocalServer,
  args: readonly string[],
  deadline: number,
  options: StartOptions,
): Promise<string | null> {
  const gate = options.clientsOut === true ? await closeGate(server) : null;
  server.clientsOut = gate !== null;
  if (gate !== null) {
    try {
      await launch(server, [...args, `--hba_file=${gate.link}`], deadline, options);
      return null;
    } catch (error) {
      server.clientsOut = false;
      if (codeOf(error) !== 'PG_START_FAILED') throw error;
      server.log.warning(`PostgreSQL did not start with its clients kept out, and is started as ever: ${ensureError(error).message}`);
    }
  }
  await removeGate(server.settings);
  return launchOnGoodRules(server, args, deadline, options);
}

/**
 * Tries once more on the access rules of the last start, when this start may have failed on the new
 * ones. Returns what is wrong with those.
 */
async function launchOnGoodRules(
  server: LocalServer,
  args: readonly string[],
  deadline: number,
  options: StartOptions,
): Promise<string | null> {
  const { writer, log } = server;
  try {
    await launch(server, args, deadline, options);
    return null;
  } catch (error) {
    const { code, message } = ensureError(error) as RegentError;
    const rules = code === 'PG_START_FAILED' ? await writer.fallBackFrom(settingsInRole(server), message) : null;
    if (rules === null) throw error;
    try {
      await launch(server, args, deadline, options);
    } catch {
      // The rules were not the reason, or not the only one.
      await rules.undo();
      throw error;
    }
    log.warning(rules.complaint);
    return rules.complaint;
  }
}

async function launch(server: LocalServer, args: readonly string[], deadline: number, options: StartOptions): Promise<void> {
  server.heartbeat.reset();
  if (options.signal?.aborted) throw aborted();
  // Read before it is spawned: nothing may come between that and the tether.
  const hasNames = ((await namesInFiles(server.settings)) ?? '') !== '';
  const spawned = await spawnPostmaster(server, args);
  try {
    server.watch.hold(spawned.process, spawned.child);
    server.owesReload = false;
    server.reloadAsked = false;
    server.namesObeyed = hasNames;
    options.onSpawn?.(spawned.process.pid);
    await holdTether(server, spawned);
    await untilHome(server, spawned, deadline);
    await untilAccepting(server, spawned, deadline, options);
  } finally {
    spawned.output.close();
  }
}

/** States of a server that was writing WAL of its own when it ended. */
const WAS_PRIMARY = new Set(['in production', 'shut down', 'shutting down', 'in crash recovery']);

/**
 * A directory that was a standby's keeps its signal file. Without it, the server would go on
 * writing its source's timeline. It starts as a standby that follows nobody, and becomes a primary
 * by promotion. A fresh copy has its source's state in its control file, and backup_label.
 */
async function clearSignals(server: LocalServer, role: ServerRole, control: ControlData): Promise<void> {
  if (role.kind !== 'primary' || !WAS_PRIMARY.has(control.state)) return;
  const isCopy = existsSync(join(server.settings.postgresql.dataDir, 'backup_label'));
  if (!isCopy) await removeSignalFiles(server.settings);
}

async function untilAccepting(server: LocalServer, spawned: Spawned, deadline: number, options: StartOptions): Promise<void> {
  const { clock, settings, heartbeat } = server;
  const { process, output } = spawned;
  let nextTry = clock.monotonicMs() + TRY_ANYWAY_MS;
  let last = 'it was still starting';
  for (;;) {
    if (process.state() === 'gone') throw failed(output.lastWords(), output.path);
    if (options.signal?.aborted) throw aborted();
    const now = clock.monotonicMs();
    if (now >= deadline) {
      const message = `PostgreSQL does not accept connections after ${Math.round(options.timeoutMs)} ms: ${last}`;
      throw new RegentError('PG_START_TIMEOUT', message, {
        policy: 'transient',
        mend: `its own log, or ${output.path}, tells what it is doing`,
      });
    }
    const file = readPidFile(settings.postgresql.dataDir);
    if ((file?.pid === process.pid && file.status === 'ready') || now >= nextTry) {
      nextTry = now + TRY_ANYWAY_MS;
      try {
        return await heartbeat.open(settings, Math.min(1000, deadline - now));
      } catch (error) {
        last = ensureError(error).message;
        if (stateByError(error) === 'running' && server.clientsOut === true) {
          server.log.warning(`PostgreSQL does not let the agent in while clients are kept out, so they are let in: ${last}`);
          await openGate(server, { timeoutMs: Math.min(1000, deadline - now) });
        } else if (stateByError(error) === 'running') {
          server.log.warning(`PostgreSQL has started, but does not let the agent in: ${last}`);
          return;
        }
      }
    }
    await sleep(clock, LOOK_MS, options.signal);
  }
}

/**
 * external_pid_file as the included file has it. That one is this node's own: a clone leaves
 * another's places out.
 */
async function ownPidFile(settings: Settings): Promise<string> {
  const { configDir, customConf } = settings.postgresql;
  const path = customConf === null ? await basePath(settings) : resolve(configDir, customConf);
  const text = await readText(path).catch(() => null);
  return text === null ? '' : (parseConf(text)['external_pid_file'] ?? '');
}

/**
 * A postmaster enters its data directory before it touches anything in it. One that entered another
 * directory is no server of ours; a wrapper in the program's place may do that. It is asked to shut
 * down in good order, so that the directory it opened is closed as it was found.
 */
async function untilHome(server: LocalServer, { process, output }: Spawned, deadline: number): Promise<void> {
  const { clock, settings } = server;
  const { dataDir } = settings.postgresql;
  for (;;) {
    const at = directoryOf(process.pid);
    if (at === null || isSamePath(at, dataDir)) return;
    // On its way it looks for its own program, and stands in the directories that lead there
    // (find_my_exec() before PostgreSQL 16).
    if (at !== SPAWNED_IN && existsSync(join(at, 'PG_VERSION'))) {
      await endElsewhere(server, process);
      throw new RegentError('PG_STARTED_ELSEWHERE', `PostgreSQL was started on ${dataDir} and went to ${at}; it was ended`, {
        mend: `check what postgresql.bin_dir and bin_name lead to; its output is in ${output.path}`,
      });
    }
    if (clock.monotonicMs() >= deadline) return;
    await sleep(clock, LOOK_MS);
  }
}

async function endElsewhere({ clock }: LocalServer, process: HeldProcess): Promise<void> {
  for (const [signal, patienceMs] of [['SIGINT', END_MS] as const, ['SIGQUIT', END_MS] as const, ['SIGKILL', END_MS] as const]) {
    process.signal(signal);
    for (const end = clock.monotonicMs() + patienceMs; clock.monotonicMs() < end; ) {
      if (process.state() === 'gone') return;
      await sleep(clock, LOOK_MS);
    }
  }
}

/** Null: it is gone, or cannot be seen. */
function directoryOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}

function failed(words: string, path: string): RegentError {
  return new RegentError(startFailure(words), `PostgreSQL ended while starting: ${words || 'it said nothing'}`, {
    mend: `its output is in ${path}; where logging_collector is on, the rest is in its log directory`,
  });
}

function aborted(): RegentError {
  return new RegentError('PG_START_ABORTED', 'the start was called off', { policy: 'transient' });
}
