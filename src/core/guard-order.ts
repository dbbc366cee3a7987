/**
 * What the guard is told in a round. The order that must hold: first the lease is confirmed, then
 * the guard knows its end, then PostgreSQL may be writable. Taking it off goes the other way round:
 * first PostgreSQL is not writable, then the guard is told to rest.
 */
import { type ArmOrder, type Authority, isKeptByFailsafe, isOver, isVouchedFor, leads } from './authority.ts';
import { type Context, isOfCluster, isOpeningForWrites, unlockedMs } from './context.ts';
import { stopsInOrder } from './effects.ts';
import { mayStillPromote } from './failed-promotions.ts';

/** What the agent takes to stop a primary once the time to take the leader key is over. */
const STOP_MS = 500;

export type GuardOrder =
  /** Its deadline moves on with the lease. */
  | { readonly kind: 'arm' }
  | { readonly kind: 'rest' }
  /** One that takes its place must know the deadline that it has. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'none' }
  /** There is no time for one more try: this round ends the lead. */
  | { readonly kind: 'give-up' };

/** After every observation. */
export function guardOrder(c: Context, { guard }: Authority): GuardOrder {
  const arms = movesOn(c);
  const interrupts = c.o.job === null || stopsInOrder(c.o.job.job);
  if (arms && c.lockMine && interrupts && !c.o.guardHealthy) return { kind: 'give-up' };
  if (arms) return { kind: 'arm' };
  // The deadline that it has stands, in a pause as well.
  if (c.o.pg.unexplained !== undefined) return { kind: isUnheard(guard) ? 'ask' : 'none' };
  if (c.paused || (!c.mayBeWritable && mayRest(c, guard))) return { kind: 'rest' };
  return { kind: 'none' };
}

/**
 * A renewal may be confirmed in a round whose reading fails. It keeps this node leading, so it
 * moves the deadline on. A lease that was never seen to hold the key does not: the key may end with
 * another.
 */
export function movesOn(c: Context): boolean {
  const { key, lease } = c.authority;
  const onOwnLease = key !== null && key.leaseId === lease.leaseId;
  const byWord = isVouchedFor(c.authority, c.o.nowMs) || isKeptByFailsafe(c.authority, c.o.nowMs);
  return (onOwnLease || byWord) && c.mayLeadNow && c.mayBeWritable && !c.paused;
}

/** The same between two rounds, by what has become known since. */
export function movesOnSince(c: Context, authority: Authority, nowMs: number): boolean {
  return movesOn({ ...c, authority, o: { ...c.o, nowMs }, mayLeadNow: leads(authority, nowMs) });
}

/** Neither told a deadline by this agent nor asked for it. */
export const isUnheard = (guard: Authority['guard']): boolean => guard.deadlineMs === null && guard.state === 'unknown';

/**
 * Nothing is about to make PostgreSQL writable: no job of this agent, and no promotion that one
 * before it has asked for, which goes on without it. That one held the leader key, and its guard
 * knows for how long.
 */
function mayRest(c: Context, guard: Authority['guard']): boolean {
  if (isOpeningForWrites(c) || mayStillPromote(c) || c.o.job?.job.kind === 'bootstrap') return false;
  return guard.state !== 'unknown' || c.stopped || (c.view !== null && !c.lockMine);
}

/**
 * Renewals may arrive although their answers do not, or come too late to count: they would keep the
 * key, and with it everybody else, waiting for ever. And what may take writes behind a process that
 * is not explained is not known to have stopped: the key ends with its lease, and the guard strikes
 * before.
 */
export function mustForgetLease(c: Context, a: Authority, nowMs: number): boolean {
  if (!c.mayBeWritable && isOver(a, nowMs)) return true;
  return c.o.pg.unexplained !== undefined && c.attached && !c.paused;
}

/**
 * A primary of this cluster may run while its guard rests and nothing is paused: its agent died in
 * a pause that is over. The lease that this agent asked for may be long in coming (an etcd without
 * room grants none), and this agent may die too before it comes.
 */
export function mayNeedCover(c: Context): boolean {
  return !c.paused && c.mayBeWritable && c.o.job === null && isOfCluster(c.o.pg, c.view);
}

/**
 * A guard that has a deadline from the agent before, or by a lease of this one, is left alone: a
 * restart of the agent costs nothing.
 */
export const lacksCover = ({ guard }: Authority): boolean => guard.deadlineMs === null || (guard.basis !== null && guard.basis !== 'lease');

/**
 * The time in which a primary without the key has to take it; null: the guard has it already, or
 * better. A key that is gone takes back what its lease had promised; one that only cannot be
 * renewed does not. A deadline that comes sooner stands: the word of voters ends by then, and
 * others may take the key.
 */
export function graceOrder(c: Context, { guard }: Authority): ArmOrder | null {
  if (guard.basis === 'grace' || (guard.basis === 'former-lease' && c.lockMine)) return null;
  const untilMs = c.o.nowMs + 2 * unlockedMs(c);
  const deadlineMs = untilMs + STOP_MS;
  const isSooner = guard.deadlineMs !== null && guard.deadlineMs > c.o.nowMs && guard.deadlineMs <= deadlineMs;
  return isSooner ? null : { deadlineMs, reliedUntilMs: untilMs, basis: 'grace' };
}
