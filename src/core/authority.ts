/**
 * May this node be writable, until when, and on what does that rest?
 *
 * One value holds what the answer needs: this agent's lease, the leader key as it was last read,
 * and what the guard was told. `authorityAfter` is its only way to change. Decisions, timeouts, the
 * guard's orders and the REST API ask it, so that they cannot disagree. All times are Clock.bootMs.
 *
 * A lease is good from the moment the request that granted or renewed it was SENT, for its ttl:
 * etcd counts from a later moment. An answer that is lost leaves the older moment standing, which
 * is the safe side. Three moments follow from it, in this order: this agent steps down, the guard
 * stops PostgreSQL, the lease ends. While etcd does not answer, the word of others is worth a
 * lease, counted from when they were asked: one of VOUCH_SECONDS if voters vouch for the leader,
 * one of the whole ttl if all members agree to failsafe mode.
 */
import { RegentError } from '../support/errors.ts';
import { leaseMargins, VOUCH_SECONDS } from './settings.ts';

/** So many failures in a row, and a guard of which no deadline is known counts as lost. */
const FAILURES_TOLERATED = 3;
/** A leader whose guard did not answer asks it again so soon. */
export const RETRY_MS = 1000;

/** The lease that this agent has, and what is known of it for certain. */
export interface LeaseFacts {
  /** Null: none was granted yet, or it is gone. */
  readonly leaseId: string | null;
  /** When the last request that etcd confirmed was sent; null: none. */
  readonly confirmedSentAtMs: number | null;
  /** The lease's time to live as granted. */
  readonly ttlSeconds: number;
}

/** The leader key, with this node's name, as etcd showed it last. */
export interface KeySeen {
  /** The lease that it was on. */
  readonly leaseId: string;
  /** The moment to step down by that lease; -Infinity: it is gone, or was given up. */
  readonly stepDownAtMs: number;
}

/**
 * What a deadline of the guard rests on: this agent's lease, the lease of the agent before (renewed
 * once more by this one), the time that a primary has to take the leader key, or, while etcd does
 * not answer, the word of voters or of all members.
 */
export type Basis = 'lease' | 'former-lease' | 'grace' | 'vouchers' | 'failsafe';

/** As many voters as a commit waits for have vouched for this leader. */
export interface Vouched {
  /** When they were asked. */
  readonly sentAtMs: number;
  readonly by: readonly string[];
}

/**
 * Every other member of the failsafe map has agreed that this leader goes on (core/failsafe.ts).
 */
export interface Agreed {
  /** When they were asked. */
  readonly sentAtMs: number;
  /** For so long none of them takes the lead. */
  readonly ttlSeconds: number;
  readonly by: readonly string[];
}

export interface ArmOrder {
  /** When the guard is to stop PostgreSQL. */
  readonly deadlineMs: number;
  /** The moment to step down that goes with it, which is earlier. */
  readonly reliedUntilMs: number;
  readonly basis: Basis;
}

/** What is known of the guard. */
export interface GuardKnown {
  /** Unknown after a start, and while an order is under way or has failed. */
  readonly state: 'armed' | 'disarmed' | 'unknown';
  /** The deadline that it has; null: it rests, or it is not known what it has. */
  readonly deadlineMs: number | null;
  /**
   * The moment to step down that goes with the deadline it confirmed last: it strikes soon after,
   * whether it listens or not.
   */
  readonly reliedUntilMs: number | null;
  /** Null: it has no deadline, or one of the agent before. */
  readonly basis: Basis | null;
  /** Rounds in a row in which it did not do what it was asked to. */
  readonly failures: number;
  /** A leader must ask it again by then; null: no need. */
  readonly retryAtMs: number | null;
}

export interface Authority {
  readonly lease: LeaseFacts;
  /** How often the lease was asked for: only the answer to the last request counts. */
  readonly asked: number;
  /** Null: the leader key was not on a lease that this agent had, or etcd was never read. */
  readonly key: KeySeen | null;
  /** Null: nobody had to so far. What it is worth ends by itself. */
  readonly vouched: Vouched | null;
  /** Null: not all members have so far. */
  readonly agreed: Agreed | null;
  readonly guard: GuardKnown;
}

export type AuthorityEvent =
  /** A renewal or a grant goes out. */
  | { readonly kind: 'lease-asked' }
  | { readonly kind: 'lease-renewed'; readonly asked: number; readonly leaseId: string; readonly sentAtMs: number }
  | {
      readonly kind: 'lease-granted';
      readonly asked: number;
      readonly leaseId: string;
      readonly ttlSeconds: number;
      readonly sentAtMs: number;
    }
  /** etcd says that it does not exist, or it must not go on: it is not renewed any more. */
  | { readonly kind: 'lease-forgotten' }
  /** etcd was read. `keyOn`: the lease of the leader key where it names this node, else null. */
  | { readonly kind: 'key-read'; readonly keyOn: string | null }
  /** A request goes out that moves the leader key to the own lease. */
  | { readonly kind: 'key-moving' }
  /** Enough voters have vouched for this leader. */
  | { readonly kind: 'vouched'; readonly sentAtMs: number; readonly by: readonly string[] }
  /** Too few of them are voters of the set that /sync names, or may name, by now. */
  | { readonly kind: 'vouched-in-vain' }
  /** All members have agreed to failsafe mode. */
  | ({ readonly kind: 'agreed' } & Agreed)
  /** A round begins to deal with the guard. */
  | { readonly kind: 'guard-round' }
  /** An order goes out; it may be taken although it fails (its answer was lost). */
  | { readonly kind: 'guard-ordered' }
  | { readonly kind: 'guard-armed'; readonly order: ArmOrder }
  | { readonly kind: 'guard-rested' }
  /** The guard told which deadline it has. */
  | { readonly kind: 'guard-told'; readonly deadlineMs: number | null }
  /** It did what this round had to ask of it. */
  | { readonly kind: 'guard-obeyed' }
  /** `leads`: it was to move a leader's deadline on, and is asked again soon. */
  | { readonly kind: 'guard-failed'; readonly atMs: number; readonly leads: boolean };

export function noAuthority(ttlSeconds: number): Authority {
  return {
    lease: { leaseId: null, confirmedSentAtMs: null, ttlSeconds },
    asked: 0,
    key: null,
    vouched: null,
    agreed: null,
    guard: { state: 'unknown', deadlineMs: null, reliedUntilMs: null, basis: null, failures: 0, retryAtMs: null },
  };
}

export function authorityAfter(a: Authority, event: AuthorityEvent): Authority {
  switch (event.kind) {
    case 'lease-asked':
      return { ...a, asked: a.asked + 1 };
    case 'lease-renewed':
      return event.asked === a.asked && event.leaseId === a.lease.leaseId ? withLease(a, { ...a.lease, ...sent(event) }) : a;
    case 'lease-granted':
      return event.asked === a.asked ? withLease(a, { leaseId: event.leaseId, ttlSeconds: event.ttlSeconds, ...sent(event) }) : a;
    case 'lease-forgotten':
      return {
        ...withLease(a, { ...a.lease, leaseId: null, confirmedSentAtMs: null }),
        key: a.key && { ...a.key, stepDownAtMs: Number.NEGATIVE_INFINITY },
      };
    case 'key-read':
      return { ...a, key: keySeen(a, event.keyOn), agreed: agreedBeside(a, event.keyOn) };
    case 'vouched':
      return { ...a, vouched: laterOf(a.vouched, { sentAtMs: event.sentAtMs, by: event.by }) };
    case 'vouched-in-vain':
      return { ...a, vouched: null };
    case 'agreed':
      return { ...a, agreed: laterOf(a.agreed, { sentAtMs: event.sentAtMs, ttlSeconds: event.ttlSeconds, by: event.by }) };
    case 'key-moving':
      return { ...a, key: keyMoving(a) };
    default:
      return { ...a, guard: guardAfter(a.guard, event) };
  }
}

/** An answer that comes late may be to a question that was asked earlier. */
const laterOf = <Word extends { readonly sentAtMs: number }>(known: Word | null, told: Word): Word =>
  known !== null && known.sentAtMs > told.sentAtMs ? known : told;

const withLease = (a: Authority, lease: LeaseFacts): Authority => ({ ...a, lease });
const sent = ({ sentAtMs }: { readonly sentAtMs: number }) => ({ confirmedSentAtMs: sentAtMs });

/**
 * After a change of the ttl the key is still on the lease before, and good until that one's end.
 */
function keySeen(a: Authority, keyOn: string | null): KeySeen | null {
  const stepDown = ownOrder(a)?.reliedUntilMs ?? null;
  if (keyOn === null || stepDown === null) return null;
  if (keyOn === a.lease.leaseId) return { leaseId: keyOn, stepDownAtMs: stepDown };
  return a.key?.leaseId === keyOn ? a.key : null;
}

/**
 * Etcd has renewed the lease of the key since all members agreed: their word is not needed any
 * more. It could be for longer than a ttl that was made shorter meanwhile, by which others wait.
 */
function agreedBeside({ agreed, lease }: Authority, keyOn: string | null): Agreed | null {
  const isRenewed = agreed !== null && keyOn !== null && keyOn === lease.leaseId && (lease.confirmedSentAtMs ?? 0) > agreed.sentAtMs;
  return isRenewed ? null : agreed;
}

/** It may be on either lease once the request is out: the earlier end counts. */
function keyMoving(a: Authority): KeySeen | null {
  const stepDown = ownOrder(a)?.reliedUntilMs ?? null;
  return a.key === null || stepDown === null ? a.key : { ...a.key, stepDownAtMs: Math.min(a.key.stepDownAtMs, stepDown) };
}

type GuardEvent = Extract<AuthorityEvent, { readonly kind: `guard-${string}` }>;

function guardAfter(guard: GuardKnown, event: GuardEvent): GuardKnown {
  switch (event.kind) {
    case 'guard-round':
      return { ...guard, retryAtMs: null };
    case 'guard-ordered':
      return { ...guard, state: 'unknown' };
    case 'guard-armed':
      return { ...guard, state: 'armed', ...event.order };
    case 'guard-rested':
      return { ...guard, state: 'disarmed', deadlineMs: null, reliedUntilMs: null, basis: null };
    case 'guard-told':
      return { ...guard, deadlineMs: event.deadlineMs };
    case 'guard-obeyed':
      return { ...guard, failures: 0 };
    case 'guard-failed':
      return { ...guard, state: 'unknown', failures: guard.failures + 1, retryAtMs: event.leads ? retryAt(guard, event.atMs) : null };
  }
}

/** In time for the step down by the deadline that the guard has. */
function retryAt({ reliedUntilMs }: GuardKnown, nowMs: number): number {
  return reliedUntilMs !== null && reliedUntilMs > nowMs ? Math.min(nowMs + RETRY_MS, reliedUntilMs) : nowMs + RETRY_MS;
}

/**
 * The leader key was last seen on another lease than this agent has now: one of a ttl before, or
 * one that etcd has forgotten. What this agent's lease is worth says nothing about the key.
 */
const isKeyElsewhere = ({ key, lease }: Authority): boolean => key !== null && key.leaseId !== lease.leaseId;

/** Where that lease may still keep the key: the moment to step down by it. */
function formerStepDownMs(a: Authority): number | null {
  if (a.key === null || !isKeyElsewhere(a) || a.lease.confirmedSentAtMs === null) return null;
  return a.key.stepDownAtMs === Number.NEGATIVE_INFINITY ? null : a.key.stepDownAtMs;
}

/**
 * The moment at which this agent stops leading by its lease, or by the word of others; null: it has
 * neither.
 */
export function stepDownAtMs(a: Authority): number | null {
  const ends = [orderInForce(a)?.reliedUntilMs ?? null, formerStepDownMs(a)].filter((end) => end !== null);
  return ends.length === 0 ? null : Math.max(...ends);
}

/** Voters vouch for this leader now: it does not rest on its lease alone. */
export function isVouchedFor(a: Authority, nowMs: number): boolean {
  const order = voucherOrder(a);
  return order !== null && nowMs < order.reliedUntilMs;
}

/** All members have agreed that this leader goes on, and it does so by that alone. */
export function isKeptByFailsafe(a: Authority, nowMs: number): boolean {
  const order = failsafeOrder(a);
  return order !== null && nowMs < order.reliedUntilMs && orderInForce(a)?.basis === 'failsafe';
}

/**
 * Half of the time until then is over: what can wait leaves the rest to the next renewal. Null: no
 * lease of this agent keeps it leading.
 */
export function halfwayAtMs(a: Authority): number | null {
  const { lease } = a;
  return lease.confirmedSentAtMs === null || isKeyElsewhere(a)
    ? null
    : lease.confirmedSentAtMs + leaseMargins(lease.ttlSeconds).stepDownMs / 2;
}

/** The moment to step down is past. */
export function isOver(a: Authority, nowMs: number): boolean {
  const stepDown = stepDownAtMs(a);
  return stepDown !== null && nowMs >= stepDown;
}

/**
 * Until when PostgreSQL may take writes here; -Infinity: not at all. It rests on the lease that the
 * leader key was on when etcd was last read: a lease that never had the key says nothing about who
 * leads. After a change of the ttl the key is on the lease before until it is moved, and that one
 * is not renewed any more.
 */
export function mayWriteUntilMs(a: Authority): number {
  if (a.key === null) return Number.NEGATIVE_INFINITY;
  return stepDownAtMs(a) ?? Number.NEGATIVE_INFINITY;
}

/** The one answer to "does this node lead?". */
export const leads = (a: Authority, nowMs: number): boolean => nowMs < mayWriteUntilMs(a);

/** A deadline by a lease for which etcd has confirmed a request that was sent then. */
export function byLease(sentAtMs: number, ttlSeconds: number, basis: Basis): ArmOrder {
  const { guardMs, stepDownMs } = leaseMargins(ttlSeconds);
  return { deadlineMs: sentAtMs + guardMs, reliedUntilMs: sentAtMs + stepDownMs, basis };
}

/** Null: no request for this agent's lease was confirmed. */
function ownOrder({ lease }: Authority): ArmOrder | null {
  return lease.confirmedSentAtMs === null ? null : byLease(lease.confirmedSentAtMs, lease.ttlSeconds, 'lease');
}

/**
 * The word of voters counts for a leader only: its key may have ended in etcd meanwhile, but nobody
 * else can have taken it.
 */
function voucherOrder({ key, vouched }: Authority): ArmOrder | null {
  return key === null || vouched === null ? null : byLease(vouched.sentAtMs, VOUCH_SECONDS, 'vouchers');
}

/** The same of all members' word. */
function failsafeOrder({ key, agreed }: Authority): ArmOrder | null {
  return key === null || agreed === null ? null : byLease(agreed.sentAtMs, agreed.ttlSeconds, 'failsafe');
}

const wordOrders = (a: Authority): readonly ArmOrder[] => [voucherOrder(a), failsafeOrder(a)].filter((order) => order !== null);

/** By what keeps this agent leading, or would if it took the key. */
const orderInForce = (a: Authority): ArmOrder | null => latestOrder(a, isKeyElsewhere(a) ? null : ownOrder(a));

/** The latest of the ends. A short lease that steps down later may still strike earlier. */
function latestOrder(a: Authority, own: ArmOrder | null): ArmOrder | null {
  const orders = [...(own === null ? [] : [own]), ...wordOrders(a)];
  if (orders.length === 0) return null;
  const latest = orders.reduce((one, other) => (other.reliedUntilMs > one.reliedUntilMs ? other : one));
  return { ...latest, deadlineMs: Math.max(...orders.map(({ deadlineMs }) => deadlineMs)) };
}

/**
 * By this agent's own lease, or by the word of others. `moving`: the leader key is about to be
 * moved to that lease. Throws LEASE_UNCONFIRMED.
 */
export function byOwnLease(a: Authority, nowMs: number, moving = false): ArmOrder {
  const refused = (why: string) => new RegentError('LEASE_UNCONFIRMED', why, { policy: 'transient' });
  const order = moving ? latestOrder(a, ownOrder(a)) : orderInForce(a);
  if (order === null) throw refused('there is no confirmed lease to arm the guard with');
  if (order.deadlineMs <= nowMs) throw refused('the lease is about to end');
  return order;
}

/**
 * The own lease ends before the deadline that the guard has (a shorter ttl): the guard must hear of
 * it before the leader key is moved to that lease. A later end waits until the key has moved.
 */
export function endsSooner(a: Authority): boolean {
  const order = ownOrder(a);
  return order !== null && a.guard.deadlineMs !== null && order.deadlineMs < a.guard.deadlineMs;
}

/**
 * While the guard is not, PostgreSQL must not take writes: the guard cannot be told anything, and
 * would stop it without asking, or not at all.
 */
export function isGuardHealthy({ guard }: Authority, nowMs: number): boolean {
  if (guard.failures === 0) return true;
  return guard.reliedUntilMs === null ? guard.failures < FAILURES_TOLERATED : nowMs < guard.reliedUntilMs;
}

/**
 * When the guard will stop PostgreSQL, as far as is known; Infinity: not at all. One that was never
 * heard and does not answer may do it soon.
 */
export function strikesAtMs({ guard }: Authority, nowMs: number): number {
  if (guard.deadlineMs !== null) return guard.deadlineMs;
  return guard.failures > 0 && guard.reliedUntilMs === null ? nowMs + RETRY_MS : Number.POSITIVE_INFINITY;
}

/**
 * By when PostgreSQL must be down if this node gives up now. A guard that does not answer has not
 * been told of the renewals since its deadline.
 */
export function stopByMs(a: Authority, nowMs: number): number {
  // By a lease before, the guard was told when to strike.
  const formerMs = formerStepDownMs(a) === null ? null : a.guard.deadlineMs;
  return Math.min(orderInForce(a)?.deadlineMs ?? formerMs ?? nowMs, strikesAtMs(a, nowMs));
}
