/** The walsenders of a server: ended while it runs, and watched while it shuts down. */
import type pg from 'pg';
import { type Connected, DRAIN_PATIENCE_MS, dispensable } from '../../core/shutdown-wait.ts';
import { includes } from '../../core/voters.ts';
import { type Clock, sleep } from '../../ports/clock.ts';
import { HeldProcess } from './detect.ts';
import { type LocalServer, runner } from './local-server.ts';
import { binary } from './programs.ts';

const LOOK_MS = 100;
const ASK_MS = 200;
/** Most stops are over by then. */
const FIRST_LOOK_MS = 200;
const CONTROL_MS = 1000;
/** Consumers of logical slots and base backups may end by themselves for so long. */
const CONSUMERS_MS = 700;
/**
 * By then every walsender that is not stuck has stopped sending, so that the shutdown checkpoint
 * can be written.
 */
const STUCK_MS = 1000;

/** A standby that is only just connecting is left out: it may be the candidate. */
const CONNECTED = `SELECT s.pid, s.application_name AS name, coalesce(r.slot_type = 'logical', false) OR s.state = 'backup' AS consumes
FROM pg_stat_replication s LEFT JOIN pg_replication_slots r ON r.active_pid = s.pid
WHERE s.state IN ('streaming', 'catchup', 'backup') OR r.slot_type = 'logical'`;
const END = `SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE pid = ANY ($1)`;

/**
 * A walsender that is told to end may be stuck in a socket that takes no more. Telling it again
 * gets it out of there.
 */
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
  readonly consumes: boolean;
}

export interface Patience {
  /**
   * Members that may lead next; absent: every standby is waited for as long as PostgreSQL waits.
   */
  readonly successors?: readonly string[];
  /**
   * Called once, when nothing can be written any more and every standby that is waited for has
   * everything.
   */
  readonly onClosed?: () => void;
  /** The stop has so much time in all. */
  readonly timeoutMs: number;
}

/** Of one stop. Held from before the stop, because nothing can be asked once it is ordered. */
export class Walsenders {
  readonly #server: LocalServer;
  readonly #standbys: readonly Walsender[];
  /**
   * Consumers of logical slots and base backups. A consumer's slot loses nothing when it is ended;
   * a base backup would fail in any case.
   */
  readonly #consumers: readonly Walsender[];
  readonly #patience: Patience;
  readonly #orderedAtMs: number;
  /** When the control file first said that all WAL is written. */
  #writtenAtMs: number | null = null;
  #closedAtMs: number | null = null;
  #nextLookMs: number;
  readonly #said = new Set<string>();

  private constructor(server: LocalServer, connected: readonly Walsender[], patience: Patience) {
    this.#server = server;
    this.#standbys = connected.filter(({ consumes }) => !consumes);
    this.#consumers = connected.filter(({ consumes }) => consumes);
    this.#patience = patience;
    this.#orderedAtMs = server.clock.monotonicMs();
    this.#nextLookMs = this.#orderedAtMs + FIRST_LOOK_MS;
  }

  /**
   * Never throws. A server that does not answer tells none, and PostgreSQL then waits as it always
   * does.
   */
  static async of(server: LocalServer, postmaster: HeldProcess, patience: Patience): Promise<Walsenders> {
    const rows = await server.heartbeat.query<Connected & { consumes: boolean }>(CONNECTED, [], ASK_MS).catch(() => []);
    const held = rows.flatMap(({ pid, name, consumes }) => {
      const process = HeldProcess.hold(pid);
      if (process?.ppid === postmaster.pid) return [{ pid, name, consumes, process }];
      process?.release();
      return [];
    });
    return new Walsenders(server, held, patience);
  }

  release(): void {
    for (const { process } of [...this.#standbys, ...this.#consumers]) process.release();
  }

  /**
   * Call it repeatedly during a fast shutdown. It ends the walsenders that need not be waited for,
   * and tells when PostgreSQL is closed for writes.
   */
  async look(): Promise<void> {
    const now = this.#server.clock.monotonicMs();
    if (now < this.#nextLookMs) return;
    const sinceMs = now - this.#orderedAtMs;
    // A fast shutdown waits until they have confirmed everything, however slow they are. One that
    // is stuck in a socket keeps the checkpoint from being written.
    if (sinceMs >= this.#scaled(CONSUMERS_MS)) this.#end(alive(this.#consumers), 'has not taken all WAL');
    if (this.#writtenAtMs === null && (await this.#allIsWritten())) this.#writtenAtMs = now;
    this.#nextLookMs = this.#server.clock.monotonicMs() + LOOK_MS;
    const { successors } = this.#patience;
    if (this.#writtenAtMs === null) {
      this.#tellWhatIsAwaited(sinceMs);
      if (successors !== undefined && sinceMs >= this.#scaled(STUCK_MS)) this.#endStuck(successors);
      return;
    }
    if (successors !== undefined && now - this.#writtenAtMs >= DRAIN_PATIENCE_MS) this.#giveUp(successors);
    if (this.#closedAtMs === null && alive(this.#standbys).length === 0) this.#closed(now);
  }

  /** All processes are gone. */
  ended(): void {
    const now = this.#server.clock.monotonicMs();
    if (this.#closedAtMs === null || now - this.#closedAtMs < CONSUMERS_MS) return;
    this.#server.log.info(`PostgreSQL ended ${seconds(now - this.#closedAtMs)} after it was closed for writes`);
  }

  get closed(): boolean {
    return this.#closedAtMs !== null;
  }

  #closed(now: number): void {
    this.#closedAtMs = now;
    const consumers = alive(this.#consumers).map(({ name }) => name);
    const next = consumers.length > 0 ? `now waits for ${consumers.join(', ')}` : 'ends once its archiver, if it has one, is done';
    this.#server.log.info(`PostgreSQL is closed for writes ${seconds(now - this.#orderedAtMs)} after the stop was ordered, and ${next}`);
    this.#patience.onClosed?.();
  }

  /** A stop with little time in all gives each wait less. */
  #scaled(ms: number): number {
    return Math.min(ms, this.#patience.timeoutMs * 0.3);
  }

  #tellWhatIsAwaited(sinceMs: number): void {
    if (sinceMs < CONSUMERS_MS || this.#said.has('waits')) return;
    this.#said.add('waits');
    const names = alive([...this.#standbys, ...this.#consumers]).map(({ name, pid }) => `${name} (pid ${pid})`);
    const connected = names.length === 0 ? '' : `; connected: ${names.join(', ')}`;
    this.#server.log.info(
      `PostgreSQL has not written its last checkpoint ${seconds(sinceMs)} after the stop was ordered. It waits for sessions that are still ending, or for a standby or consumer that does not receive${connected}`,
    );
  }

  /**
   * A walsender that is stuck in a full socket keeps the last checkpoint from being written. A
   * successor is never cut off.
   */
  #endStuck(successors: readonly string[]): void {
    this.#end(
      alive(this.#standbys).filter(({ name }) => !includes(successors, name)),
      'may be what keeps the last checkpoint from being written',
    );
  }

  #giveUp(successors: readonly string[]): void {
    const ended = new Set(this.#standbys.filter(({ process }) => process.state() === 'gone').map(({ pid }) => pid));
    const pids = dispensable(this.#standbys, ended, successors).map(({ pid }) => pid);
    this.#end(
      this.#standbys.filter(({ pid }) => pids.includes(pid)),
      'has not confirmed the end of the WAL',
    );
  }

  /** Its first words to its standby may fill the same socket: it is told again at every look. */
  #end(walsenders: readonly Walsender[], why: string): void {
    for (const { pid, name, process } of walsenders) {
      if (!this.#said.has(String(pid))) this.#server.log.warning(`not waiting any longer for ${name}, which ${why}`, { pid });
      this.#said.add(String(pid));
      process.signal('SIGTERM');
    }
  }

  /**
   * Only then walsenders are told to end once their standbys have everything (ShutdownXLOG, then
   * PM_SHUTDOWN_2 of the postmaster).
   */
  async #allIsWritten(): Promise<boolean> {
    const { control, settings, runAs } = this.#server;
    const program = binary(settings, 'pg_controldata');
    const read = control.read(settings.postgresql.dataDir, program, runner(runAs), CONTROL_MS);
    return (await read.catch(() => null))?.state === 'shut down';
  }
}

const alive = (walsenders: readonly Walsender[]) => walsenders.filter(({ process }) => process.state() !== 'gone');
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
