/**
 * What a round asks for is given only as much time as leaves the next round enough to renew the
 * lease, or to step down in good order.
 */
import { describe, expect, it } from 'vitest';
import { keptLog } from '../../test/fixtures/desk.ts';
import { settings } from '../../test/support/build.ts';
import type { ChoreOutcome } from '../core/chores.ts';
import type { FailoverKey } from '../core/cluster.ts';
import type { Effect } from '../core/effects.ts';
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import { RegentError } from '../support/errors.ts';
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
  const parts = { pg, dcs: store, clock, log: keptLog(), settings: { current, local: () => current().local } };
  const ended: ChoreOutcome[] = [];
  const pass = (ms: number) => {
    nowMs += ms;
  };
  const hands = { parts, lease, announce: async () => {}, choreEnded: (outcome: ChoreOutcome) => ended.push(outcome) };
  return { hands: hands as unknown as Hands, timeouts, lease, ended, pass };
}
const steps = (...effects: Effect[]) => ({ steps: effects, chores: [] });
const chore = (...effects: Effect[]) => ({ steps: [], chores: [{ kind: 'status' as const, effects }] });
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
    await act(hands, chore(names));
    expect(timeouts).toEqual([expected]);
  });

  it('until the moment to step down is past, of etcd: hardly any time after that, but to give the key back', async () => {
    const { hands, timeouts } = await stage(30, 23_000);
    await act(hands, chore(status));
    const late = await stage(30, 24_500);
    await act(late.hands, steps(status, release));
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
  await expect(act(withWrites, steps(write))).rejects.toThrow('etcd did not answer');
  expect(said).toEqual([true]);
  expect(await act(withWrites, steps(write, write))).toBe(false);
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
  const pg = { stop: async (_: string, options: { timeoutMs: number }) => void stops.push(options.timeoutMs), runCallback: async () => {} };
  const withGuard = { ...hands, parts: { ...hands.parts, pg, watchdog: {}, clock: { bootMs: () => 51_000 } }, fence: { strikesAtMs } };
  await act(withGuard as unknown as Hands, steps({ kind: 'demote-now', mode: 'fast' }));
  expect(lease.facts().confirmedSentAtMs).toBe(50_000);
  expect(stops).toEqual([expected]);
});

describe('of chores', () => {
  const slots = { kind: 'slots', effects: [{ kind: 'sync-slots', create: ['x'], drop: [], advance: {} }] } as const;
  const written = { kind: 'status', effects: [status] } as const;
  const failing = (hands: Hands, error: Error, takesMs: number, pass: (ms: number) => void) => {
    const pg = {
      ...hands.parts.pg,
      syncSlots: async () => {
        pass(takesMs);
        throw error;
      },
    };
    return { ...hands, parts: { ...hands.parts, pg } } as unknown as Hands;
  };

  it('one that fails is told of, and the next is done all the same', async () => {
    const { hands, timeouts, ended, pass } = await stage(30, 0);
    const full = failing(hands, new RegentError('SLOTS_FAILED', 'all replication slots are in use'), 10, pass);
    expect(await act(full, { steps: [], chores: [slots, written] })).toBe(true);
    expect(ended.map(({ kind, ok, message }) => [kind, ok, message])).toEqual([
      ['slots', false, 'all replication slots are in use'],
      ['status', true, null],
    ]);
    expect(timeouts).toHaveLength(1);
  });

  it('one that took all its time leaves the others what there is until half of the lease is over', async () => {
    const { hands, timeouts, ended, pass } = await stage(30, 0);
    await act(failing(hands, new Error('no answer'), 9000, pass), { steps: [], chores: [slots, written] });
    expect(timeouts).toEqual([3000]);
    const late = await stage(30, 0);
    const chores = [slots, written];
    expect(await act(failing(late.hands, new Error('no answer'), 12_000, late.pass), { steps: [], chores })).toBe(false);
    expect([late.timeouts, late.ended.length, ended.length]).toEqual([[], 1, 2]);
  });

  it('all are done although a step failed, and the failure is told after them', async () => {
    const { hands, timeouts } = await stage(30, 0);
    const dcs = { ...hands.parts.dcs, writeFailover: () => Promise.reject(new Error('etcd did not answer')) };
    const withDcs = { ...hands, parts: { ...hands.parts, dcs } } as unknown as Hands;
    const dropped = { kind: 'clear-failover', expected: {} as FailoverKey } as const;
    await expect(act(withDcs, { steps: [dropped], chores: [written] })).rejects.toThrow('etcd did not answer');
    expect(timeouts).toHaveLength(1);
  });

  it('a bug ends the round', async () => {
    const { hands, timeouts, pass } = await stage(30, 0);
    const bug = new RegentError('BUG', 'this cannot be', { policy: 'bug' });
    await expect(act(failing(hands, bug, 0, pass), { steps: [], chores: [slots, written] })).rejects.toBe(bug);
    expect(timeouts).toEqual([]);
  });
});
