/**
 * S4 and S7, where the voters' promises are the fence: nobody takes the lead from a living leader
 * without enough of them, who has promised keeps it, and who was replaced acknowledges nothing.
 */
import type { LeaderKey, SyncKey } from '../../../src/core/cluster.ts';
import { parseSyncNames, realNames } from '../../../src/core/sync-names.ts';
import type { Acknowledged } from '../clients.ts';
import type { Machine } from '../machine.ts';
import type { World } from '../world.ts';
import { has } from './promise.ts';

type Report = (invariant: string, what: string) => void;

/** Of a process that could have vouched before it ended. */
const VOUCH_MS = 3000;
const JUST_NOW_MS = 150;
const LONG_MS = 1500;

export class TakeOvers {
  readonly #world: World;
  readonly #report: Report;
  /** The keys before the last change of either. */
  #leader: LeaderKey | null = null;
  #sync: SyncKey | null = null;
  /**
   * Who was replaced while it may have taken writes, and until when its lease may have let it;
   * until it leads or follows again.
   */
  readonly #replaced = new Map<string, number>();
  /** Until when the member has vouched for a leader, whichever agent of it did. */
  readonly #vouchedUntil = new Map<string, number>();
  readonly #fenced = new Set<Machine>();
  /** Still kept by others when an operator's failover by name took the lead (docs/SPEC.md, S2). */
  readonly #overridden = new Set<string>();
  #lost: string | null = null;
  /**
   * The term of the leader key in which its holder's machine refused everybody. It may lose power
   * before the take-over that this allows arrives at etcd.
   */
  #refusedTerm: string | null = null;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
    world.clients.onAcknowledged.add((commit) => this.#acknowledged(commit));
  }

  /** It was replaced by promises: it may take writes, and nobody confirms them. */
  isReplaced(name: string): boolean {
    // By its lease it may run on, and be restarted.
    return this.#world.sim.now < (this.#replaced.get(name) ?? Number.NEGATIVE_INFINITY) || this.#overridden.has(name);
  }

  /** Before anything else looks at the keys. */
  keyChanged(): void {
    const { leader, sync } = this.#world.etcd.view();
    const before = this.#leader;
    const isOurs = leader !== null && before !== null && [leader, before].every(({ name }) => this.#find(name) !== undefined);
    if (isOurs && leader.name !== before.name) this.#tookOver(leader.name, before);
    if (leader === null && before !== null) this.#lost = before.name;
    if (leader !== null) this.#taken(leader.name);
    this.#leader = leader;
    this.#sync = sync;
  }

  #taken(name: string): void {
    const lost = this.#lost;
    if (lost !== null && name !== lost && this.#world.orders.overrides(name) && this.#world.checkers.isKept(lost))
      this.#overridden.add(lost);
    this.#lost = null;
    this.#replaced.delete(name);
    this.#overridden.delete(name);
  }

  /** etcd has other keys all at once. */
  keysRestored(): void {
    const { leader, sync } = this.#world.etcd.view();
    this.#leader = leader;
    this.#sync = sync;
  }

  #tookOver(name: string, before: LeaderKey): void {
    const sync = this.#sync;
    const { config } = this.#world.etcd.view();
    if (config?.data['failover_on_refusal'] === true && (sync?.standbys.length ?? 0) === 0) {
      this.#checkRefused(name, before);
      return;
    }
    if (sync === null || sync.leader !== before.name) {
      this.#report('S3', `the leader key goes from ${before.name} to ${name} without having been free`);
      return;
    }
    const promised = this.#world.machines.filter(
      (machine) => sync.standbys.includes(machine.name) && this.#keepsPromise(machine, before, sync),
    );
    if (promised.length < sync.quorum + 1) {
      const names = promised.map((machine) => machine.name).join(', ') || 'nobody';
      this.#report('S4', `${name} takes over from ${before.name} with promises of ${names}, ${sync.quorum + 1} needed`);
    }
    // The ttl of now: a later one does not end the lease that it has.
    this.#replaced.set(before.name, this.#world.sim.now + this.#world.orders.longestLeaseMs);
  }

  /** The kernel of the former leader's machine must have said that nothing listens there. */
  #checkRefused(name: string, { name: former, modRevision }: LeaderKey): void {
    const machine = this.#find(former);
    if (machine === undefined || (!machine.up && this.#refusedTerm === modRevision)) return;
    const { up, server } = machine;
    if (!up) this.#report('S4', `${name} takes over from ${former}, whose machine is off and refused nobody`);
    else if (server.process !== null) this.#report('S4', `${name} takes over from ${former}, whose PostgreSQL runs`);
  }

  #keepsPromise({ server }: Machine, leader: LeaderKey, sync: SyncKey): boolean {
    const { fence } = server;
    if (fence === null || fence.term !== leader.modRevision || fence.sync !== sync.modRevision) return false;
    return server.replication.source === null;
  }

  vouched(name: string): void {
    this.#vouchedUntil.set(name, this.#world.sim.now + VOUCH_MS);
    if (this.#promiseStands(this.#world.node(name))) this.#report('S21', `${name} vouches for a leader that it has promised to leave`);
  }

  /** Enough voters refuse to let anybody else lead: the key may be gone meanwhile. */
  isVouchedFor(name: string): boolean {
    const sync = this.#sync;
    if (sync === null || sync.leader !== name) return false;
    const { now } = this.#world.sim;
    return sync.standbys.filter((voter) => (this.#vouchedUntil.get(voter) ?? 0) > now).length >= sync.standbys.length - sync.quorum;
  }

  #promiseStands({ server }: Machine): boolean {
    const [leader, sync] = [this.#leader, this.#sync];
    return leader !== null && sync !== null && server.fence?.term === leader.modRevision && server.fence.sync === sync.modRevision;
  }

  /** After every event. */
  look(): void {
    const { machines, sim } = this.#world;
    for (const machine of machines) {
      const { server, name } = machine;
      if (this.#replaced.size > 0 && server.process !== null && server.inRecovery) this.#replaced.delete(name);
      if (server.process === null) {
        if (this.#overridden.size > 0) this.#overridden.delete(name);
        if (machine.agent === null && machine.up && name === this.#leader?.name) this.#refusedTerm = this.#leader.modRevision;
      }
      if (server.fence === null) {
        if (this.#fenced.size > 0) this.#fenced.delete(machine);
        continue;
      }
      if (!this.#promiseStands(machine)) continue;
      if (!this.#fenced.has(machine)) {
        this.#fenced.add(machine);
        this.#checkEvidence(machine);
        if (sim.now < (this.#vouchedUntil.get(name) ?? 0))
          this.#report('S21', `${name} promises to leave a leader that it has vouched for`);
      }
      if (server.replication.source?.name === this.#leader?.name && server.replication.source !== null)
        this.#report('S4', `${name} streams from ${this.#leader?.name}, which it has promised to leave`);
    }
  }

  /** Somebody from outside may write the key too. */
  #find(name: string | undefined): Machine | undefined {
    return this.#world.machines.find((machine) => machine.name === name);
  }

  /** Who hears the leader all the time has no evidence of its own that it is gone. */
  #checkEvidence({ name, links }: Machine): void {
    const { now } = this.#world.sim;
    const leader = this.#find(this.#leader?.name);
    const series = leader && links?.series.get(leader.name);
    if (leader === undefined || series === undefined || now - series.lastMs > JUST_NOW_MS || now - series.sinceMs < LONG_MS) return;
    // Its processes are gone, or were: the kernel said so.
    if (leader.server.process === null || now - leader.steadySince < LONG_MS) return;
    this.#report('S4', `${name} promises to leave ${leader.name}, which it has heard all along`);
  }

  /**
   * A voter that has not promised may confirm late what the others confirmed before they promised.
   * So a commit may still be acknowledged, but none that its successor lacks.
   */
  #acknowledged(commit: Acknowledged): void {
    if (!this.#replaced.has(commit.node) || realNames(parseSyncNames(commit.rule)).length === 0) return;
    const successor = this.#find(this.#leader?.name);
    if (successor === undefined || has(successor.server, commit)) return;
    this.#report('S7', `${commit.node} acknowledges the commit at ${commit.lsn}, which ${successor.name} took the lead without`);
  }
}
