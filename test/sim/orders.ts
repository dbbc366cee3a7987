/**
 * What operators have ordered, as etcd shows it, and when: kept apart from what the agents make of
 * it.
 */
import { resolveDynamic } from '../../src/config/dynamic.ts';
import { sameName } from '../../src/core/cluster.ts';
import type { World } from './world.ts';

interface Order {
  readonly leader: string | null;
  readonly candidate: string | null;
  until: number | null;
}

/** An order that was taken back may be in work still. */
const IN_WORK_MS = 60_000;

export class Orders {
  readonly #world: World;
  readonly #orders: Order[] = [];
  /** Who holds the leader key, and whether an operator's failover named it when it took it. */
  #holder: { readonly name: string; readonly overrides: boolean } | null = null;
  mode: 'off' | 'on' | 'quorum' = 'off';
  ttlMs = 30_000;
  memberSlotsTtlMs = 1_800_000;
  retryMs = 10_000;
  #ttlBefore = { ms: Number.POSITIVE_INFINITY, until: 0 };
  maximumLagBytes = 1_048_576;
  /** When the configuration was last written. */
  configuredAt = Number.NEGATIVE_INFINITY;
  /** The least time that a race waits by primary_race_backoff, and since when that is so. */
  backoff = { leastMs: 0, mostMs: 0, sinceMs: Number.NEGATIVE_INFINITY };
  /** null: not paused. */
  pausedSince: number | null = null;
  /** primary_start_timeout. */
  startMs = 300_000;
  strict = false;
  /** The cluster is to follow a server outside of it. */
  followsRemote = false;

  constructor(world: World) {
    this.#world = world;
    world.etcd.listeners.add(({ key }) => {
      if (key === 'failover') this.#onRequest();
      if (key === 'config') this.#onConfig();
      if (key === 'leader') this.#onHolder();
    });
  }

  /**
   * The shortest lease that the leader key may be on: after a change of the ttl it has to be moved
   * first.
   */
  get leaseMs(): number {
    return this.#world.sim.now < this.#ttlBefore.until ? Math.min(this.ttlMs, this.#ttlBefore.ms) : this.ttlMs;
  }

  /** The longest lease that a member may still have. */
  get longestLeaseMs(): number {
    return this.#world.sim.now < this.#ttlBefore.until ? Math.max(this.ttlMs, this.#ttlBefore.ms) : this.ttlMs;
  }

  /**
   * That node was named in a failover, which may lose commits, or holds the leader key by one.
   * Until it opens for writes, no other node can acknowledge anything.
   */
  overrides(name: string): boolean {
    return (this.#holder?.name === name && this.#holder.overrides) || this.#named(name);
  }

  #named(name: string): boolean {
    return this.#recent().some((order) => order.leader === null && order.candidate !== null && sameName(order.candidate, name));
  }

  /** Somebody asked for that node to lead, or for anybody but the leader. */
  names(name: string): boolean {
    return this.#recent().some((order) => (order.candidate === null ? order.leader !== name : sameName(order.candidate, name)));
  }

  /** An order is open, or was a moment ago. */
  get asks(): boolean {
    return this.#recent().length > 0;
  }

  #recent(): readonly Order[] {
    const { now } = this.#world.sim;
    return this.#orders.filter((order) => order.until === null || now - order.until < IN_WORK_MS);
  }

  #onRequest(): void {
    const { now } = this.#world.sim;
    for (const order of this.#orders) order.until ??= now;
    const { failover } = this.#world.etcd.view();
    if (failover !== null) this.#orders.push({ leader: failover.leader, candidate: failover.candidate, until: null });
  }

  #onHolder(): void {
    const name = this.#world.holder;
    if (this.#holder?.name !== name) this.#holder = name === null ? null : { name, overrides: this.#named(name) };
  }

  #onConfig(): void {
    const { config } = this.#world.etcd.view();
    if (config === null) return;
    const { dynamic } = resolveDynamic(config.data);
    this.mode = dynamic.synchronousMode;
    this.memberSlotsTtlMs = dynamic.memberSlotsTtlSeconds * 1000;
    const ttlMs = dynamic.ttlSeconds * 1000;
    if (ttlMs !== this.ttlMs) this.#ttlBefore = { ms: this.ttlMs, until: this.#world.sim.now + this.ttlMs + ttlMs };
    this.ttlMs = ttlMs;
    this.retryMs = dynamic.retryTimeoutSeconds * 1000;
    this.#onBackoff(dynamic.primaryRaceBackoffSeconds * 1000, dynamic.loopWaitSeconds * 1000);
    if (this.maximumLagBytes !== dynamic.maximumLagOnFailoverBytes) this.configuredAt = this.#world.sim.now;
    this.maximumLagBytes = dynamic.maximumLagOnFailoverBytes;
    this.startMs = Math.min(dynamic.primaryStartTimeoutSeconds, 60) * 1000;
    this.strict = dynamic.synchronousModeStrict;
    this.followsRemote = dynamic.standbyCluster !== null;
    this.pausedSince = dynamic.pause ? (this.pausedSince ?? this.#world.sim.now) : null;
  }

  #onBackoff(mostMs: number, loopMs: number): void {
    const leastMs = Math.min(mostMs, loopMs);
    if (leastMs !== this.backoff.leastMs) this.backoff = { leastMs, mostMs, sinceMs: this.#world.sim.now };
  }
}
