/**
 * The user's scripts. A callback reports what has happened, and the agent does not wait for it.
 * pre_promote is asked for permission.
 */
import type { ChildProcess } from 'node:child_process';
import type { CallbackAction } from '../../core/effects.ts';
import { type Clock, sleep } from '../../ports/clock.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { cleanEnvironment, lastLines } from '../../support/exec.ts';
import { launch } from '../../support/launch.ts';
import { shellWords } from '../../support/shell-words.ts';
import { descendantsOf } from './detect.ts';
import { type LocalServer, runner } from './local-server.ts';

type AskingServer = Pick<LocalServer, 'settings' | 'log' | 'runAs'>;
type CallbackServer = AskingServer & { readonly clock: Pick<Clock, 'timer'> };
type Lane = 'role' | 'reload';

/** A script that has not begun by then is on a disk that hangs. */
const BEGUN_MS = 1000;

/**
 * One script at a time tells the role. A newer script kills the older one with all it has started.
 * Otherwise a slow 'replica' could undo a later 'primary'. on_reload runs beside them.
 */
export class Callbacks {
  readonly #server: CallbackServer;
  readonly #running = new Map<Lane, ChildProcess>();

  constructor(server: CallbackServer) {
    this.#server = server;
  }

  /**
   * Once the script runs, and at once where there is none. One whose disk hangs counts as started
   * after a second: to start it again would not help. Throws CALLBACK_NOT_STARTED.
   */
  async run(action: CallbackAction, role: string): Promise<void> {
    const [file, ...args] = shellWords(this.#server.settings.postgresql.callbacks[action] ?? '');
    if (file === undefined) return;
    const lane = action === 'on_reload' ? 'reload' : 'role';
    this.#kill(lane);
    const { clock, settings, log } = this.#server;
    const begun = new AbortController();
    let failure: Error | null = null;
    let child: ChildProcess;
    try {
      child = this.#launch(lane, action, [file, ...args, action, role, settings.local.scope], (error) => {
        failure = error;
        begun.abort();
      });
    } catch (error) {
      throw notStarted(file, `${action} for role ${role}`, ensureError(error));
    }
    await sleep(clock, BEGUN_MS, begun.signal);
    if (failure !== null) throw notStarted(file, `${action} for role ${role}`, failure);
    const { pid } = child;
    if (begun.signal.aborted) log.info(`callback ${action} runs for role ${role}`, { pid });
    else
      log.warning(`callback ${action} for role ${role} has not begun after ${BEGUN_MS} ms: the disk of its file may hang`, { file, pid });
  }

  #launch(
    lane: Lane,
    action: CallbackAction,
    words: readonly [string, ...string[]],
    onBegun: (failure: Error | null) => void,
  ): ChildProcess {
    const { runAs, log } = this.#server;
    const [file, ...args] = words;
    const user = runAs === null ? {} : { uid: runAs.uid, gid: runAs.gid };
    const child = launch(file, args, { stdio: ['ignore', 'inherit', 'inherit'], env: cleanEnvironment(), ...user }, (failure) => {
      // Whoever started it tells of the failure.
      if (failure !== null && this.#running.get(lane) === child) this.#running.delete(lane);
      onBegun(failure);
    });
    this.#running.set(lane, child);
    child.once('close', (code, signal) => this.#ended(lane, child, action, code, signal));
    child.on('error', (error) => child.pid !== undefined && log.warning(`callback ${action}: ${error.message}`));
    child.unref();
    return child;
  }

  #ended(lane: Lane, child: ChildProcess, action: CallbackAction, code: number | null, signal: string | null): void {
    const replaced = this.#running.get(lane) !== child;
    if (!replaced) this.#running.delete(lane);
    if (code !== 0 && !replaced) this.#server.log.warning(`callback ${action} failed`, { code, signal });
  }

  #kill(lane: Lane): void {
    const child = this.#running.get(lane);
    this.#running.delete(lane);
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // Those that have left its process group are looked up first: once it is dead, nobody knows
    // whose they were. They die last: a shell whose command was killed would go on meanwhile.
    for (const pid of [-child.pid, ...descendantsOf(child.pid)]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
  }
}

function notStarted(file: string, what: string, error: Error): RegentError {
  return new RegentError('CALLBACK_NOT_STARTED', `${what} could not be started: ${error.message}`, {
    policy: 'transient',
    mend: `${file} must exist and be executable by the user PostgreSQL runs as`,
    cause: error,
  });
}

/**
 * False when the script forbids the promotion: it ends with an error, not in time, or cannot be
 * run.
 */
export async function askPrePromote(server: AskingServer, options: Bounded): Promise<boolean> {
  const command = server.settings.postgresql.prePromote;
  const [file, ...args] = shellWords(command ?? '');
  if (file === undefined) return true;
  try {
    const result = await runner(server.runAs)(file, args, options);
    if (result.code === 0) return true;
    const said = lastLines(result.stderr || result.stdout, 3);
    server.log.warning('pre_promote forbids the promotion', { code: result.code, cause: result.cause, said });
  } catch (error) {
    server.log.warning('pre_promote could not be run, which forbids the promotion', { reason: ensureError(error).message });
  }
  return false;
}
