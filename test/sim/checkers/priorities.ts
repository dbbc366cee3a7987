/**
 * failover_priority: of standbys at one position the one with the higher priority leads first. Only
 * what the new leader could have known counts against it, so this judges calm elections alone. Both
 * members were healthy, reached each other and etcd, and kept their position, from before the
 * leader key became free until it was taken.
 */
import { failoverPriority, mayLead, sameName } from '../../../src/core/cluster.ts';
import type { Machine } from '../machine.ts';
import type { ServerProcess } from '../postgres/process.ts';
import type { Position } from '../wal.ts';
import type { World } from '../world.ts';

type Report = (invariant: string, what: string) => void;

/** A node that led no longer ago than this may be who others know as the last leader. */
const LED_MS = 120_000;
/** What an agent takes to know its own server, and etcd that it is there. */
const SETTLED_MS = 5000;

/** A standby that was fit to lead when the key became free. */
interface Candidate {
  readonly machine: Machine;
  readonly process: ServerProcess;
  readonly position: Position;
}

interface Vacancy {
  readonly candidates: readonly Candidate[];
  /** Which machines reached each other then; it must not have changed since. */
  readonly disturbances: number;
}

export class Priorities {
  readonly #world: World;
  readonly #report: Report;
  readonly #ledAt = new Map<string, number>();
  #vacancy: Vacancy | null = null;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
  }

  /** The leader key was written or deleted. */
  keyChanged(former: string | null): void {
    const { holder, sim } = this.#world;
    for (const name of [former, holder]) if (name !== null) this.#ledAt.set(name, sim.now);
    const vacancy = this.#vacancy;
    this.#vacancy = null;
    if (holder !== null) {
      if (vacancy !== null) this.#judge(holder, vacancy);
      return;
    }
    this.#vacancy = { candidates: this.#candidates(), disturbances: sim.disturbances };
  }

  /** etcd has other keys all at once. */
  keysRestored(): void {
    this.#vacancy = null;
  }

  #candidates(): readonly Candidate[] {
    return this.#world.machines.flatMap((machine) => {
      const { process, position } = machine.server;
      return process !== null && this.#isFit(machine) ? [{ machine, process, position }] : [];
    });
  }

  #isFit(machine: Machine): boolean {
    const { sim, net, etcd } = this.#world;
    const { server, tags, name } = machine;
    if (!machine.up || machine.helpless || sim.now - machine.steadySince < SETTLED_MS || !mayLead(tags)) return false;
    // It tells the others: its server is about to be stopped, and its data may be replaced; or it
    // does not know its server, or leaves the key to them for now.
    const told = machine.operator.status();
    if (told.state !== 'running' || told.sql === null || told.keepsOut === true) return false;
    if (!(net.up(name, 'etcd') && net.up('etcd', name)) || etcd.get(`members/${name}`) === null) return false;
    if (server.hangs || server.full !== 'no' || server.forgetful || server.strayed || server.lockedOut || server.unseen !== null)
      return false;
    if (server.process?.promoting || server.process?.replaying || server.process?.byHand || server.failPromotions > 0) return false;
    return (
      server.accepts && server.inRecovery && server.dir === 'valid' && server.replayLsn === server.position.lsn && !server.replayPaused
    );
  }

  #judge(winner: string, vacancy: Vacancy): void {
    const { sim, net, orders, etcd, mended } = this.#world;
    const unclear = net.slowRequests.chance > 0 || net.slowReplies.chance > 0 || net.lostReplies.size > 0 || net.watchLagMs > 0;
    if (unclear || orders.asks || orders.pausedSince !== null || vacancy.disturbances !== sim.disturbances) return;
    if (!mended && etcd.full) return;
    const taker = vacancy.candidates.find(({ machine }) => machine.name === winner);
    if (taker === undefined || !this.#unchanged(taker)) return;
    for (const other of vacancy.candidates) {
      const { name, tags } = other.machine;
      if (failoverPriority(tags) <= failoverPriority(taker.machine.tags) || !this.#unchanged(other)) continue;
      if (other.position.branch !== taker.position.branch || other.position.lsn !== taker.position.lsn) continue;
      const ledAt = this.#ledAt.get(name) ?? Number.NEGATIVE_INFINITY;
      if (sim.now - ledAt < LED_MS || !net.up(name, winner) || !net.up(winner, name) || !this.#mayVote(name)) continue;
      const by = `priority ${failoverPriority(taker.machine.tags)} passes over ${name} with ${failoverPriority(tags)}`;
      this.#report('S13', `${winner} with ${by}, at the same position`);
    }
  }

  /** It is where it was when the key became free, and as fit. */
  #unchanged({ machine, process, position }: Candidate): boolean {
    const { server } = machine;
    if (server.process !== process || server.replication.source !== null || !this.#isFit(machine)) return false;
    return server.position.branch === position.branch && server.position.lsn === position.lsn;
  }

  /** Where /sync counts, only those that it names lead or vote, and not the leader in it. */
  #mayVote(name: string): boolean {
    const { sync } = this.#world.etcd.view();
    if (this.#world.orders.mode === 'off') return sync === null;
    if (sync?.leader == null || sameName(sync.leader, name)) return false;
    return sync.standbys.some((standby) => sameName(standby, name));
  }
}
