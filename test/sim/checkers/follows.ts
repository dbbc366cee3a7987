/**
 * S9: a server that ended as a primary is not started as a standby while its WAL goes on where its
 * leader's history does not. What a crashed one wrote last is in no file but its WAL.
 */
import type { SimServer } from '../server.ts';
import { isPrefix } from '../wal.ts';
import type { World } from '../world.ts';

type Report = (invariant: string, what: string) => void;

/** By then an agent that starts a standby has compared it with this leader, not with one before. */
const LED_MS = 5000;
/** From a promotion on, while nothing disturbs: a job may be at work, a checkpoint takes time. */
const CHECKPOINT_MS = 15_000;

export class Follows {
  readonly #world: World;
  readonly #report: Report;
  readonly #openedAt = new Map<SimServer, number>();

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
  }

  opened(server: SimServer): void {
    const { sim } = this.#world;
    this.#openedAt.set(server, sim.now);
    const { process } = server;
    const { disturbances } = sim;
    sim.after(CHECKPOINT_MS, () => {
      if (server.process === process && disturbances === sim.disturbances) this.#checkCheckpoint(server);
    });
  }

  /** S22: until there is one on the new timeline, nobody can be rewound from there. */
  #checkCheckpoint(server: SimServer): void {
    const { orders, holder } = this.#world;
    const { steadySince } = this.#world.node(server.name);
    if (holder !== server.name || orders.pausedSince !== null || steadySince > (this.#openedAt.get(server) ?? 0)) return;
    if (server.writable && server.checkpoint.branch !== server.position.branch)
      this.#report('S22', `${server.name} was promoted ${CHECKPOINT_MS} ms ago, and its agent had it make no checkpoint`);
  }

  /** Before its first process runs. */
  checkStart(server: SimServer): void {
    const leader = this.#world.leader?.server;
    if (leader === undefined || leader === server || leader.systemId !== server.systemId || server.backup !== null) return;
    if (this.#world.sim.now - (this.#openedAt.get(leader) ?? this.#world.sim.now) < LED_MS) return;
    if (server.controlState !== 'in production' && server.controlState !== 'shut down') return;
    // Of WAL that the leader has removed, only numbers are left to compare.
    const { position, checkpoint } = server;
    if (checkpoint.lsn < leader.filesFrom || checkpoint.lsn < leader.oldestLsn || isPrefix(position, leader.position)) return;
    const { timeline } = position.branch;
    this.#report(
      'S9',
      `${server.name} is started to follow ${leader.name}, which lacks WAL that it has: it is at ${position.lsn} of timeline ${timeline}`,
    );
  }
}
