/**
 * Who may take the leader key, beyond what was promised to clients: nofailover, and how far behind
 * a new leader may be.
 */
import { clusterTimeline, type Tags } from '../../../src/core/cluster.ts';
import { isDecidedBySync } from '../electable.ts';
import type { Machine } from '../machine.ts';
import type { SimServer } from '../server.ts';
import { isPrefix, type Position } from '../wal.ts';
import type { World } from '../world.ts';

type Report = (invariant: string, what: string) => void;

/** For so long some agents may go by the configuration before. */
const CONFIG_KNOWN_MS = 60_000;

const mayNotLead = ({ nofailover, failover_priority }: Tags): boolean => nofailover ?? (failover_priority ?? 1) <= 0;

/** How things were when the key became free. */
interface Vacancy {
  /** What /status said. */
  readonly optime: bigint | null;
  /** The holder had given it back. */
  readonly released: boolean;
  /** The holder's; null: it has no data. */
  readonly position: Position | null;
}

export class Elections {
  readonly #world: World;
  readonly #report: Report;
  #leaseId: string | null = null;
  #vacancy: Vacancy | null = null;
  #holder: string | null = null;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
  }

  /** The leader key was written or deleted. */
  keyChanged(): void {
    const { etcd } = this.#world;
    const stored = etcd.get('leader');
    if (stored === null) {
      const released = this.#leaseId !== null && etcd.leases.has(this.#leaseId);
      const holder = this.#world.machines.find(({ name }) => name === this.#holder)?.server;
      const position = holder?.dir === 'valid' ? holder.position : null;
      this.#vacancy = { optime: etcd.view().status?.optime ?? null, released, position };
      return;
    }
    this.#leaseId = stored.leaseId;
    this.#holder = stored.value;
    const taker = this.#world.machines.find((machine) => machine.name === stored.value);
    // A request that comes late may give the key to a node that has another disk since, or none:
    // nothing can be opened there.
    if (this.#vacancy !== null && taker !== undefined && this.#isOurs(taker.server)) {
      this.#checkLag(taker, this.#vacancy);
      this.#checkHistory(taker);
    }
    this.#vacancy = null;
  }

  keysRestored(): void {
    this.#leaseId = this.#world.etcd.get('leader')?.leaseId ?? null;
    this.#holder = this.#world.holder;
    this.#vacancy = null;
  }

  #isOurs({ dir, systemId }: SimServer): boolean {
    return dir === 'valid' && systemId === this.#world.etcd.get('initialize')?.value;
  }

  /**
   * S1, as far as maximum_lag_on_failover goes. What an operator named keeps to it as well, unless
   * its leader died before it could look. If /history does not name a timeline, the position in
   * /status is another leader's. In a standby cluster a member may have been rewound from the
   * server outside since, and then what its leader wrote does not count.
   */
  #checkLag({ name, server }: Machine, { optime, released, position }: Vacancy): void {
    const { orders, sim, etcd } = this.#world;
    if (optime === null || !server.inRecovery || sim.now - orders.configuredAt < CONFIG_KNOWN_MS) return;
    if (orders.overrides(name) || (!released && orders.names(name))) return;
    const view = etcd.view();
    if (server.position.branch.timeline > (clusterTimeline(view) ?? 1) || isDecidedBySync(this.#world, view, name)) return;
    if (orders.followsRemote && (position === null || position.lsn < optime || !isPrefix(server.position, position))) return;
    const lag = optime - server.position.lsn;
    if (lag > BigInt(orders.maximumLagBytes))
      this.#report(
        'S1',
        `${name} takes the leader key ${lag} bytes behind the last leader, more than maximum_lag_on_failover (${orders.maximumLagBytes})`,
      );
  }

  /** S9: no member leads if its WAL left the cluster's, by /history. */
  #checkHistory({ name, server }: Machine): void {
    const { orders, etcd } = this.#world;
    // The timelines of a standby cluster are those of the server outside.
    if (!server.inRecovery || orders.overrides(name) || orders.followsRemote) return;
    const { branch, lsn } = server.position;
    const left = etcd.view().history.find((entry) => entry.timeline === branch.timeline);
    if (left !== undefined && lsn > left.switchLsn)
      this.#report(
        'S9',
        `${name} takes the leader key at ${lsn} of timeline ${branch.timeline}, which the cluster left at ${left.switchLsn}`,
      );
  }

  checkPromotion(server: SimServer): void {
    const { orders } = this.#world;
    if (mayNotLead(this.#world.node(server.name).tags) && !orders.names(server.name))
      this.#report('S13', `${server.name} is promoted although its tags forbid it to lead`);
  }
}
