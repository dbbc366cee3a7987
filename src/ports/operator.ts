/**
 * What the REST server may ask of the agent. Reading is synchronous, from the last round, but for
 * statusNow and freshFacts; asking wakes the loop and never acts by itself.
 */
import type { ClusterView, FailsafeMap } from '../core/cluster.ts';
import type { Settings } from '../core/settings.ts';
import type { Lsn } from '../core/units.ts';
import type { Gucs } from '../pgconf/guc.ts';
import type { Complaint } from '../pgconf/guc-complaints.ts';
import type { JsonObject } from '../support/json.ts';
import type { AgentStatus, Standing } from './agent-status.ts';
import type { Dcs } from './dcs.ts';
import type { ReloadPreview } from './settings.ts';

export interface RestartRequest {
  /** Conditions, as Patroni's: absent means any. */
  readonly role?: 'primary' | 'standby_leader' | 'replica';
  readonly postgresVersion?: string;
  readonly restartPending?: boolean;
  readonly timeoutSeconds?: number;
}

export type RequestOutcome =
  /**
   * `job`: of work that goes on after the answer, the name under which AgentStatus.reinitialization
   * tells what came of it.
   */
  | { readonly ok: true; readonly message: string; readonly job?: string }
  /** `message`: Patroni's sentence. `reason`: why, where that sentence does not say it. */
  | { readonly ok: false; readonly status: number; readonly message: string; readonly reason?: string };

/** In one line, for a log. */
export function outcomeText(outcome: RequestOutcome): string {
  return outcome.ok || outcome.reason === undefined ? outcome.message : `${outcome.message}: ${outcome.reason}`;
}

/** What the answers to health checks are made of. */
export interface CheckFacts {
  readonly status: Standing;
  readonly view: ClusterView | null;
  readonly settings: Settings;
}

/** The whole status with what it is shown and judged with. */
export interface Facts {
  readonly status: AgentStatus;
  readonly view: ClusterView | null;
  readonly settings: Settings;
}

/** A request in the failover key that this agent dropped instead of carrying it out. */
export interface DroppedRequest {
  /** The end of a sentence: `pg-2 does not answer`. */
  readonly because: string;
  /** Clock.bootMs of the round. */
  readonly atMs: number;
}

/** What POST /failsafe is answered. */
export type FailsafeAnswer =
  | { readonly kind: 'off' }
  /** `lsn`: of this member's WAL; null: not known. */
  | { readonly kind: 'accepted'; readonly lsn: Lsn | null }
  | { readonly kind: 'refused'; readonly because: string };

export interface OperatorPort {
  /**
   * The last round, with `now` applied: leadership is reported only while the lease is valid at
   * this very moment.
   */
  status(): AgentStatus;
  /**
   * The same with PostgreSQL asked now: what others judge candidates by must not be older than
   * their question. Takes two deadlines of a round at most; never throws.
   */
  statusNow(): Promise<AgentStatus>;
  /**
   * The same with PostgreSQL, and the leader's position, as they were a second ago at most. Asks as
   * little as it can, however many callers there are. Takes as long as statusNow; never throws.
   */
  freshFacts(): Promise<Facts>;
  /**
   * What status(), view() and settings() say now, as far as health checks look at it. It is the
   * same object for as long as all of that stays as it is. So an answer made from it may be kept.
   */
  checkFacts(): CheckFacts;
  settings(): Settings;
  /** The last cluster view; null when etcd has not been read for a ttl. */
  view(): ClusterView | null;
  /** The failsafe map as far as it is known, also while etcd does not answer; null: none is. */
  failsafeMap(): FailsafeMap | null;
  /** A leader that cannot reach etcd asks, with the body of its request. Never rejects. */
  askedForFailsafe(body: JsonObject): Promise<FailsafeAnswer>;
  dcs(): Pick<Dcs, 'read' | 'writeConfig' | 'writeFailover'>;
  /** Runs a round soon. */
  wake(reason: string): void;
  /** Resolves when the restart is done or refused. */
  restart(request: RestartRequest): Promise<RequestOutcome>;
  /**
   * schedule: `{...filters, schedule: ISO, postmaster_start_time}`; false when one is scheduled
   * already.
   */
  scheduleRestart(schedule: JsonObject, request: RestartRequest, atMs: number): boolean;
  deleteScheduledRestart(): boolean;
  reinitialize(options: { readonly force: boolean; readonly fromLeader: boolean }): Promise<RequestOutcome>;
  /**
   * Re-reads the configuration file at the next round. Returns what will come of it; after a
   * refusal nothing happens.
   */
  reload(): ReloadPreview;
  /**
   * What this member's PostgreSQL objects to in parameters that nobody has stored yet; null: it
   * cannot be asked. Never throws.
   */
  judgeParameters(parameters: Gucs): Promise<readonly Complaint[] | null>;
  /** The last one; null: none yet. */
  droppedRequest(): DroppedRequest | null;
  /**
   * Resolves on the next round that changes the cluster's leader or failover key, or after
   * timeoutMs. For waiting without polling.
   */
  nextChange(timeoutMs: number): Promise<void>;
}
