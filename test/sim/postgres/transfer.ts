/** Reading from another server, for a clone or a rewind. */
import type { Source } from '../../../src/core/effects.ts';
import { sleep } from '../../../src/ports/clock.ts';
import type { Bounded } from '../../../src/ports/postgres.ts';
import { RegentError } from '../../../src/support/errors.ts';
import type { PostgresParts } from '../postgres.ts';
import type { SimServer } from '../server.ts';
import { isPrefix } from '../wal.ts';

export const transient = (code: string, message: string) => new RegentError(code, message, { policy: 'transient' });

/** The other server, if it can be talked to now. */
export function reach({ server, find }: PostgresParts, source: Source): SimServer | null {
  const { net } = server.parts;
  const from = find(source.host);
  const usable = from?.accepts && from.dir === 'valid';
  return usable && net.up(server.name, from.name) && net.up(from.name, server.name) ? from : null;
}

/** Time passes on this node; then the deadline and the signal are looked at. */
export async function step({ clock }: PostgresParts, ms: number, options: Bounded, code = 'PG_ABORTED'): Promise<void> {
  await sleep(clock, Math.min(ms, options.timeoutMs), options.signal);
  if (options.signal?.aborted || ms > options.timeoutMs) throw transient(code, 'called off');
}

/** Reads from the source all the while; its end, a cut or a promotion elsewhere breaks it. */
export async function transfer(
  parts: PostgresParts,
  source: Source,
  durationMs: number,
  options: Bounded,
  code: string,
): Promise<SimServer> {
  const { clock } = parts;
  const end = clock.monotonicMs() + durationMs;
  const from = reach(parts, source);
  const start = from?.position;
  for (;;) {
    const now = reach(parts, source);
    if (now === null || now !== from || start === undefined || !isPrefix(start, now.position))
      throw transient(code, `the connection to ${source.name} broke`);
    if (clock.monotonicMs() >= end) return now;
    await step(parts, Math.min(200, Math.max(1, end - clock.monotonicMs())), options, code);
  }
}
