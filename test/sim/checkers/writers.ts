/** S2 and S13: who may acknowledge, and when. */
import { GUARD_KILL_MS } from '../guard.ts';
import type { Machine } from '../machine.ts';
import type { SimServer } from '../server.ts';
import type { World } from '../world.ts';

type Report = (invariant: string, what: string) => void;

/** From the guard's deadline until the last process is dead. */
export const GUARD_GRACE_MS = GUARD_KILL_MS + 30;
/** After waking up, until the guard's first look and what it kills are over. */
const WAKE_GRACE_MS = 2 * GUARD_GRACE_MS;
/** A node that has just read that the pause is over settles who leads within so long. */
export const UNPAUSE_GRACE_MS = 5000;
/**
 * Time for an agent that is back to see that its lease is over, or that its guard does not listen,
 * and to stop PostgreSQL. Its first try to read etcd comes on top.
 */
const HELPLESS_GRACE_MS = 5000;
const PAUSE_KNOWN_MS = 15_000;

/**
 * A guard in place of one that died gets its deadline in about this time. An agent that dies before
 * has failed together with its guard.
 */
const REPLACED_MS = 50;
/** The longest time that a primary goes on without guard and agent. */
const ALONE_MS = 1000;
/** A round of an agent whose etcd answers. */
const ROUND_MS = 1500;

/** Its guard can do nothing, or may not be told anything. */
const unguarded = ({ guard }: Machine) => !guard.alive || guard.frozen || (guard.mute && guard.deadlineMs === null);

/**
 * The guard rests since a pause, and the agent that is there now does not know the server, so that
 * it neither stops it nor has it guarded (docs/SPEC.md, "exceptions").
 */
const isUnknownSincePause = ({ server, guard }: Machine) =>
  server.process !== null && server.process === server.unseen && guard.deadlineMs === null && guard.toldToRest;

export class Writers {
  readonly #world: World;
  readonly #report: Report;
  /** A server takes writes only while the leader key names it. */
  onlyHolder = true;
  /** No two take writes at once, and none after its guard's deadline. */
  fenced = true;
  readonly #helpless = new Map<Machine, number>();
  readonly #untold = new Set<Machine>();
  /** Since when guard and agent have both been gone. */
  readonly #alone = new Map<Machine, number>();
  /** Names of those who took writes when it was looked last. */
  #last: readonly string[] = [];

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
  }

  /**
   * Clients are led here or there since somebody has led; a cluster that is being made takes writes
   * before that (docs/SPEC.md, "during bootstrap").
   */
  get #published(): boolean {
    return this.#world.checkers.successions.length > 0 && this.#world.etcd.get('initialize')?.value !== '';
  }

  /**
   * True when somebody else takes writes now than before. Runs after every event, so it builds
   * nothing where all is as usual.
   */
  look(): boolean {
    const { machines, holder } = this.#world;
    let judged = 0;
    let takers = 0;
    let same = true;
    for (const machine of machines) {
      // Guard and agent can both do nothing: two failures at once, which only a watchdog or a
      // quorum answers. Where both are dead, the kernel does. Once it is over, the agent needs the
      // time to look.
      if (this.#isHelpless(machine) || isUnknownSincePause(machine)) this.#helpless.set(machine, this.#world.sim.now);
      this.#checkAlone(machine);
      if (machine.server.dir !== 'valid' || !machine.server.commits) continue;
      same &&= this.#last[takers] === machine.name;
      takers += 1;
      if (this.#excused(machine) || this.#elsewhere(machine)) continue;
      if (this.fenced && this.#overdue(machine)) this.#report('S2', `${machine.name} takes writes after its guard's deadline`);
      // Nobody confirms what it takes: checkers/take-overs.ts sees to that.
      if (this.#world.checkers.takeOvers.isReplaced(machine.name)) continue;
      judged += 1;
      if (this.onlyHolder && holder !== machine.name && this.#published && !(holder === null && this.#world.checkers.isKept(machine.name)))
        this.#report('S2', `${machine.name} takes writes, the leader key names ${holder ?? 'nobody'}`);
    }
    if (this.fenced && judged > 1) this.#report('S2', `at once ${this.#takers().join(' ')} take writes`);
    if (same && takers === this.#last.length) return false;
    this.#last = this.#takers();
    this.#world.trace(`writable: ${this.#last.join(' ') || 'nobody'}`);
    return true;
  }

  /** kill -9 of both: the kernel stops PostgreSQL, unless the guard rested. */
  #checkAlone(machine: Machine): void {
    const { agent, guard, server } = machine;
    const excused = guard.toldToRest || server.hangs || !machine.up || machine.believesPaused(UNPAUSE_GRACE_MS);
    if (agent !== null || guard.alive || !server.commits || excused) {
      this.#alone.delete(machine);
      return;
    }
    const { now } = this.#world.sim;
    const since = this.#alone.get(machine) ?? now;
    this.#alone.set(machine, since);
    if (now - since > ALONE_MS) this.#report('S2', `${machine.name} takes writes with neither guard nor agent`);
  }

  #takers(): readonly string[] {
    return this.#world.machines.filter(({ server }) => server.dir === 'valid' && server.commits).map(({ name }) => name);
  }

  /**
   * A guard that could not be told a deadline while its agent lived has none, although it listens
   * again. The same holds when the next agent died before it had read etcd.
   */
  #isHelpless(machine: Machine): boolean {
    const { helpless, guard } = machine;
    if (!helpless && this.#untold.size === 0) return false;
    if (helpless && (unguarded(machine) || this.#justReplaced(machine) || this.#justResumed(machine))) this.#untold.add(machine);
    else if (guard.deadlineMs !== null || this.#hadTime(machine)) this.#untold.delete(machine);
    return helpless && this.#untold.has(machine);
  }

  /** Time to give its guard a deadline, or to stop PostgreSQL where etcd does not answer. */
  #hadTime(machine: Machine): boolean {
    return !machine.helpless && (machine.knowsSince(ROUND_MS) || this.#world.sim.now - machine.steadySince > this.#patienceMs);
  }

  get #patienceMs(): number {
    return HELPLESS_GRACE_MS + this.#world.orders.retryMs;
  }

  /**
   * Its agent has read that the pause is over, and has not had the time for a round since. A
   * PostgreSQL that does not answer takes some of that time.
   */
  #justResumed(machine: Machine): boolean {
    return machine.guard.deadlineMs === null && machine.believesPaused(ROUND_MS);
  }

  #justReplaced({ guard }: Machine): boolean {
    return guard.deadlineMs === null && this.#world.sim.now - guard.startedAt < REPLACED_MS;
  }

  /**
   * A guard that stood still looks at its deadline when it goes on. An agent that lives has not
   * relied on it meanwhile.
   */
  #overdue({ guard, clock }: Machine): boolean {
    if (!guard.alive || guard.deadlineMs === null || this.#world.sim.now - guard.heardAgainAt < GUARD_GRACE_MS) return false;
    return clock.bootMs() > guard.deadlineMs + GUARD_GRACE_MS;
  }

  /**
   * No client is led there (docs/SPEC.md, "during bootstrap"). The cluster was made while another
   * one was published, or before any was. Its agent died or lost its right before it could publish
   * it.
   */
  #elsewhere({ server }: Machine): boolean {
    const published = this.#world.etcd.get('initialize')?.value;
    if (published === '' || this.#world.checkers.successions.length === 0) return true;
    return published !== undefined && server.systemId !== published && /^\d{10,}$/.test(published);
  }

  /**
   * In pause there are no fences, and what has slept wakes up as it was: docs/SPEC.md,
   * "exceptions".
   */
  #excused(machine: Machine): boolean {
    return this.unfenced(machine) || machine.believesPaused(UNPAUSE_GRACE_MS);
  }

  /**
   * Agent and guard could both do nothing. Or it goes on where it was when its machine fell asleep,
   * until its guard has looked at the clock.
   */
  unfenced(machine: Machine): boolean {
    const { now } = this.#world.sim;
    return now - (this.#helpless.get(machine) ?? Number.NEGATIVE_INFINITY) < this.#patienceMs || now - machine.awakeAt < WAKE_GRACE_MS;
  }

  /**
   * S13: in a pause only a member that was named is promoted, and never a server that its guard has
   * fenced.
   */
  checkPromotion(server: SimServer): void {
    const machine = this.#world.node(server.name);
    if (machine.guard.fired) this.#report('S13', `${server.name} is promoted although its guard has fenced it`);
    const { orders, sim } = this.#world;
    if (orders.pausedSince === null || sim.now - orders.pausedSince < PAUSE_KNOWN_MS || orders.names(server.name)) return;
    this.#report('S13', `${server.name} is promoted although the cluster is paused and nobody named it`);
  }
}
