/** What the guard is told of a leader that goes on by its voters' word. */
import { describe, expect, it } from 'vitest';
import { memory, observation, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { graceOrder, guardOrder, lacksCover } from './guard-order.ts';

const NOW_MS = 60_000;
/** Etcd is silent; the lease of 30 s was renewed at 9 s, and with it the key. */
function order({ vouchedAtMs, keyOn = 'lease-a', ...scene }: Scene & { readonly vouchedAtMs: number | null; readonly keyOn?: string }) {
  const o = observation({ nowMs: NOW_MS, view: null, pg: pg.primary(), key: { leaseId: keyOn, stepDownAtMs: 33_000 }, ...scene });
  const authority = { ...o.authority, vouched: vouchedAtMs === null ? null : { sentAtMs: vouchedAtMs, by: ['b'] } };
  const c = contextOf({ ...o, authority }, memory());
  return guardOrder(c, c.authority).kind;
}

describe('the guard’s deadline moves on with the voters’ word', () => {
  it('while that is good, though the lease is over', () => {
    expect(order({ vouchedAtMs: NOW_MS - 2199 })).toBe('arm');
    expect(order({ vouchedAtMs: NOW_MS - 2200 })).toBe('none');
    expect(order({ vouchedAtMs: null })).toBe('none');
  });

  it('though the key was last seen on the lease before, or etcd has none of ours any more', () => {
    expect(order({ vouchedAtMs: NOW_MS - 100, keyOn: 'former' })).toBe('arm');
    const lease = { leaseId: null, confirmedSentAtMs: null, ttlSeconds: 30 };
    expect(order({ vouchedAtMs: NOW_MS - 100, keyOn: 'former', lease })).toBe('arm');
  });

  it('not for a standby, nor in a pause', () => {
    expect(order({ vouchedAtMs: NOW_MS - 100, pg: pg.standby() })).toBe('none');
    expect(order({ vouchedAtMs: NOW_MS - 100, settings: settings('a', { dynamic: { pause: true } }) })).toBe('rest');
  });

  it('and a guard that does not take it ends the lead where etcd shows that the key is ours', () => {
    expect(order({ vouchedAtMs: NOW_MS - 100, guardHealthy: false })).toBe('arm');
    expect(order({ vouchedAtMs: NOW_MS - 100, guardHealthy: false, view: view({ leaderName: 'a' }) })).toBe('give-up');
  });
});

it('a silent server with recovery.signal alone may be open for writes, and keeps its guard', () => {
  const mayWrite = (over: Parameters<typeof pg.starting>[0]) =>
    contextOf(observation({ pg: { ...pg.starting(over), state: 'unresponsive' } }), memory()).mayBeWritable;
  expect(mayWrite({ standbySignal: true })).toBe(false);
  expect(mayWrite({ recoverySignal: true })).toBe(true);
});

it('a deadline that rests on the voters’ word is no cover while a lease is being asked for', () => {
  const { authority } = observation();
  const guard = (basis: 'lease' | 'vouchers') => ({ ...authority, guard: { ...authority.guard, deadlineMs: 1, basis } });
  expect([lacksCover(guard('lease')), lacksCover(guard('vouchers'))]).toEqual([false, true]);
});

describe('the time in which a primary without the key has to take it', () => {
  /** Ttl 30: a deadline of 4.5 seconds from now. */
  const grace = (deadlineMs: number | null) => {
    const { authority } = observation();
    const guard = { ...authority.guard, deadlineMs, basis: deadlineMs === null ? null : ('vouchers' as const) };
    return graceOrder(contextOf(observation({ nowMs: NOW_MS, pg: pg.primary() }), memory()), { ...authority, guard })?.deadlineMs;
  };

  it('takes back what a lease had promised, and never moves a deadline on', () => {
    expect([grace(null), grace(NOW_MS + 20_000)]).toEqual([NOW_MS + 4500, NOW_MS + 4500]);
    expect([grace(NOW_MS + 1), grace(NOW_MS + 4500)]).toEqual([undefined, undefined]);
  });

  it('is there again where the guard has struck, and PostgreSQL was started by hand', () => {
    expect(grace(NOW_MS - 1)).toBe(NOW_MS + 4500);
  });
});
