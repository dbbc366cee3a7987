/** The user's before_stop: a stop waits for it, and does not ask how it ended. */
import type { Clock } from '../../ports/clock.ts';
import { sleep } from '../../ports/clock.ts';
import { ensureError } from '../../support/errors.ts';
import { shellWords } from '../../support/shell-words.ts';
import { type LocalServer, runner } from './local-server.ts';

type ScriptServer = Pick<LocalServer, 'settings' | 'log' | 'runAs'> & { readonly clock: Pick<Clock, 'timer'> };

const KILL_GRACE_MS = 100;
/** From the kill until a script that can be killed is known to be gone. */
const GONE_MS = 500;

export class BeforeStop {
  readonly #runner: typeof runner;
  #running: Promise<void> | null = null;

  constructor(run: typeof runner = runner) {
    this.#runner = run;
  }

  /**
   * Resolves when the script has ended, or a moment after the deadline, at which it is killed: a
   * script that waits for a mount which hangs outlives SIGKILL. Where it runs already, for a stop
   * that has more time, it goes on, and this stop waits for it as long as it may. Never throws.
   */
  async run(server: ScriptServer, timeoutMs: number): Promise<void> {
    if (this.#running !== null) return void (await endsWithin(server, this.#running, timeoutMs));
    const running = runScript(server, this.#runner, timeoutMs).finally(() => {
      this.#running = null;
    });
    this.#running = running;
    if (!(await endsWithin(server, running, timeoutMs + KILL_GRACE_MS + GONE_MS)))
      server.log.warning('before_stop cannot be killed; stopping nevertheless', { timeoutMs });
  }
}

async function endsWithin({ clock }: ScriptServer, running: Promise<void>, waitMs: number): Promise<boolean> {
  const ended = new AbortController();
  const end = running.then(() => ended.abort());
  await Promise.race([end, sleep(clock, waitMs, ended.signal)]);
  return ended.signal.aborted;
}

async function runScript(server: ScriptServer, run: typeof runner, timeoutMs: number): Promise<void> {
  const [file, ...args] = shellWords(server.settings.postgresql.beforeStop ?? '');
  if (file === undefined) return;
  try {
    const result = await run(server.runAs)(file, args, { timeoutMs, killGraceMs: KILL_GRACE_MS });
    if (result.code !== 0) server.log.warning('before_stop failed; stopping nevertheless', { code: result.code, cause: result.cause });
  } catch (error) {
    server.log.warning('before_stop could not be run; stopping nevertheless', { reason: ensureError(error).message });
  }
}
