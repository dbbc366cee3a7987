/**
 * etcd as its clients may rely on it: one linearizable store with revisions and their history,
 * leases that are looked through every half second, and three members, which may be away. What its
 * JSON gateway says of it: etcd/gateway.ts; its watches: etcd/stream.ts.
 */
import type { KeyValue } from '../../src/adapters/etcd/answers.ts';
import { ClusterReader } from '../../src/adapters/etcd/decode.ts';
import { decodeText, encodeText } from '../../src/adapters/etcd/keys.ts';
import type { ClusterView } from '../../src/core/cluster.ts';
import type { Simulation } from './clock.ts';
import { History } from './etcd/history.ts';

/** The id of the etcd that the simulated cluster lives in. */
export const OWN_CLUSTER = '14841639068965178418';
export const PREFIX = '/service/sim/';

/** A key as it stands. */
export class Stored {
  readonly leaseId: string | null;
  readonly modRevision: bigint;
  readonly createRevision: bigint;
  readonly version: number;
  /** In base64, as it came. */
  readonly written: string;
  readonly #key: string;
  #value: string | null = null;
  #wire: string | null = null;

  constructor(key: string, written: string, leaseId: string | null, modRevision: bigint, before: Stored | undefined) {
    this.#key = key;
    this.written = written;
    this.leaseId = leaseId;
    this.modRevision = modRevision;
    this.createRevision = before?.createRevision ?? modRevision;
    this.version = (before?.version ?? 0) + 1;
  }

  get value(): string {
    this.#value ??= decodeText(this.written);
    return this.#value;
  }

  /** As the gateway writes it: what is zero or empty is left out. Asked for again and again. */
  get wire(): string {
    const value = this.written === '' ? '' : `,"value":"${this.written}"`;
    const lease = this.leaseId === null ? '' : `,"lease":"${this.leaseId}"`;
    this.#wire ??= `{${this.wireKey}${value}${lease}}`;
    return this.#wire;
  }

  /** The same without its value. */
  get wireKey(): string {
    return `"key":"${wireName(this.#key)}","create_revision":"${this.createRevision}","mod_revision":"${this.modRevision}","version":"${this.version}"`;
  }
}

const wireNames = new Map<string, string>();

/** The whole key in base64. */
export function wireName(key: string): string {
  const known = wireNames.get(key);
  if (known !== undefined) return known;
  const name = encodeText(PREFIX + key);
  wireNames.set(key, name);
  return name;
}

export interface EtcdLease {
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

/** `written`: the value in base64; null: the key is deleted. */
export interface Change {
  readonly key: string;
  readonly written: string | null;
  readonly leaseId?: string | null;
}

/** Its members are named so as ends of the network too; `etcd` there is all of them. */
export const MEMBERS = ['etcd1', 'etcd2', 'etcd3'] as const;
export type EtcdMember = (typeof MEMBERS)[number];

/** What a member knows; revision and term go with every answer. */
export interface Standing {
  readonly revision: bigint;
  readonly term: bigint;
  readonly keys: ReadonlyMap<string, Stored>;
}

/** A connection that carries events from a member to a client. */
export interface Watcher {
  readonly member: EtcdMember;
  /** There may be something to tell. */
  pump(): void;
  /** The member closes it. */
  end(): void;
}

/**
 * How a member does not serve. down: its host refuses connections. cut off: it hears nothing of the
 * others, while its connections to clients stand.
 */
interface Ailment {
  readonly how: 'down' | 'cut off';
  readonly since: number;
  readonly knew: Standing;
  /** It was the leader. */
  readonly led: boolean;
}

/**
 * etcd's lessor looks for expired leases this often, so a lease lives up to that much longer than
 * its ttl.
 */
const LEASE_SCAN_MS = 500;
const FIRST_TERM = 2n;
/** For so long a member that hears nothing from the others waits before it says so. */
const ELECTION_MS = 1000;
/**
 * For so long after the others have another leader, the one before them may still take itself for
 * it.
 */
const OVERLAP_MS = 500;

export class Etcd {
  readonly sim: Simulation;
  /** Seconds of this cluster's clock per true second. */
  readonly rate: number;
  /** Two etcd have two of them; every answer carries it. */
  readonly clusterId: string;
  readonly keys = new Map<string, Stored>();
  readonly leases = new Map<string, EtcdLease>();
  readonly watchers = new Set<Watcher>();
  readonly listeners = new Set<(event: KeyEvent) => void>();
  readonly history = new History();
  revision = 1n;
  /** Of Raft: one more with every leader. */
  term = FIRST_TERM;
  /**
   * The database is full: what would make it grow is refused, reading, deleting and renewing leases
   * go on.
   */
  full = false;
  #leader: EtcdMember = MEMBERS[0];
  readonly #unwell = new Map<EtcdMember, Ailment>();
  #lonelySince = 0;
  #down = false;
  #nextLease = 7_587_000_000_000_001n;
  readonly #reader = new ClusterReader(PREFIX);
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

  get leader(): EtcdMember {
    return this.#leader;
  }

  /** No member answers. Nothing expires meanwhile, because nobody can agree on it. */
  stop(): void {
    this.#down = true;
  }

  start(): void {
    if (this.#down) this.#elect();
    this.#down = false;
    this.#awaitExpiry();
    this.#pump();
  }

  /** A majority of the members can agree on anything. */
  get #agrees(): boolean {
    return !this.#down && this.#hasMajority;
  }

  get #hasMajority(): boolean {
    return this.#unwell.size < 2;
  }

  /** Whether that member can answer now what needs the others. */
  serves(member: EtcdMember): boolean {
    return this.#agrees && !this.#unwell.has(member);
  }

  /** The member's connections stand. */
  stands(member: EtcdMember): boolean {
    return !this.#down && this.#unwell.get(member)?.how !== 'down';
  }

  /** Its host says at once that nobody listens. */
  refuses(member: EtcdMember): boolean {
    return !this.#down && this.#unwell.get(member)?.how === 'down';
  }

  /** What it was told last. */
  standing(member: EtcdMember): Standing {
    return this.#unwell.get(member)?.knew ?? this;
  }

  /** It stands, has been without the others for some time, and has noticed. */
  knowsNoLeader(member: EtcdMember): boolean {
    const since = this.#unwell.get(member)?.since ?? (this.#hasMajority ? this.sim.now : this.#lonelySince);
    return this.stands(member) && this.sim.now - since > ELECTION_MS;
  }

  /** The others have another leader, and it does not know yet: it renews leases as before. */
  outdated(member: EtcdMember): boolean {
    const ailment = this.#unwell.get(member);
    return this.stands(member) && ailment?.led === true && this.sim.now - ailment.since <= OVERLAP_MS;
  }

  spoil(member: EtcdMember, how: 'down' | 'cut off'): void {
    const hadMajority = this.#hasMajority;
    const known = this.#unwell.get(member);
    const { revision, term, keys } = this.standing(member);
    this.#unwell.set(member, {
      how,
      since: known?.since ?? this.sim.now,
      knew: { revision, term, keys: new Map(keys) },
      led: known?.led ?? member === this.#leader,
    });
    if (hadMajority && !this.#hasMajority) this.#lonelySince = this.sim.now;
    else if (this.#hasMajority && member === this.#leader) this.#elect();
    if (how === 'down') for (const watcher of [...this.watchers]) if (watcher.member === member) watcher.end();
  }

  mend(member: EtcdMember): void {
    const hadMajority = this.#hasMajority;
    this.#unwell.delete(member);
    if (!hadMajority && this.#hasMajority) this.#elect();
    this.#awaitExpiry();
    this.#pump();
  }

  /** A new leader gives every lease its whole time again. */
  #elect(): void {
    this.term += 1n;
    this.#leader = MEMBERS.find((member) => !this.#unwell.has(member)) ?? MEMBERS[0];
    for (const lease of this.leases.values()) lease.expiresAt = this.#after(lease.ttlSeconds);
  }

  copy(): EtcdCopy {
    return { keys: new Map(this.keys), leases: new Map([...this.leases].map(([id, { ttlSeconds }]) => [id, ttlSeconds])) };
  }

  /**
   * From a snapshot: the keys of then, and leases with their whole time. Revisions go on and those
   * of before are gone (`etcdutl snapshot restore --bump-revision --mark-compacted`); the terms
   * begin again.
   */
  restore({ keys, leases }: EtcdCopy): void {
    this.keys.clear();
    for (const [key, stored] of keys) this.keys.set(key, stored);
    this.leases.clear();
    for (const [id, ttlSeconds] of leases) this.leases.set(id, { ttlSeconds, expiresAt: this.#after(ttlSeconds) });
    this.revision += 1n;
    this.term = FIRST_TERM;
    this.history.compact(this.revision);
    this.#awaitExpiry();
    this.endWatches();
  }

  /** Connections break, and what happened until now is compacted away. */
  breakWatches(): void {
    this.history.compact(this.revision);
    this.endWatches();
  }

  endWatches(): void {
    for (const watcher of [...this.watchers]) watcher.end();
  }

  view(): ClusterView {
    if (this.#decoded?.at !== this.revision) {
      const kvs = [...this.keys.values()].map((stored) => JSON.parse(stored.wire) as KeyValue);
      this.#decoded = { at: this.revision, view: this.#reader.read(kvs, String(this.revision)) };
    }
    return this.#decoded.view;
  }

  get(key: string): Stored | null {
    return this.keys.get(key) ?? null;
  }

  /** Returns the new revision. */
  put(key: string, value: string, leaseId: string | null): bigint {
    return this.apply([{ key, written: encodeText(value), leaseId }]);
  }

  delete(key: string): boolean {
    if (!this.keys.has(key)) return false;
    this.apply([{ key, written: null }]);
    return true;
  }

  /** In one revision. Deleted keys exist, and leases too. */
  apply(changes: readonly Change[]): bigint {
    if (changes.length === 0) return this.revision;
    this.revision += 1n;
    const revision = this.revision;
    const events = changes.map(({ key, written, leaseId = null }) => {
      if (written === null) {
        this.keys.delete(key);
        return `{"type":"DELETE","kv":{"key":"${wireName(key)}","mod_revision":"${revision}"}}`;
      }
      const stored = new Stored(key, written, leaseId, revision, this.keys.get(key));
      this.keys.set(key, stored);
      return `{"kv":${stored.wire}}`;
    });
    this.history.add(revision, `[${events.join(',')}]`);
    for (const { key, written } of changes) for (const listener of [...this.listeners]) listener({ key, deleted: written === null });
    this.#pump();
    return revision;
  }

  grant(ttlSeconds: number): string {
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

  /** False: there is no such lease. */
  revoke(leaseId: string): boolean {
    if (!this.leases.delete(leaseId)) return false;
    this.apply([...this.keys].filter(([, stored]) => stored.leaseId === leaseId).map(([key]) => ({ key, written: null })));
    return true;
  }

  #pump(): void {
    for (const watcher of [...this.watchers]) watcher.pump();
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
      if (this.#agrees) for (const [id, lease] of [...this.leases]) if (lease.expiresAt <= this.sim.now) this.revoke(id);
      this.#awaitExpiry();
    });
    this.#scan = { at, cancel };
  }
}
