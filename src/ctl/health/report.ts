/** What `health` found, before it is judged. */
import type { DcsMemberInfo } from '../../ports/dcs.ts';
import type { JsonObject } from '../../support/json.ts';

export interface MemberHealth {
  readonly name: string;
  readonly host: string;
  readonly role: string;
  readonly state: string;
  readonly timeline: number | null;
  /**
   * Bytes of WAL that the leader has written and this member has not replayed. Null for the leader
   * and if unknown.
   */
  readonly lagBytes: number | null;
  /** Age of the last replayed commit while behind, 0 when not behind. */
  readonly lagSeconds: number | null;
  /** Bytes received and not yet replayed. */
  readonly replayBacklogBytes: number | null;
  /** Whether a replica that should stream does so. Null: not known, or it should not stream. */
  readonly streams: boolean | null;
  /** Why not, in the words of its agent: `not streaming from pg-2: …`. */
  readonly sourceTrouble: string | null;
  /** Why this leader goes on as a primary although `standby_cluster` is set. */
  readonly refused: string | null;
  readonly clientsWait: string | null;
  /** Permanent logical slots that its promotion would create again. */
  readonly missingLogicalSlots: readonly string[];
  /** Why it could not be promoted. */
  readonly promotionTrouble: string | null;
  /** Servers that stream from it under the names of members. */
  readonly strangers: readonly string[];
  /** Why its PostgreSQL refuses its agent's connections. */
  readonly lockedOut: string | null;
  /** The process in its postmaster.pid that its agent cannot identify. */
  readonly unexplained: string | null;
  /** What its agent tries and cannot do: `replication slots: all replication slots are in use`. */
  readonly failing: readonly string[];
  /**
   * What its agent does or waits for, in the words of its log. Null: unknown (Patroni does not
   * publish it).
   */
  readonly because: string | null;
  /**
   * Its agent cannot reach etcd, and why this leader goes on: `unreachable; vouched for by b, c`.
   * Null: it reaches etcd, or does not say.
   */
  readonly dcs: string | null;
  /** A primary that would outlive its agent and its guard if both were killed. */
  readonly untethered: boolean;
  readonly pendingRestart: boolean;
  /** As in its member key. */
  readonly version: string | null;
  /**
   * Why its REST API could not be asked; null if it answered. `state` is `unavailable` if nothing
   * listens there or the member's key has expired.
   */
  readonly unreachable: string | null;
}

export interface ProxyHealth {
  readonly name: string;
  readonly status: string;
  readonly serversUp: readonly string[];
  readonly serversDown: readonly string[];
  /** Of those: their REST API answers HAProxy's check, so they are down because it says so. */
  readonly refusing: readonly string[];
}

export interface HaproxyHealth {
  /** Without credentials. */
  readonly url: string;
  readonly proxies: readonly ProxyHealth[];
  /** Why there are no statistics. */
  readonly skipped: string | null;
  /** Its address was not configured, so missing statistics are not a fault. */
  readonly isGuess: boolean;
}

export interface HealthReport {
  readonly cluster: string;
  readonly initialize: string | null;
  /** Why etcd could not be read. The members are unknown then. */
  readonly dcsError: string | null;
  readonly leader: string | null;
  /** Why nobody is elected while nobody leads, and what to do. Null: nothing keeps a leader off. */
  readonly hindrance: string | null;
  readonly paused: boolean;
  readonly synchronous: 'off' | 'on' | 'quorum';
  /** What it follows, and how it takes writes again; null: it is no standby cluster. */
  readonly standbyCluster: string | null;
  /** Null: etcd could not be read. */
  readonly fence: FenceHealth | null;
  readonly members: readonly MemberHealth[];
  readonly etcd: readonly DcsMemberInfo[];
  /** Null: not asked for. */
  readonly haproxy: HaproxyHealth | null;
}

/** What a failover waits for. */
export interface FenceHealth {
  /** `failover_fence` as in GET /patroni. */
  readonly told: JsonObject;
  /** In words: which fence, and what follows. */
  readonly lines: readonly string[];
  /** Without so many of these voters nobody takes over; null: their promises are not the fence. */
  readonly promises: { readonly voters: readonly string[]; readonly needed: number } | null;
  /** Why the better one is not in force although it was asked for. */
  readonly missed: string | null;
}

export interface Problem {
  readonly level: 'warning' | 'critical';
  readonly message: string;
}

export interface Limits {
  readonly maxLagBytes: number;
  readonly maxLagSeconds: number;
}

/** The exit codes that monitoring systems expect. */
export const EXIT_CODES = { ok: 0, warning: 1, critical: 2 } as const;
export type Verdict = keyof typeof EXIT_CODES;

export function verdictOf(problems: readonly Problem[]): Verdict {
  if (problems.some((problem) => problem.level === 'critical')) return 'critical';
  return problems.length > 0 ? 'warning' : 'ok';
}
