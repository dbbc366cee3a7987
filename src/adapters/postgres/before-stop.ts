/** The user's before_stop: a stop waits for it, and does not ask how it ended. */
import type { Clock } from '../../ports/clock.ts';
import { sleep } from '../../ports/clock.ts';
import { ensureError } from '../../support/errors.ts';
import { shellWords } from '../../support/shell-words.ts';
import { type LocalServer, runner } from './local-server.ts';

type ScriptServer = Pick<LocalServer, 'settings' | 'log' | 'runAs'> & { readonly clock: Pick<Clock, 'timer'> };

const KILL_GRACE_MS = 100;

export class BeforeStop {
  #running: Promise<void> | null = null;

  /**
   * Resolves when the script has ended, or at the deadline, at which it is killed. Where it runs
   * already, for a stop that has more time, it goes on, and this stop waits for it as long as it
   * may. Never throws.
   */
  async run(server: ScriptServer, timeoutMs: number): Promise<void> {
    if (this.#running === null) {
      this.#running = runScript(server, timeoutMs).finally(() => {
        this.#running = null;
      });
      return this.#running;
    }
    const enough = new AbortController();
    const running = this.#running.finally(() => enough.abort());
    await Promise.race([running, sleep(server.clock, timeoutMs, enough.signal)]);
  }
}

async function runScript(server: ScriptServer, timeoutMs: number): Promise<void> {
  const [file, ...args] = shellWords(server.settings.postgresql.beforeStop ?? '');
  if (file === undefined) return;
  try {
    const result = await runner(server.runAs)(file, args, { timeoutMs, killGraceMs: KILL_GRACE_MS });
    if (result.code !== 0) server.log.warning('before_stop failed; stopping nevertheless', { code: result.code, cause: result.cause });
  } catch (error) {
    server.log.warning('before_stop could not be run; stopping nevertheless', { reason: ensureError(error).message });
  }
}
