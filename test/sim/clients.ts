/**
 * Clients that write, through a router and, stubbornly, straight to a node; and the record of what
 * they were told.
 */
import type { Lsn } from '../../src/core/units.ts';
import type { Session } from './haproxy.ts';
import type { Machine } from './machine.ts';
import type { CommitOptions } from './postgres/waiting.ts';
import type { Rng } from './rng.ts';
import { type Branch, commitsIn } from './wal.ts';
import type { World } from './world.ts';

export interface Acknowledged {
  readonly id: number;
  readonly node: string;
  readonly branch: Branch;
  readonly lsn: Lsn;
  readonly at: number;
  /** synchronous_standby_names that was obeyed when the commit was acknowledged. */
  readonly rule: string;
}

export interface ClientStyle {
  readonly everyMs: number;
  /**
   * One is led to the leader: by HAProxy, where the world has one, else by the leader key itself.
   */
  readonly routed?: boolean;
  /** One stays with this node, come what may; `any` takes another each time. */
  readonly stubborn?: string | null;
  /**
   * Share of commits of which the wait is cancelled (M2), and of those that do not wait at all
   * (M4).
   */
  readonly cancels?: number;
  readonly local?: number;
}

/** After a start, and after a connection was lost. */
const RUSH_MS = 10_000;
/**
 * A tenth of the time that nothing has happened is between two commits, but never more than this.
 */
const CALM_MS = 5000;
const CANCEL_AFTER_MS = 300;

export class Clients {
  /** What was promised: the policy in force was satisfied. */
  readonly acknowledged: Acknowledged[] = [];
  /** Called at the moment of each acknowledgement. */
  readonly onAcknowledged = new Set<(commit: Acknowledged) => void>();
  readonly #world: World;
  readonly #rng: Rng;
  attempts = 0;
  /**
   * Reported as a success without being promised to last: cancelled waits, and sessions that did
   * not ask for more.
   */
  unpromised = 0;
  #nextId = 1;
  #writing = false;
  #rushUntil = Number.POSITIVE_INFINITY;
  #rushing: Array<() => void> = [];

  constructor(world: World) {
    this.#world = world;
    this.#rng = world.rng.fork('clients');
  }

  /**
   * One commit on that node over a new connection; `false` when it was refused. Whether it is
   * acknowledged shows later.
   */
  write(machine: Machine, options: CommitOptions = {}): boolean {
    return machine.server.writable && this.#commit(machine, options);
  }

  #commit(machine: Machine, options: CommitOptions): boolean {
    const { net, sim } = this.#world;
    const { server } = machine;
    if (!net.up('client', machine.name) || !net.up(machine.name, 'client')) return false;
    const id = this.#nextId;
    this.#nextId += 1;
    this.attempts += 1;
    let at: { readonly branch: Branch; readonly lsn: Lsn } | null = null;
    return server.commit(
      id,
      options,
      (lsn) => {
        at = { branch: server.position.branch, lsn };
      },
      (how) => {
        if (at === null) return;
        if (how !== 'acknowledged') {
          this.unpromised += 1;
          return;
        }
        const commit: Acknowledged = { id, node: machine.name, ...at, at: sim.now, rule: server.obeyed };
        this.acknowledged.push(commit);
        for (const listener of this.onAcknowledged) listener(commit);
      },
    );
  }

  /**
   * Until stop(). Without a style given, one follows the leader key and one goes to any node at
   * all, at one pace. With a style they write less and less while nothing happens, because an hour
   * of calm must not cost more than its events.
   */
  start(style: number | ClientStyle): void {
    if (this.#writing) return;
    this.#writing = true;
    const { everyMs, routed = true, stubborn = 'any', cancels = 0, local = 0 } = typeof style === 'number' ? { everyMs: style } : style;
    const { sim } = this.#world;
    this.#rushUntil = typeof style === 'number' ? Number.POSITIVE_INFINITY : sim.now + RUSH_MS;
    this.#rushing = [];
    const ordinary: CommitOptions = {};
    const unusual = cancels > 0 || local > 0;
    const options = (): CommitOptions =>
      unusual
        ? {
            ...(cancels > 0 && this.#rng.chance(cancels) ? { cancelAfterMs: CANCEL_AFTER_MS } : {}),
            ...(local > 0 && this.#rng.chance(local) ? { local: true } : {}),
          }
        : ordinary;
    const run = (connect: (session: Session | null) => Session | null) => {
      let session: Session | null = null;
      const next = () => {
        if (!this.#writing) return;
        const before = session;
        session = connect(session);
        if (session !== before) this.rush(RUSH_MS);
        if (session !== null) this.#commit(session.machine, options());
        again();
      };
      const again = () => {
        const gapMs = Math.max(everyMs, Math.min(CALM_MS, (sim.now - this.#rushUntil) / 10));
        cancel();
        cancel = sim.after(this.#rng.between(gapMs / 2, gapMs * 1.5), next);
      };
      let cancel = () => {};
      this.#rushing.push(() => {
        if (this.#writing) again();
      });
      next();
    };
    const { routing } = this.#world;
    if (routed && routing !== null) run((session) => (session !== null && lasts(session) ? session : routing.haproxy.connect()));
    else if (routed)
      run(straightTo(() => this.#world.leader ?? this.#world.machines.find((machine) => machine.name === this.#world.holder) ?? null));
    if (stubborn === 'any') run(straightTo(() => this.#rng.pick(this.#world.machines)));
    else if (stubborn !== null) run(straightTo(() => this.#world.node(stubborn)));
  }

  /** Something is about to happen: for so long they write as often as they can. */
  rush(ms: number): void {
    const calm = this.#world.sim.now > this.#rushUntil;
    this.#rushUntil = Math.max(this.#rushUntil, this.#world.sim.now + ms);
    if (calm) for (const hurry of this.#rushing) hurry();
  }

  stop(): void {
    this.#writing = false;
  }

  /** What was acknowledged and is not on that node. */
  missingOn(machine: Machine): readonly Acknowledged[] {
    const there = commitsIn(machine.server.position);
    return this.acknowledged.filter((commit) => !there.has(commit.id));
  }
}

/**
 * A connection is kept as long as its server lives and nobody ends it. A hanging postmaster does
 * not end it, and a demotion does not either.
 */
const lasts = ({ machine, process, cut }: Session): boolean => !cut && machine.server.process === process;

/**
 * A session with the node that is picked, where it takes writes, and for as long as it is picked.
 */
function straightTo(pick: () => Machine | null): (session: Session | null) => Session | null {
  return (session) => {
    const machine = pick();
    if (machine === null) return null;
    if (session !== null && session.machine === machine && lasts(session)) return session;
    const { writable, process } = machine.server;
    return writable && process !== null ? { machine, process, cut: false } : null;
  };
}
