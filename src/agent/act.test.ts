/** What a round asks for is given only as much time as leaves the next round enough to renew the lease, or to step down in good order. */
import { describe, expect, it } from 'vitest';
import { settings } from '../../test/support/build.ts';
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import { act, type Hands } from './act.ts';
import { Lease } from './lease.ts';

async function stage(ttlSeconds: number, sinceRenewalMs: number) {
  let nowMs = 50_000;
  const timeouts: number[] = [];
  const given = async ({ timeoutMs }: { readonly timeoutMs: number }) => {
    timeouts.push(timeoutMs);
    return true;
  };
  const dcs = {
    grantLease: async () => '7',
    releaseLeader: (_: string, options: { timeoutMs: number }) => given(options),
  } as unknown as Dcs;
  const clock = { bootMs: () => nowMs } as Clock;
  const lease = new Lease(dcs, clock, ttlSeconds);
  await lease.renew(ttlSeconds, 1000);
  nowMs += sinceRenewalMs;
  const pg = { setSyncNames: (_: string, options: { timeoutMs: number }) => given(options) };
  const store = { ...dcs, writeStatus: (_: object, options: { timeoutMs: number }) => given(options) };
  const current = () => settings('a', { dynamic: { ttlSeconds, retryTimeoutSeconds: 10 } });
  const parts = { pg, dcs: store, settings: { current, local: () => current().local } };
  return { hands: { parts, lease } as unknown as Hands, timeouts, lease };
}
const names = { kind: 'set-sync-names', value: '' } as const;
const status = { kind: 'write-status', value: {} } as const;
const release = { kind: 'release-leader', optime: null } as const;

describe('an effect gets', () => {
  it.each([
    [30, 0, 5000],
    [10, 0, 10_000 / 3],
    [3, 0, 1000],
    [3, 1500, 701],
    [3, 2190, 200],
  ])('with a ttl of %i s, %i ms after the renewal, %d ms where PostgreSQL may hang', async (ttlSeconds, sinceMs, expected) => {
    const { hands, timeouts } = await stage(ttlSeconds, sinceMs);
    await act(hands, [names]);
    expect(timeouts).toEqual([expected]);
  });

  it('until the moment to step down is past, of etcd: hardly any time after that, but to give the key back', async () => {
    const { hands, timeouts } = await stage(30, 23_000);
    await act(hands, [status]);
    const late = await stage(30, 24_500);
    await act(late.hands, [status, release]);
    expect([timeouts, late.timeouts]).toEqual([[1001], [20, 200]]);
  });
});

it('a write to /sync may still arrive when nobody knows what became of it, until another is done or refused', async () => {
  const said: boolean[] = [];
  const outcomes = [Promise.reject(new Error('etcd did not answer')), Promise.resolve(false), Promise.resolve(true)];
  const { hands } = await stage(30, 0);
  const writes = { ...hands.parts.dcs, writeSync: () => outcomes.shift() } as unknown as Dcs;
  const parts = { ...hands.parts, dcs: writes };
  const withWrites = { ...hands, parts, syncUnsettled: (unsettled: boolean) => said.push(unsettled) } as unknown as Hands;
  const write = { kind: 'write-sync', leader: 'a', quorum: 0, standbys: [], expected: null } as const;
  await expect(act(withWrites, [write])).rejects.toThrow('etcd did not answer');
  expect(said).toEqual([true]);
  expect(await act(withWrites, [write, write])).toBe(false);
  expect(said).toEqual([true, true, false]);
});

it.each([
  // The lease is good until 27 s after the renewal was sent; that renewal was a second ago.
  [Number.POSITIVE_INFINITY, 25_900],
  [60_000, 8900],
  [90_000, 25_900],
])('a stop is over before the guard strikes, whose deadline may be of an older renewal: %s', async (strikesAtMs, expected) => {
  const { hands, lease } = await stage(30, 1000);
  const stops: number[] = [];
  const pg = { stop: async (_: string, options: { timeoutMs: number }) => void stops.push(options.timeoutMs), runCallback() {} };
  const withGuard = { ...hands, parts: { ...hands.parts, pg, watchdog: {}, clock: { bootMs: () => 51_000 } }, fence: { strikesAtMs } };
  await act(withGuard as unknown as Hands, [{ kind: 'demote-now', mode: 'fast' }]);
  expect(lease.facts().confirmedSentAtMs).toBe(50_000);
  expect(stops).toEqual([expected]);
});
