/**
 * The distributed configuration store (etcd). Every call takes a deadline and throws a DcsError:
 *  - DCS_UNREACHABLE: no endpoint answered in time, or an answer nobody understands. A write may or
 *    may not have been applied.
 *  - DCS_REFUSED: etcd said no for a reason that repeating will not change (permission, bad
 *    credentials).
 *  - DCS_LEASE_GONE: the lease given does not exist (any more).
 * A compare that fails is not an error: it returns false (or null for a revision). All reads are
 * linearizable. Every answer, renewal and event is from one etcd cluster, the one that this node's
 * cluster lives in. Another etcd counts as one that does not answer, whatever its address, until an
 * operator has confirmed that it replaces the first.
 */
import type { ClusterView, ConfigKey, FailoverKey, FailsafeKey, FailsafeMap, SyncKey } from '../core/cluster.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';

export interface CallOptions {
  /** Total time for the call, over all endpoints. */
  readonly timeoutMs: number;
}

export interface LeaderCallOptions extends CallOptions {
  /** Nothing is done unless the leader key has this mod revision; null or absent: in any case. */
  readonly term?: string | null;
}

export interface JudgedLead {
  /** mod_revision of the leader key. */
  readonly term: string;
  readonly expected: SyncKey;
  readonly sync: { readonly leader: string; readonly quorum: number; readonly standbys: readonly string[] };
}

export interface FailoverRequest {
  readonly leader?: string;
  readonly member?: string;
  readonly scheduled_at?: string;
  /** Regent's own: who asked, and when. */
  readonly requested_by?: string;
  readonly requested_at?: string;
}

/**
 * What a bootstrapper knows its own writing by: the lease of the empty mark, or the revision of the
 * identifier.
 */
export type InitializeMark = { readonly leaseId: string } | { readonly modRevision: string };

export interface DcsMemberInfo {
  readonly endpoint: string;
  readonly healthy: boolean;
  readonly version: string | null;
  readonly isLeader: boolean | null;
  readonly error: string | null;
  /**
   * The alarm it reports, e.g. `NOSPACE`: etcd refuses writes as long as one stands; null or
   * missing: none.
   */
  readonly alarm?: string | null;
}

export interface Dcs {
  read(options: CallOptions): Promise<ClusterView>;

  /** Returns the lease id (decimal text). */
  grantLease(ttlSeconds: number, options: CallOptions): Promise<string>;
  /** Returns the remaining TTL granted in seconds, 0 when the lease is gone. */
  keepAlive(leaseId: string, options: CallOptions): Promise<number>;
  revokeLease(leaseId: string, options: CallOptions): Promise<void>;

  /** Creates the leader key if there is none. False: somebody holds it. */
  acquireLeader(name: string, leaseId: string, options: CallOptions): Promise<boolean>;
  /**
   * Puts the leader key on this lease if its value is `name`, or if it is absent. False: another's.
   */
  attachLeader(name: string, leaseId: string, options: CallOptions): Promise<boolean>;
  /**
   * Puts the leader key and /sync in one step, if both are as they were judged: nobody else has
   * taken the lead meanwhile, and its holder has not changed the synchronous set. The former holder
   * need not agree. False: one of them has another revision.
   */
  takeLead(name: string, leaseId: string, judged: JudgedLead, options: CallOptions): Promise<boolean>;
  /**
   * Puts the leader key, if it still has the revision `term`: its holder is where it was judged to
   * be dead, and no agent of it has taken the key up since. The former holder need not agree.
   */
  takeRefused(name: string, leaseId: string, term: string, options: CallOptions): Promise<boolean>;
  /** Deletes the leader key if its value is `name`. False: another's, or absent. */
  releaseLeader(name: string, options: CallOptions): Promise<boolean>;

  putMember(name: string, value: JsonObject, leaseId: string | null, options: CallOptions): Promise<void>;
  deleteMember(name: string, options: CallOptions): Promise<void>;

  /**
   * Creates `initialize` with '' on the lease if absent: the winner bootstraps; if it dies, the key
   * goes with its lease.
   */
  raceInitialize(leaseId: string, options: CallOptions): Promise<boolean>;
  /**
   * Writes the identifier, on no lease, over the empty mark on that lease. Returns the new mod
   * revision; null: the mark is gone, or another's.
   */
  publishInitialize(systemIdentifier: string, leaseId: string, options: CallOptions): Promise<string | null>;
  /**
   * Called by the holder of the leader key. onlyIfAbsent: create. Otherwise unconditional. Never on
   * a lease.
   */
  writeInitialize(systemIdentifier: string, onlyIfAbsent: boolean, options: CallOptions): Promise<boolean>;
  /** Deletes `initialize` if it is still what its writer made it. False: absent, or another's. */
  clearInitialize(own: InitializeMark, options: CallOptions): Promise<boolean>;

  /**
   * expected null: unconditional put. Returns the new mod revision, null when the compare failed.
   */
  writeConfig(data: JsonObject, expected: ConfigKey | null, options: CallOptions): Promise<string | null>;
  /** False: another configuration is there, and stays. */
  createConfig(data: JsonObject, options: CallOptions): Promise<boolean>;
  /** request null writes `{}`. expected null: unconditional put. */
  writeFailover(request: FailoverRequest | null, expected: FailoverKey | null, options: CallOptions): Promise<boolean>;
  /** expected null: create only if absent. */
  writeSync(
    value: { leader: string | null; quorum: number; standbys: readonly string[] },
    expected: SyncKey | null,
    options: LeaderCallOptions,
  ): Promise<boolean>;
  deleteSync(expected: SyncKey, options: LeaderCallOptions): Promise<boolean>;
  /** expected null: create only if absent. */
  writeFailsafe(map: FailsafeMap, expected: FailsafeKey | null, options: LeaderCallOptions): Promise<boolean>;
  writeStatus(value: JsonObject, options: CallOptions): Promise<void>;
  /**
   * Reads the key, changes it, and writes it if nobody has meanwhile. False: somebody has. For
   * tools: the leader overwrites.
   */
  amendStatus(change: (value: JsonObject) => JsonObject, options: CallOptions): Promise<boolean>;
  writeHistory(value: JsonValue[], options: CallOptions): Promise<void>;
  /** Deletes every key of the cluster. */
  removeCluster(options: CallOptions): Promise<void>;

  /**
   * Calls back after any change of the cluster's keys by anybody, own writes included. Calls back
   * with `key: null` when the stream was lost and something may have been missed. Reconnects by
   * itself until close().
   */
  watch(listener: (event: { readonly key: string | null; readonly deleted: boolean }) => void): { close(): void };

  /**
   * The data of this node are of the cluster that was read: no run of this agent may take another
   * etcd for it. Cheap when nothing is new. Never throws.
   */
  bind(): void;

  /** Health of every known etcd member. Never throws. */
  health(options: CallOptions): Promise<readonly DcsMemberInfo[]>;
  /** Ends every call that is under way, with DCS_UNREACHABLE, and every watch. Later calls fail. */
  close(): void;
}
