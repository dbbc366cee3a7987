/** The walsenders of a server: ended while it runs, and watched while it shuts down. */
import type pg from 'pg';
import { type Connected, DRAIN_PATIENCE_MS, dispensable } from '../../core/drain.ts';
import { type Clock, sleep } from '../../ports/clock.ts';
import { binary, type Context, runner } from './context.ts';
import { HeldProcess } from './detect.ts';

const LOOK_MS = 100;
const ASK_MS = 200;
/** Most stops are over by then. */
const FIRST_LOOK_MS = 200;
const CONTROL_MS = 1000;

const CONNECTED = `SELECT s.pid, s.application_name AS name, coalesce(r.slot_type = 'logical', false) AS logical
FROM pg_stat_replication s LEFT JOIN pg_replication_slots r ON r.active_pid = s.pid
WHERE s.state IN ('streaming', 'catchup') OR r.slot_type = 'logical'`;
const END = `SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE pid = ANY ($1)`;

/** Those that are told to end may be stuck in a socket that takes no more, and get out of there when they are told again. */
export async function endWalsenders(
  clock: Clock,
  client: pg.Client,
  pids: readonly number[],
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<void> {
  const deadline = clock.monotonicMs() + options.timeoutMs;
  while (clock.monotonicMs() < deadline && !options.signal?.aborted) {
    if ((await client.query(END, [pids])).rows.length === 0) return;
    await sleep(clock, LOOK_MS, options.signal);
  }
}

interface Walsender extends Connected {
  readonly process: HeldProcess;
}

/** Of one stop. Held from before it, because nobody can be asked any more once it is ordered. */
export class Walsenders {
  readonly #context: Context;
  readonly #physical: readonly Walsender[];
  readonly #logical: readonly Walsender[];
  /** When the control file first said that all WAL is written. */
  #writtenAtMs: number | null = null;
  #nextLookMs: number;
  readonly #givenUp = new Set<number>();

  private constructor(context: Context, physical: readonly Walsender[], logical: readonly Walsender[]) {
    this.#context = context;
    this.#physical = physical;
    this.#logical = logical;
    this.#nextLookMs = context.clock.monotonicMs() + FIRST_LOOK_MS;
  }

  /** Never throws: of a server that does not answer none are known, and it is waited for as PostgreSQL does. */
  static async of(context: Context, postmaster: HeldProcess): Promise<Walsenders> {
    const rows = await context.heartbeat.query<Connected & { logical: boolean }>(CONNECTED, [], ASK_MS).catch(() => []);
    const hold = (logical: boolean): Walsender[] =>
      rows
        .filter((row) => row.logical === logical)
        .flatMap(({ pid, name }) => {
          const process = HeldProcess.hold(pid);
          if (process?.ppid === postmaster.pid) return [{ pid, name, process }];
          process?.release();
          return [];
        });
    return new Walsenders(context, hold(false), hold(true));
  }

  release(): void {
    for (const { process } of [...this.#physical, ...this.#logical]) process.release();
  }

  /** A fast shutdown waits for consumers of logical slots to confirm everything, however slow they are. Their slots lose nothing when it does not. */
  endConsumers(): void {
    for (const { process } of this.#logical) process.signal('SIGTERM');
  }

  /** To be called over and over during a fast shutdown: gives those up that need not be waited for. */
  async giveUp(heirs: readonly string[]): Promise<void> {
    const { clock, log } = this.#context;
    if (this.#physical.length === 0 || clock.monotonicMs() < this.#nextLookMs) return;
    if (this.#writtenAtMs === null && (await this.#allIsWritten())) this.#writtenAtMs = clock.monotonicMs();
    this.#nextLookMs = clock.monotonicMs() + LOOK_MS;
    if (this.#writtenAtMs === null || clock.monotonicMs() - this.#writtenAtMs < DRAIN_PATIENCE_MS) return;
    const ended = new Set(this.#physical.filter(({ process }) => process.state() === 'gone').map(({ pid }) => pid));
    for (const { pid, name } of dispensable(this.#physical, ended, heirs)) {
      if (!this.#givenUp.has(pid)) log.warning(`not waiting any longer for ${name}, which has not confirmed the end of the WAL`, { pid });
      this.#givenUp.add(pid);
      this.#physical.find((one) => one.pid === pid)?.process.signal('SIGTERM');
    }
  }

  /** Only then walsenders are told to end once their standbys have everything (ShutdownXLOG, then PM_SHUTDOWN_2 of the postmaster). */
  async #allIsWritten(): Promise<boolean> {
    const { control, settings, runAs } = this.#context;
    const program = binary(settings, 'pg_controldata');
    const read = control.read(settings.postgresql.dataDir, program, runner(runAs), CONTROL_MS);
    return (await read.catch(() => null))?.state === 'shut down';
  }
}
