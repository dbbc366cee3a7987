/** What the voters' word is worth to a leader beside its lease. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Authority,
  type AuthorityEvent,
  authorityAfter,
  byLease,
  byOwnLease,
  halfwayAtMs,
  isOver,
  isVouchedFor,
  leads,
  mayWriteUntilMs,
  noAuthority,
  stepDownAtMs,
  stopByMs,
} from './authority.ts';
import { patienceMs } from './patience.ts';

const told = (a: Authority, ...events: readonly AuthorityEvent[]) => events.reduce(authorityAfter, a);
const vouched = (sentAtMs: number): AuthorityEvent => ({ kind: 'vouched', sentAtMs, by: ['b'] });
const read = (keyOn: string | null): AuthorityEvent => ({ kind: 'key-read', keyOn });

/** A lease of 30 s that was confirmed at 10 s, and the leader key on it. */
function leader(ttlSeconds = 30): Authority {
  const asked = told(noAuthority(ttlSeconds), { kind: 'lease-asked' });
  return told(asked, { kind: 'lease-granted', asked: 1, leaseId: 'own', ttlSeconds, sentAtMs: 10_000 }, read('own'));
}
/** Of a lease of three seconds that begins then, the moment to step down. */
const STEP_DOWN_MS = 2200;
const GUARD_MS = 2600;

describe('a leader that is vouched for', () => {
  it('steps down at the later of the two ends', () => {
    expect(mayWriteUntilMs(told(leader(), vouched(20_000)))).toBe(34_000);
    expect(mayWriteUntilMs(told(leader(), vouched(33_000)))).toBe(33_000 + STEP_DOWN_MS);
    expect(stepDownAtMs(told(leader(), vouched(20_000)))).toBe(34_000);
    expect(stepDownAtMs(told(leader(), vouched(33_000)))).toBe(33_000 + STEP_DOWN_MS);
  });

  it('goes on after its lease, and no longer than a lease of three seconds from when the voters were asked', () => {
    fc.assert(
      fc.property(fc.constantFrom(3, 5, 10, 30), fc.nat(60_000), (ttlSeconds, laterMs) => {
        const sentAtMs = 10_000 + laterMs;
        const a = told(leader(ttlSeconds), vouched(sentAtMs));
        const byOwn = byLease(10_000, ttlSeconds, 'lease').reliedUntilMs;
        const untilMs = Math.max(byOwn, sentAtMs + STEP_DOWN_MS);
        expect(mayWriteUntilMs(a)).toBe(untilMs);
        expect([leads(a, untilMs - 1), leads(a, untilMs)]).toEqual([true, false]);
        expect([isOver(a, untilMs - 1), isOver(a, untilMs)]).toEqual([false, true]);
        expect([isVouchedFor(a, sentAtMs + STEP_DOWN_MS - 1), isVouchedFor(a, sentAtMs + STEP_DOWN_MS)]).toEqual([true, false]);
      }),
    );
  });

  it('is not set back by an answer that comes late, whose question was asked earlier', () => {
    const a = told(leader(), vouched(40_000), vouched(39_000));
    expect(a.vouched?.sentAtMs).toBe(40_000);
  });

  it('arms its guard with the later end, which comes before the voters are free again', () => {
    expect(byOwnLease(told(leader(), vouched(20_000)), 21_000)).toMatchObject({ basis: 'lease', deadlineMs: 37_000 });
    const order = { basis: 'vouchers', deadlineMs: 40_000 + GUARD_MS, reliedUntilMs: 40_000 + STEP_DOWN_MS };
    expect(byOwnLease(told(leader(), vouched(40_000)), 41_000)).toEqual(order);
    expect(() => byOwnLease(told(leader(), vouched(40_000)), 40_000 + GUARD_MS)).toThrow('about to end');
  });

  it('waits for etcd no longer than the voters’ word is good, and stops PostgreSQL by then', () => {
    const a = told(leader(), vouched(40_000));
    expect(patienceMs(a, 41_000, 10_000)).toBe(STEP_DOWN_MS - 1000 + 1);
    expect(stopByMs(a, 41_000)).toBe(40_000 + GUARD_MS);
  });

  it('still leads when etcd has lost its lease: nobody else can have taken the key', () => {
    const a = told(leader(), vouched(40_000), { kind: 'lease-forgotten' });
    expect(mayWriteUntilMs(a)).toBe(40_000 + STEP_DOWN_MS);
  });
});

describe('a lease that the leader key was never on', () => {
  const granted = (a: Authority, sentAtMs: number, ttlSeconds = 30) =>
    told(a, { kind: 'lease-asked' }, { kind: 'lease-granted', asked: a.asked + 1, leaseId: 'new', ttlSeconds, sentAtMs });

  it('moves no deadline: the word of the voters ends first, and the key is gone', () => {
    const a = granted(told(leader(), vouched(40_000), { kind: 'lease-forgotten' }), 40_100);
    const order = { basis: 'vouchers', deadlineMs: 40_000 + GUARD_MS, reliedUntilMs: 40_000 + STEP_DOWN_MS };
    expect(byOwnLease(a, 40_200)).toEqual(order);
    expect([stepDownAtMs(a), mayWriteUntilMs(a), stopByMs(a, 40_200)]).toEqual([42_200, 42_200, 42_600]);
    expect(halfwayAtMs(a)).toBeNull();
  });

  it('leaves the time of the lease before, until the key has moved', () => {
    const guard = { kind: 'guard-armed', order: byOwnLease(leader(10), 10_000) } as const;
    const a = granted(told(leader(10), guard), 12_000, 60);
    expect([stepDownAtMs(a), mayWriteUntilMs(a)]).toEqual([18_000, 18_000]);
    expect(stopByMs(a, 12_000)).toBe(guard.order.deadlineMs);
    expect(() => byOwnLease(a, 12_100)).toThrow('no confirmed lease');
    expect(byOwnLease(told(a, read('new')), 12_100).deadlineMs).toBeGreaterThan(60_000);
  });

  it('never lets anything count for longer than the voters’ word, whatever comes in between', () => {
    fc.assert(
      fc.property(fc.nat(20_000), fc.nat(2000), fc.constantFrom(3, 10, 60), fc.boolean(), (afterMs, laterMs, ttlSeconds, forgotten) => {
        const askedAtMs = 34_000 + afterMs;
        const before = told(leader(), vouched(askedAtMs), ...(forgotten ? [{ kind: 'lease-forgotten' } as const] : []));
        const a = granted(before, askedAtMs + laterMs, ttlSeconds);
        expect(byOwnLease(a, askedAtMs).deadlineMs).toBe(askedAtMs + GUARD_MS);
        expect(stepDownAtMs(a)).toBe(askedAtMs + STEP_DOWN_MS);
        expect(stopByMs(a, askedAtMs)).toBeLessThanOrEqual(askedAtMs + GUARD_MS);
      }),
    );
  });
});

describe('the voters’ word is worth nothing', () => {
  it('to a node that etcd showed without the leader key, or that never had it', () => {
    for (const keyOn of [null, 'another’s']) expect(leads(told(leader(), vouched(11_000), read(keyOn)), 11_001)).toBe(false);
    expect(leads(told(noAuthority(30), vouched(11_000)), 11_001)).toBe(false);
    const gone = told(leader(), vouched(40_000), { kind: 'lease-forgotten' }, read(null));
    expect(isVouchedFor(gone, 40_001)).toBe(false);
    expect(() => byOwnLease(gone, 40_001)).toThrow('no confirmed lease');
  });

  it('and never more than that: over any events, whoever writes has a lease or was vouched for', () => {
    const event: fc.Arbitrary<AuthorityEvent> = fc.oneof(
      fc.record({ kind: fc.constant('vouched' as const), sentAtMs: fc.nat(50_000), by: fc.constant(['b']) }),
      fc.record({ kind: fc.constant('key-read' as const), keyOn: fc.constantFrom('own', 'own', 'before', null) }),
      fc.constantFrom<AuthorityEvent>({ kind: 'lease-forgotten' }, { kind: 'key-moving' }, { kind: 'lease-asked' }),
      fc
        .record({ asked: fc.integer({ min: 1, max: 4 }), sentAtMs: fc.nat(50_000) })
        .map((answer): AuthorityEvent => ({ kind: 'lease-renewed', leaseId: 'own', ...answer })),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 20 }), (events) => {
        const a = told(leader(), ...events);
        const asked = events.map((one) => (one.kind === 'vouched' ? one.sentAtMs : Number.NEGATIVE_INFINITY));
        const renewed = events.map((one) => (one.kind === 'lease-renewed' ? one.sentAtMs : 10_000));
        const most = Math.max(Math.max(10_000, ...renewed) + 24_000, Math.max(Number.NEGATIVE_INFINITY, ...asked) + STEP_DOWN_MS);
        expect(mayWriteUntilMs(a)).toBeLessThanOrEqual(most);
        if (a.key === null) expect(mayWriteUntilMs(a)).toBe(Number.NEGATIVE_INFINITY);
      }),
    );
  });
});
