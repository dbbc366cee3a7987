/**
 * What a round asks for is given only as much time as leaves the next round enough to renew the
 * lease, or to step down in good order.
 */
import { describe, expect, it } from 'vitest';
import { keptLog } from '../../test/fixtures/operator-port.ts';
import { settings } from '../../test/support/build.ts';
import { fake } from '../../test/support/fake.ts';
import type { ChoreOutcome } from '../core/chores.ts';
import type { FailoverKey } from '../core/cluster.ts';
import type { Effect } from '../core/effects.ts';
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import { RegentError } from '../support/errors.ts';
import { type ActPorts, act } from './act.ts';
import { AuthorityCell } from './authority-cell.ts';
import { Lease } from './lease.ts';

async function stage(ttlSeconds: number, sinceRenewalMs: number, over: Partial<ActPorts> = {}) {
  let nowMs = 50_000;
  const timeouts: number[] = [];
  const given = async ({ timeoutMs }: { readonly timeoutMs: number }) => {
    timeouts.push(timeoutMs);
    return true;
  };
  const leases = fake<Dcs>({ grantLease: async () => '7', releaseLeader: (_, options) => given(options) });
  const clock = fake<Clock>({ bootMs: () => nowMs });
  const authority = new AuthorityCell(clock, ttlSeconds);
  const lease = new Lease(leases, clock, authority);
  await lease.renew(ttlSeconds, 1000);
  nowMs += sinceRenewalMs;
  const current = () => settings('a', { dynamic: { ttlSeconds, retryTimeoutSeconds: 10 } });
  const ended: ChoreOutcome[] = [];
  const ports = fake<ActPorts>({
    pg: fake<ActPorts['pg']>({ setSyncNames: async (_, options) => void (await given(options)) }),
    dcs: fake<ActPorts['dcs']>({ writeStatus: async (_, options) => void (await given(options)) }),
    clock,
    log: keptLog(),
    settings: { current, local: () => current().local },
    lease,
    authority,
    announce: async () => {},
    announceStop: async () => {},
    choreEnded: (outcome) => ended.push(outcome),
    ...over,
  });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { ports, timeouts, authority, ended, pass };
}
const steps = (...effects: Effect[]) => ({ steps: effects, chores: [] });
const chore = (...effects: Effect[]) => ({ steps: [], chores: [{ kind: 'status' as const, effects }] });
const names = { kind: 'set-sync-names', value: '' } as const;
const status = { kind: 'write-status', value: {} } as const;
const failoverKey: FailoverKey = { leader: null, candidate: null, scheduledAt: null, scheduledAtMs: null, modRevision: '1' };
const release = { kind: 'release-leader', optime: null } as const;

describe('an effect gets', () => {
  it.each([
    [30, 0, 5000],
    [10, 0, 10_000 / 3],
    [3, 0, 1000],
    [3, 1500, 701],
    [3, 2190, 200],
  ])('with a ttl of %i s, %i ms after the renewal, %d ms where PostgreSQL may hang', async (ttlSeconds, sinceMs, expected) => {
    const { ports, timeouts } = await stage(ttlSeconds, sinceMs);
    await act(ports, chore(names));
    expect(timeouts).toEqual([expected]);
  });

  it('until the moment to step down is past, of etcd: hardly any time after that, but to give the key back', async () => {
    const { ports, timeouts } = await stage(30, 23_000);
    await act(ports, chore(status));
    const late = await stage(30, 24_500);
    await act(late.ports, steps(status, release));
    expect([timeouts, late.timeouts]).toEqual([[1001], [20, 200]]);
  });
});

it('a write to /sync may still arrive when nobody knows what became of it, until another is done or refused', async () => {
  const said: boolean[] = [];
  const outcomes = [Promise.reject(new Error('etcd did not answer')), Promise.resolve(false), Promise.resolve(true)];
  const { ports } = await stage(30, 0, {
    dcs: fake<ActPorts['dcs']>({ writeSync: () => outcomes.shift()! }),
    syncUnsettled: (unsettled) => said.push(unsettled),
  });
  const write = { kind: 'write-sync', leader: 'a', quorum: 0, standbys: [], expected: null, term: null } as const;
  await expect(act(ports, steps(write))).rejects.toThrow('etcd did not answer');
  expect(said).toEqual([true]);
  expect(await act(ports, steps(write, write))).toBe(false);
  expect(said).toEqual([true, true, false]);
});

it('a take-over from a leader that refuses connections is not tried for longer than that counts', async () => {
  const asked: unknown[] = [];
  const answers = [true, false];
  const { ports, authority } = await stage(30, 0, {
    dcs: fake<ActPorts['dcs']>({
      takeRefused: async (...all) => {
        asked.push(all);
        return answers.shift()!;
      },
    }),
  });
  const take = { kind: 'take-refused', term: '5' } as const;
  expect([await act(ports, steps(take)), await act(ports, steps(take))]).toEqual([true, false]);
  expect(asked).toEqual(Array.from({ length: 2 }, () => ['a', '7', '5', { timeoutMs: 1000 }]));
  authority.note({ kind: 'lease-forgotten' });
  expect(await act(ports, steps(take))).toBe(false);
  expect(asked.length).toBe(2);
});

describe('a take-over', () => {
  const expected = { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8' };
  const takeOver = { kind: 'take-over', term: '5', expected, quorum: 1, standbys: ['b', 'c'] } as const;

  it('puts the key on the own lease, with what it was judged by', async () => {
    const asked: unknown[] = [];
    const said: boolean[] = [];
    const { ports, timeouts } = await stage(30, 0, {
      dcs: fake<ActPorts['dcs']>({
        takeLead: async (name, leaseId, judged, { timeoutMs }) => {
          asked.push({ name, leaseId, judged });
          timeouts.push(timeoutMs);
          return true;
        },
      }),
      syncUnsettled: (unsettled) => said.push(unsettled),
    });
    expect(await act(ports, steps(takeOver))).toBe(true);
    expect(asked).toEqual([
      { name: 'a', leaseId: '7', judged: { term: '5', expected, sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'] } } },
    ]);
    expect([said, timeouts.length]).toEqual([[true, false], 1]);
  });

  it('that is refused is no failure; of one that nobody answers, the write of /sync may still arrive', async () => {
    const said: boolean[] = [];
    const outcomes = [Promise.resolve(false), Promise.reject(new Error('etcd did not answer'))];
    const { ports } = await stage(30, 0, {
      dcs: fake<ActPorts['dcs']>({ takeLead: () => outcomes.shift()! }),
      syncUnsettled: (unsettled) => said.push(unsettled),
    });
    expect(await act(ports, steps(takeOver))).toBe(false);
    expect(said).toEqual([true, false]);
    await expect(act(ports, steps(takeOver))).rejects.toThrow('etcd did not answer');
    expect(said).toEqual([true, false, true]);
  });

  it('is not asked for without a lease', async () => {
    const { ports, authority } = await stage(30, 0, { dcs: fake<ActPorts['dcs']>({}), syncUnsettled: () => {} });
    authority.note({ kind: 'lease-forgotten' });
    expect(await act(ports, steps(takeOver))).toBe(false);
  });

  it('comes only after the promise is on disk: a promise that cannot be written ends the steps', async () => {
    const { ports } = await stage(30, 0, {
      pg: fake<ActPorts['pg']>({ markFence: () => Promise.reject(new Error('no space left on device')) }),
      dcs: fake<ActPorts['dcs']>({}),
    });
    const mark = { leader: 'b', term: '5', sync: '8' };
    await expect(act(ports, steps({ kind: 'mark-fence', mark }, takeOver))).rejects.toThrow('no space left on device');
  });
});

it.each([
  // The lease is good until 27 s after the renewal was sent; that renewal was a second ago.
  [null, 25_900],
  [60_000, 8900],
  [90_000, 25_900],
])('a stop is over before the guard strikes, whose deadline may be of an older renewal: %s', async (deadlineMs, expected) => {
  const stops: number[] = [];
  const { ports, authority } = await stage(30, 1000, {
    pg: fake<ActPorts['pg']>({ stop: async (_, options) => void stops.push(options.timeoutMs) }),
    watchdog: { active: false, disable: async () => {} },
    fence: { keyMoves: async () => {} },
  });
  authority.note({ kind: 'guard-told', deadlineMs });
  await act(ports, steps({ kind: 'demote-now', mode: 'fast' }));
  expect(authority.now.lease.confirmedSentAtMs).toBe(50_000);
  expect(stops).toEqual([expected]);
});

describe('of chores', () => {
  const slots = { kind: 'slots', effects: [{ kind: 'sync-slots', create: ['x'], drop: [], advance: {} }] } as const;
  const written = { kind: 'status', effects: [status] } as const;
  /** Making slots takes so long, and then fails. */
  const failingSlots = async (error: Error, takesMs: number, sinceRenewalMs = 0) => {
    const syncSlots = async () => {
      scene.pass(takesMs);
      throw error;
    };
    const scene: Awaited<ReturnType<typeof stage>> = await stage(30, sinceRenewalMs, { pg: fake<ActPorts['pg']>({ syncSlots }) });
    return scene;
  };

  it('one that fails is told of, and the next is done all the same', async () => {
    const { ports, timeouts, ended } = await failingSlots(new RegentError('SLOTS_FAILED', 'all replication slots are in use'), 10);
    expect(await act(ports, { steps: [], chores: [slots, written] })).toBe(true);
    expect(ended.map(({ kind, ok, message }) => [kind, ok, message])).toEqual([
      ['slots', false, 'all replication slots are in use'],
      ['status', true, null],
    ]);
    expect(timeouts).toHaveLength(1);
  });

  it('one that took all its time leaves the others what there is until half of the lease is over', async () => {
    const { ports, timeouts, ended } = await failingSlots(new Error('no answer'), 9000);
    await act(ports, { steps: [], chores: [slots, written] });
    expect(timeouts).toEqual([3000]);
    const late = await failingSlots(new Error('no answer'), 12_000);
    const chores = [slots, written];
    expect(await act(late.ports, { steps: [], chores })).toBe(false);
    expect([late.timeouts, late.ended.length, ended.length]).toEqual([[], 1, 2]);
  });

  it('all are done although a step failed, and the failure is told after them', async () => {
    const { ports, timeouts } = await stage(30, 0, {
      dcs: fake<ActPorts['dcs']>({
        writeFailover: () => Promise.reject(new Error('etcd did not answer')),
        writeStatus: async (_, options) => void timeouts.push(options.timeoutMs),
      }),
    });
    const dropped = { kind: 'clear-failover', expected: failoverKey } as const;
    await expect(act(ports, { steps: [dropped], chores: [written] })).rejects.toThrow('etcd did not answer');
    expect(timeouts).toHaveLength(1);
  });

  it('a bug ends the round', async () => {
    const bug = new RegentError('BUG', 'this cannot be', { policy: 'bug' });
    const { ports, timeouts } = await failingSlots(bug, 0);
    await expect(act(ports, { steps: [], chores: [slots, written] })).rejects.toBe(bug);
    expect(timeouts).toEqual([]);
  });
});

it('says that another has the right to make the cluster, or the leader key', async () => {
  const log = keptLog();
  const dcs = fake<ActPorts['dcs']>({ raceInitialize: async () => false, acquireLeader: async () => false });
  const { ports } = await stage(30, 0, { log, dcs });
  expect(await act(ports, steps({ kind: 'race-initialize' }))).toBe(false);
  expect(await act(ports, steps({ kind: 'acquire-leader' }))).toBe(false);
  expect(log.lines).toEqual([
    expect.stringContaining('failed to acquire initialize lock'),
    expect.stringContaining('Could not take out TTL lock'),
  ]);
});
