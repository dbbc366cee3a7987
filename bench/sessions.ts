/**
 * The plan of a benchmark: which clusters are built, one after the other, and what is measured on
 * each.
 */
import { ensureError, RegentError } from '../src/support/errors.ts';
import { measureChecks } from './checks.ts';
import { measureEvent } from './events.ts';
import type { ColumnId, EventFigure, EventId, Figures } from './figures.ts';
import { measureIdle } from './idle.ts';
import { Lab, type LabTerms, labDirectory } from './lab.ts';
import { nowMs } from './now.ts';
import type { BenchOptions, ScenarioId } from './options.ts';
import { query } from './server.ts';
import { DEFAULT_TIMING, PATRONI_FLOOR, SHORT_TIMING, SYNCHRONOUS, type System, type Timing } from './systems.ts';
import { Writer } from './writer.ts';

const START_WITHIN_MS = 180_000;
const ROUTED_WITHIN_MS = 60_000;
/**
 * Before the second of two measurements of idle agents; before the first they rest for as long as
 * is measured.
 */
const REST_BETWEEN_SECONDS = 10;
/** Numbers of the rows of one writer. */
const ROWS_PER_WRITER = 10_000_000;

const NO_EVENTS: ReadonlySet<ScenarioId> = new Set(['start', 'idle', 'checks', 'sync-idle']);

export interface Session {
  readonly system: System;
  readonly timing: Timing;
  readonly scenarios: readonly ScenarioId[];
}

/** What one system may not come back from has a cluster to itself, so that the rest is measured. */
const CLUSTERS: ReadonlyArray<{ readonly timing: Timing; readonly scenarios: readonly ScenarioId[] }> = [
  { timing: DEFAULT_TIMING, scenarios: ['start', 'idle', 'checks', 'switchover', 'postmaster', 'node'] },
  { timing: PATRONI_FLOOR, scenarios: ['node-20'] },
  { timing: SHORT_TIMING, scenarios: ['node-5'] },
  { timing: SYNCHRONOUS, scenarios: ['sync-idle', 'sync-switchover', 'sync-node'] },
  { timing: SYNCHRONOUS, scenarios: ['sync-frozen'] },
  { timing: SYNCHRONOUS, scenarios: ['sync-agent', 'sync-etcd'] },
];

/**
 * In turns, so that what else the machine does meets all systems alike. Idling is measured once:
 * its figures are sums over time already.
 */
export function sessionsOf(options: BenchOptions, systems: readonly System[]): Session[] {
  return Array.from({ length: options.runs }).flatMap((_, run) =>
    CLUSTERS.flatMap(({ timing, scenarios }) =>
      systems.flatMap((system) => {
        const wanted = scenarios.filter((one) => options.scenarios.includes(one) && ((one !== 'idle' && one !== 'sync-idle') || run === 0));
        return wanted.length === 0 ? [] : [{ system, timing, scenarios: wanted }];
      }),
    ),
  );
}

export interface BenchTerms extends Omit<LabTerms, 'directory' | 'system' | 'timing'> {
  readonly root: string;
  readonly idleSeconds: number;
  readonly say: (text: string) => void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends ReadonlyArray<infer E> ? E[] : T[K] };

/**
 * Measures what can be measured; what fails is told and noted, and the next cluster goes on. Throws
 * only when the benchmark is stopped.
 */
export async function runSessions(sessions: readonly Session[], terms: BenchTerms): Promise<Figures> {
  const figures: Mutable<Figures> = { starts: [], events: [], idle: [], checks: [], failures: [] };
  for (const [index, session] of sessions.entries()) {
    const { system, timing } = session;
    terms.say(`cluster ${index + 1} of ${sessions.length}: ${system.title}, ttl ${timing.ttl}, loop_wait ${timing.loopWait}`);
    const run = new Run(session, terms, figures);
    try {
      await run.all(labDirectory(terms.root, index + 1));
    } catch (error) {
      terms.signal.throwIfAborted();
      const message = ensureError(error).message;
      figures.failures.push({ system: system.id, scenario: run.at, message });
      terms.say(`  ${run.at} failed: ${message}`);
    }
  }
  return figures;
}

class Run {
  readonly #session: Session;
  readonly #terms: BenchTerms;
  readonly #figures: Mutable<Figures>;
  /** What is being measured. */
  at = 'start';

  constructor(session: Session, terms: BenchTerms, figures: Mutable<Figures>) {
    this.#session = session;
    this.#terms = terms;
    this.#figures = figures;
  }

  async all(directory: string): Promise<void> {
    const { system, timing, scenarios } = this.#session;
    const { programs, entry, signal } = this.#terms;
    const lab = await Lab.open({ directory, system, timing, programs, entry, signal });
    try {
      await this.#start(lab);
      const idles = scenarios.includes('idle') || scenarios.includes('sync-idle');
      if (idles) await this.#idle(lab, false);
      if (scenarios.includes('checks')) await this.#checks(lab);
      lab.start('haproxy');
      const leader = await this.#routed(lab);
      if (idles) await this.#idle(lab, true);
      const events = scenarios.filter((one): one is EventId => !NO_EVENTS.has(one));
      if (events.length === 0) return;
      await query(lab.node(leader).postgresPort, 'create table writes (id bigint primary key)');
      await this.#events(lab, events, system.id, 1);
      if (!system.hasRouter) return;
      lab.start('router');
      await this.#events(lab, events, 'regent-router', 2);
    } catch (error) {
      if (!signal.aborted) this.#terms.say(await lab.lastWords());
      throw error;
    } finally {
      await lab.close();
    }
  }

  async #start(lab: Lab): Promise<void> {
    this.at = 'start';
    const begun = nowMs();
    for (const node of lab.plan.nodes) lab.start(node.name);
    await lab.until('three healthy streaming nodes', START_WITHIN_MS, async () => (await lab.wholeUnder()) !== null);
    const tookMs = nowMs() - begun;
    if (!this.#session.scenarios.includes('start')) return;
    this.#figures.starts.push({ system: this.#session.system.id, tookMs });
    this.#terms.say(`  from nothing to three streaming nodes: ${(tookMs / 1000).toFixed(1)} s`);
  }

  async #routed(lab: Lab): Promise<string> {
    let leader: string | null = null;
    await lab.until('HAProxy sending writes to the leader', ROUTED_WITHIN_MS, async () => {
      leader = await lab.wholeUnder();
      return leader !== null && (await lab.isRoutedTo(leader));
    });
    return leader!;
  }

  async #idle(lab: Lab, withChecks: boolean): Promise<void> {
    const synchronous = this.#session.timing.synchronous === true;
    this.at = synchronous ? 'sync-idle' : 'idle';
    const { idleSeconds, signal, say } = this.#terms;
    const cost = await measureIdle(lab, withChecks ? REST_BETWEEN_SECONDS : idleSeconds, idleSeconds, signal);
    this.#figures.idle.push({ system: this.#session.system.id, withChecks, synchronous, cost });
    const cpu = cost.cpuMsPerSecond.map((one, index) => `${one.toFixed(1)}${index === cost.leader ? ' (leader)' : ''}`).join(', ');
    const rss = cost.agents.map((one) => (one.rssBytes / 1024 ** 2).toFixed(1)).join(', ');
    say(`  ${this.at} ${withChecks ? 'with' : 'without'} health checks: ${cpu} ms of CPU a second, ${rss} MiB resident`);
  }

  async #checks(lab: Lab): Promise<void> {
    this.at = 'checks';
    const { idleSeconds, signal, say } = this.#terms;
    const leader = await lab.leader();
    if (leader === null) throw new RegentError('BENCH_EVENT', 'nobody leads', { policy: 'transient' });
    for (const cost of await measureChecks(lab, leader, idleSeconds, signal)) {
      this.#figures.checks.push({ system: this.#session.system.id, cost });
      say(`  one health check, ${cost.perSecond} a second: ${cost.cpuMs.toFixed(2)} ms of CPU`);
    }
  }

  async #events(lab: Lab, events: readonly EventId[], column: ColumnId, number: number): Promise<void> {
    const { entry, signal, say } = this.#terms;
    const writer = new Writer(entry, lab.plan.haproxy.writePort, number * ROWS_PER_WRITER);
    try {
      for (const event of events) {
        this.at = column === 'regent-router' ? `${event} with the router` : event;
        const measured = await measureEvent(event, { lab, writer, timing: this.#session.timing, signal });
        const figure: EventFigure = { column, event, ...measured };
        this.#figures.events.push(figure);
        const { gapMs, failedWrites, failedConnects, lost } = figure;
        say(
          `  ${this.at}: ${Math.round(gapMs)} ms without a write; ${failedWrites} writes and ${failedConnects} connections failed, ${lost} lost`,
        );
      }
    } catch (error) {
      const { message } = ensureError(error);
      throw new RegentError('BENCH_EVENT', `${message}; the client's last error: ${writer.lastError ?? 'none'}`, { cause: error });
    } finally {
      writer.stop();
    }
  }
}
