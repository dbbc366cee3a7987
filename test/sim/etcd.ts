/**
 * etcd as its clients may rely on it: one linearizable store, revisions, leases that are looked
 * through every half second, events in order.
 */
import type { KeyValue } from '../../src/adapters/etcd/answers.ts';
import { ClusterReader } from '../../src/adapters/etcd/decode.ts';
import type { ClusterView } from '../../src/core/cluster.ts';
import { DcsError } from '../../src/support/errors.ts';
import type { Simulation } from './clock.ts';

/** The id of the etcd that the simulated cluster lives in. */
export const OWN_CLUSTER = 'own';
export const PREFIX = '/service/sim/';

export interface Stored {
  readonly value: string;
  readonly leaseId: string | null;
  readonly modRevision: bigint;
  readonly createRevision: bigint;
}

interface EtcdLease {
  readonly ttlSeconds: number;
  expiresAt: number;
}

export interface EtcdCopy {
  readonly keys: ReadonlyMap<string, Stored>;
  /** Seconds by id. */
  readonly leases: ReadonlyMap<string, number>;
}

export interface KeyEvent {
  readonly key: string;
  readonly deleted: boolean;
}

/** Its members are named so as ends of the network too; `etcd` there is all of them. */
export const MEMBERS = ['etcd1', 'etcd2', 'etcd3'] as const;
export type EtcdMember = (typeof MEMBERS)[number];

/** The client gives up at once: no other member has room either. */
export class NoSpace extends Error {}

/**
 * etcd's lessor looks for expired leases this often, so a lease lives up to that much longer than
 * its ttl.
 */
const LEASE_SCAN_MS = 500;

export class Etcd {
  readonly sim: Simulation;
  /** Seconds of this cluster's clock per true second. */
  readonly rate: number;
  /** Two etcd have two of them; every answer carries it. */
  readonly clusterId: string;
  readonly keys = new Map<string, Stored>();
  readonly leases = new Map<string, EtcdLease>();
  readonly onWatchesBroken = new Set<() => void>();
  readonly listeners = new Set<(event: KeyEvent) => void>();
  revision = 1n;
  /**
   * The database is full: what would make it grow is refused, reading, deleting and renewing leases
   * go on.
   */
  full = false;
  /**
   * Ways in which a member does not serve. cut off: it answers nobody, and its watches hear
   * nothing, while its connections stand.
   */
  readonly #unwell = new Map<EtcdMember, 'down' | 'cut off'>();
  #down = false;
  #nextLease = 7_587_000_000_000_001n;
  /** Keys and values stay plain: base64 and back would be a tenth of reading. */
  readonly #reader = new ClusterReader(PREFIX, (text = '') => text);
  readonly #onWire = new Map<string, { readonly stored: Stored; readonly kv: KeyValue }>();
  #decoded: { readonly at: bigint; readonly view: ClusterView } | null = null;
  #scan = { at: Number.POSITIVE_INFINITY, cancel: () => {} };

  constructor(sim: Simulation, rate = 1, clusterId = OWN_CLUSTER) {
    this.sim = sim;
    this.clusterId = clusterId;
    this.rate = rate;
  }

  get down(): boolean {
    return this.#down;
  }

  /** No member answers. Nothing expires meanwhile, because nobody can agree on it. */
  stop(): void {
    this.#down = true;
  }

  /** A new leader restarts every lease with its whole time. */
  start(): void {
    this.#down = false;
    this.renewAll();
    this.#awaitExpiry();
  }

  /** A majority of the members can agree on anything. */
  get #agrees(): boolean {
    return !this.#down && this.#unwell.size < 2;
  }

  /** Whether that member can answer now. */
  serves(member: EtcdMember): boolean {
    return this.#agrees && !this.#unwell.has(member);
  }

  /** The member's connections stand. */
  stands(member: EtcdMember): boolean {
    return !this.#down && this.#unwell.get(member) !== 'down';
  }

  spoil(member: EtcdMember, how: 'down' | 'cut off'): void {
    const hadMajority = this.#unwell.size < 2;
    this.#unwell.set(member, how);
    // One of the three leads, and another takes over: every lease restarts.
    if (hadMajority && member === MEMBERS[0]) this.renewAll();
    if (how === 'down') this.breakWatches();
  }

  mend(member: EtcdMember): void {
    const hadMajority = this.#unwell.size < 2;
    this.#unwell.delete(member);
    if (!hadMajority && this.#unwell.size < 2) this.renewAll();
    this.#awaitExpiry();
    this.breakWatches();
  }

  copy(): EtcdCopy {
    return { keys: new Map(this.keys), leases: new Map([...this.leases].map(([id, { ttlSeconds }]) => [id, ttlSeconds])) };
  }

  /**
   * From a snapshot: the keys of then, and leases with their whole time. Revisions go on
   * (`etcdutl snapshot restore --bump-revision`).
   */
  restore({ keys, leases }: EtcdCopy): void {
    this.keys.clear();
    for (const [key, stored] of keys) this.keys.set(key, stored);
    this.leases.clear();
    for (const [id, ttlSeconds] of leases) this.leases.set(id, { ttlSeconds, expiresAt: this.#after(ttlSeconds) });
    this.revision += 1n;
    this.#awaitExpiry();
    this.breakWatches();
  }

  /** Compaction, a restart, a connection that broke: every watcher must begin again. */
  breakWatches(): void {
    for (const listener of [...this.onWatchesBroken]) listener();
  }

  renewAll(): void {
    for (const lease of this.leases.values()) lease.expiresAt = this.#after(lease.ttlSeconds);
  }

  view(): ClusterView {
    if (this.#decoded?.at !== this.revision) {
      const kvs = [...this.keys].map(([key, stored]) => this.#wire(key, stored));
      this.#decoded = { at: this.revision, view: this.#reader.read(kvs, String(this.revision)) };
    }
    return this.#decoded.view;
  }

  #wire(key: string, stored: Stored): KeyValue {
    const known = this.#onWire.get(key);
    if (known?.stored === stored) return known.kv;
    const kv: KeyValue = {
      key: known?.kv.key ?? PREFIX + key,
      value: stored.value,
      // etcd leaves a lease of 0 out; it means the same.
      lease: stored.leaseId ?? '0',
      mod_revision: String(stored.modRevision),
      create_revision: String(stored.createRevision),
    };
    this.#onWire.set(key, { stored, kv });
    return kv;
  }

  get(key: string): Stored | null {
    return this.keys.get(key) ?? null;
  }

  /** Throws DCS_LEASE_GONE. Returns the new revision. */
  put(key: string, value: string, leaseId: string | null): bigint {
    this.#refuseIfFull();
    if (leaseId !== null && !this.leases.has(leaseId)) throw new DcsError('DCS_LEASE_GONE', 'etcd: requested lease not found');
    const before = this.keys.get(key);
    this.revision += 1n;
    this.keys.set(key, { value, leaseId, modRevision: this.revision, createRevision: before?.createRevision ?? this.revision });
    this.#tell(key, false);
    return this.revision;
  }

  delete(key: string): boolean {
    if (!this.keys.has(key)) return false;
    this.revision += 1n;
    this.keys.delete(key);
    this.#tell(key, true);
    return true;
  }

  grant(ttlSeconds: number): string {
    this.#refuseIfFull();
    const id = String(this.#nextLease);
    this.#nextLease += 1n;
    this.leases.set(id, { ttlSeconds, expiresAt: this.#after(ttlSeconds) });
    this.#awaitExpiry();
    return id;
  }

  /** Seconds granted; 0 when the lease is gone. */
  keepAlive(leaseId: string): number {
    const lease = this.leases.get(leaseId);
    if (lease === undefined) return 0;
    lease.expiresAt = this.#after(lease.ttlSeconds);
    return lease.ttlSeconds;
  }

  revoke(leaseId: string): void {
    if (!this.leases.delete(leaseId)) return;
    const held = [...this.keys].filter(([, stored]) => stored.leaseId === leaseId).map(([key]) => key);
    if (held.length === 0) return;
    this.revision += 1n;
    for (const key of held) this.keys.delete(key);
    for (const key of held) this.#tell(key, true);
  }

  #refuseIfFull(): void {
    if (this.full) throw new NoSpace('mvcc: database space exceeded');
  }

  #after(seconds: number): number {
    return this.sim.now + (seconds * 1000) / this.rate;
  }

  /**
   * Of all looks at the leases only the one is simulated that may find an expired one. Renewals
   * make it come too early, never too late.
   */
  #awaitExpiry(): void {
    if (!this.#agrees) return;
    let firstAt = Number.POSITIVE_INFINITY;
    for (const lease of this.leases.values()) firstAt = Math.min(firstAt, lease.expiresAt);
    const at = Math.ceil(firstAt / LEASE_SCAN_MS) * LEASE_SCAN_MS;
    if (at >= this.#scan.at) return;
    this.#scan.cancel();
    const cancel = this.sim.at(at, () => {
      this.#scan = { at: Number.POSITIVE_INFINITY, cancel: () => {} };
      if (!this.#down && this.#unwell.size < 2)
        for (const [id, lease] of [...this.leases]) if (lease.expiresAt <= this.sim.now) this.revoke(id);
      this.#awaitExpiry();
    });
    this.#scan = { at, cancel };
  }

  #tell(key: string, deleted: boolean): void {
    for (const listener of [...this.listeners]) listener({ key, deleted });
  }
}
