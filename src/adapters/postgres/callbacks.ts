/**
 * The user's scripts. A callback reports what has happened, and the agent does not wait for it.
 * pre_promote is asked for permission.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { CallbackAction } from '../../core/effects.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { cleanEnvironment, lastLines } from '../../support/exec.ts';
import { shellWords } from '../../support/shell-words.ts';
import { descendantsOf } from './detect.ts';
import { type LocalServer, runner } from './local-server.ts';

type CallbackServer = Pick<LocalServer, 'settings' | 'log' | 'runAs'>;

/**
 * One script at a time tells the role. A newer script kills the older one with all it has started.
 * Otherwise a slow 'replica' could undo a later 'primary'. on_reload runs beside them.
 */
export class Callbacks {
  readonly #server: CallbackServer;
  readonly #running = new Map<'role' | 'reload', ChildProcess>();

  constructor(server: CallbackServer) {
    this.#server = server;
  }

  /** Once the script runs, and at once where there is none. Throws CALLBACK_NOT_STARTED. */
  async run(action: CallbackAction, role: string): Promise<void> {
    const [file, ...args] = shellWords(this.#server.settings.postgresql.callbacks[action] ?? '');
    if (file === undefined) return;
    const lane = action === 'on_reload' ? 'reload' : 'role';
    this.#kill(lane);
    const { runAs, settings, log } = this.#server;
    try {
      const child = spawn(file, [...args, action, role, settings.local.scope], {
        detached: true,
        stdio: ['ignore', 'inherit', 'inherit'],
        env: cleanEnvironment(),
        ...(runAs === null ? {} : { uid: runAs.uid, gid: runAs.gid }),
      });
      this.#running.set(lane, child);
      child.once('exit', (code, signal) => this.#ended(lane, child, action, code, signal));
      await once(child, 'spawn');
      child.on('error', (error) => log.warning(`callback ${action}: ${error.message}`));
      child.unref();
      log.info(`callback ${action} runs for role ${role}`, { pid: child.pid });
    } catch (error) {
      throw new RegentError('CALLBACK_NOT_STARTED', `${action} for role ${role} could not be started: ${ensureError(error).message}`, {
        policy: 'transient',
        mend: `${file} must exist and be executable by the user PostgreSQL runs as`,
        cause: error,
      });
    }
  }

  #ended(lane: 'role' | 'reload', child: ChildProcess, action: CallbackAction, code: number | null, signal: string | null): void {
    const replaced = this.#running.get(lane) !== child;
    if (!replaced) this.#running.delete(lane);
    if (code !== 0 && !replaced) this.#server.log.warning(`callback ${action} failed`, { code, signal });
  }

  #kill(lane: 'role' | 'reload'): void {
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

/**
 * False when the script forbids the promotion: it ends with an error, not in time, or cannot be
 * run.
 */
export async function askPrePromote(server: CallbackServer, options: Bounded): Promise<boolean> {
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
