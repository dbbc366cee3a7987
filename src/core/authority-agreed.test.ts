/** What the word of all members is worth to a leader beside its lease: failsafe mode. */
import { describe, expect, it } from 'vitest';
import {
  type Authority,
  type AuthorityEvent,
  authorityAfter,
  byOwnLease,
  isKeptByFailsafe,
  leads,
  mayWriteUntilMs,
  noAuthority,
  stopByMs,
} from './authority.ts';

const told = (a: Authority, ...events: readonly AuthorityEvent[]) => events.reduce(authorityAfter, a);
const agreed = (sentAtMs: number, ttlSeconds = 30): AuthorityEvent => ({ kind: 'agreed', sentAtMs, ttlSeconds, by: ['b', 'c'] });
const read = (keyOn: string | null): AuthorityEvent => ({ kind: 'key-read', keyOn });

/** A lease of 30 s that was confirmed at 10 s, and the leader key on it. */
function leader(): Authority {
  const asked = told(noAuthority(30), { kind: 'lease-asked' });
  return told(asked, { kind: 'lease-granted', asked: 1, leaseId: 'own', ttlSeconds: 30, sentAtMs: 10_000 }, read('own'));
}
/** Of a ttl of 30 s that begins then. */
const [STEP_DOWN_MS, GUARD_MS] = [24_000, 27_000];

describe('a leader whose members have agreed', () => {
  it('goes on for one ttl from when they were asked, less the margins, and so does its guard', () => {
    const a = told(leader(), agreed(30_000));
    expect(mayWriteUntilMs(a)).toBe(30_000 + STEP_DOWN_MS);
    expect(byOwnLease(a, 31_000)).toEqual({ basis: 'failsafe', deadlineMs: 30_000 + GUARD_MS, reliedUntilMs: 30_000 + STEP_DOWN_MS });
    expect(stopByMs(a, 31_000)).toBe(30_000 + GUARD_MS);
    expect([isKeptByFailsafe(a, 53_999), isKeptByFailsafe(a, 54_000)]).toEqual([true, false]);
  });

  it('does not count on an earlier question that is answered later', () => {
    expect(mayWriteUntilMs(told(leader(), agreed(30_000), agreed(29_000)))).toBe(30_000 + STEP_DOWN_MS);
  });

  it('is kept by its lease where that ends later', () => {
    const renewed = told(leader(), agreed(9000));
    expect(isKeptByFailsafe(renewed, 11_000)).toBe(false);
    expect(byOwnLease(renewed, 11_000).basis).toBe('lease');
  });

  it('goes on when etcd has lost its lease, and not once etcd has shown that the key is gone', () => {
    const forgotten = told(leader(), agreed(30_000), { kind: 'lease-forgotten' });
    expect(leads(forgotten, 50_000)).toBe(true);
    expect(leads(told(forgotten, read(null)), 50_000)).toBe(false);
    expect(leads(told(noAuthority(30), agreed(30_000)), 31_000)).toBe(false);
  });

  it('does without their word once etcd has renewed the lease that the key is on', () => {
    const renewed = (sentAtMs: number, keyOn: string) =>
      told(
        leader(),
        agreed(30_000, 60),
        { kind: 'lease-asked' },
        { kind: 'lease-renewed', asked: 2, leaseId: 'own', sentAtMs },
        read(keyOn),
      );
    expect(renewed(31_000, 'own').agreed).toBeNull();
    expect(mayWriteUntilMs(renewed(31_000, 'own'))).toBe(31_000 + STEP_DOWN_MS);
    expect(renewed(29_000, 'own').agreed).not.toBeNull();
    expect(renewed(31_000, 'another').agreed).not.toBeNull();
  });

  it('and is vouched for: the later of all ends counts', () => {
    const vouched: AuthorityEvent = { kind: 'vouched', sentAtMs: 53_000, by: ['b'] };
    expect(mayWriteUntilMs(told(leader(), agreed(30_000), vouched))).toBe(53_000 + 2200);
    expect(byOwnLease(told(leader(), agreed(30_000), vouched), 53_100)).toMatchObject({ basis: 'vouchers', deadlineMs: 30_000 + GUARD_MS });
  });
});
