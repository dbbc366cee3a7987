/** `-w SECONDS` and `-W`: the same answer again and again, on a clean screen, until Ctrl-C. */
import { sleep } from '../ports/clock.ts';
import type { Ctx } from './context.ts';

export interface WatchOptions {
  /** `-w`, in seconds. */
  readonly watch?: number;
  /** `-W`. */
  readonly W?: boolean;
}

const DEFAULT_SECONDS = 2;
const CLEAR = '\u001b[2J\u001b[1;1H';

export async function watching(ctx: Ctx, options: WatchOptions, clear: boolean, show: () => Promise<void>): Promise<void> {
  const seconds = options.watch ?? (options.W ? DEFAULT_SECONDS : null);
  if (seconds === null || seconds === 0) return show();
  ctx.leaveOnInterrupt();
  while (!ctx.io.signal.aborted) {
    // A file or a pipe gets no control sequences.
    if (clear && ctx.io.stdout.isTTY) ctx.io.stdout.write(CLEAR);
    await show();
    await sleep(ctx.io.clock, seconds * 1000, ctx.io.signal);
  }
}
