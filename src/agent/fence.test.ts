/** The guard is not told to rest while PostgreSQL may be about to take writes. */
import { expect, it } from 'vitest';
import { memory, observation, pg, type Scene, view } from '../../test/support/build.ts';
import { contextOf } from '../core/context.ts';
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import { Fence } from './fence.ts';
import { Lease } from './lease.ts';
import type { Parts } from './parts.ts';

async function ordersAfter(scene: Scene): Promise<readonly string[]> {
  const orders: string[] = [];
  const clock = { bootMs: () => 10_000 } as Clock;
  const guard = { arm: async () => void orders.push('arm'), disarm: async () => void orders.push('rest'), deadline: async () => null };
  const parts = {
    clock,
    guard,
    watchdog: { active: false },
    log: { error: (message: string) => orders.push(message) },
  } as unknown as Parts;
  await new Fence(parts, new Lease({} as Dcs, clock, 30)).follow(contextOf(observation(scene), memory()));
  return orders;
}

const during = (job: NonNullable<Scene['job']>['job']): Scene => ({ view: view(), pg: pg.stopped(), job: { job, startedAtMs: 1 } });

it.each([
  ['a cluster is made, which is published by then or not', { kind: 'bootstrap' }],
  ['a primary starts', { kind: 'start', role: { kind: 'primary', syncNames: null }, why: 'x' }],
] as const)('not while %s: what was seen of PostgreSQL is older than the job', async (_why, job) => {
  expect(await ordersAfter(during(job))).toEqual([]);
});

it('nor where a promotion may go on that an agent before had asked for', async () => {
  const standby = pg.standby();
  expect(await ordersAfter({ view: view({ leaderName: 'a', leaderLease: 'before' }), pg: standby })).toEqual([]);
  expect(await ordersAfter({ view: null, pg: standby })).toEqual([]);
  expect(await ordersAfter({ view: view({ leaderName: 'b' }), pg: standby })).toEqual(['rest']);
});

it('the guard in place of one that is gone is told the same deadline at once, unless that one rested', async () => {
  const orders: string[] = [];
  const clock = { bootMs: () => 10_000 } as Clock;
  const guard = {
    open: async () => void orders.push('open'),
    arm: async (deadlineMs: number) => void orders.push(`until ${deadlineMs}`),
    disarm: async () => void orders.push('rest'),
  };
  const dcs = { grantLease: async () => '7' } as unknown as Dcs;
  const lease = new Lease(dcs, clock, 30);
  await lease.renew(30, 1000);
  const fence = new Fence({ clock, guard, log: { error: (message: string) => orders.push(message) } } as unknown as Parts, lease);
  await fence.arm();
  await fence.replace();
  await fence.disarm();
  await fence.replace();
  expect(orders).toEqual(['until 37000', 'open', 'until 37000', 'rest', 'open']);
});

it('nor while a process in postmaster.pid is not explained: a server that takes writes may be behind it', async () => {
  expect(await ordersAfter({ view: view({ leaderName: 'b' }), pg: pg.unexplained() })).toEqual([]);
  expect(await ordersAfter({ view: view(), pg: pg.unexplained() })).toEqual([]);
});

it('a key that is ours then ends with its lease: it is not renewed any more, and the guard keeps its deadline', async () => {
  const clock = { bootMs: () => 10_000 } as Clock;
  const lease = new Lease({ grantLease: async () => 'lease-a' } as unknown as Dcs, clock, 30);
  await lease.renew(30, 1000);
  const orders: string[] = [];
  const guard = { arm: async () => void orders.push('arm'), disarm: async () => void orders.push('rest'), deadline: async () => null };
  const fence = new Fence({ clock, guard, watchdog: { active: false } } as unknown as Parts, lease);
  const scene: Scene = { view: view({ leaderName: 'a' }), pg: pg.unexplained(), lease: lease.facts(), nowMs: 10_000 };
  await fence.follow(contextOf(observation(scene), memory()));
  expect(lease.facts().leaseId).toBeNull();
  expect(orders).toEqual([]);
});

it('but while a standby starts, and where nothing runs', async () => {
  expect(await ordersAfter(during({ kind: 'start', role: { kind: 'standby', source: null }, why: 'x' }))).toEqual(['rest']);
  expect(await ordersAfter({ view: view(), pg: pg.stopped() })).toEqual(['rest']);
});

/**
 * A leader whose lease was renewed at 10 s; its guard hears what comes in the first `hears` orders.
 */
async function leaderWith(hears: number) {
  let nowMs = 10_000;
  let orders = 0;
  const clock = { bootMs: () => nowMs } as Clock;
  const arm = async () => {
    orders += 1;
    if (orders > hears) throw new Error('the guard does not answer');
  };
  const lease = new Lease({ grantLease: async () => '7' } as unknown as Dcs, clock, 30);
  await lease.renew(30, 1000);
  const guard = { open: async () => {}, arm };
  const parts = { clock, guard, watchdog: { active: false }, log: { error() {} } } as unknown as Parts;
  const fence = new Fence(parts, lease);
  const o = () => observation({ nowMs, lease: lease.facts(), pg: pg.primary(), view: view({ leaderName: 'a', leaderLease: '7' }) });
  const follow = () => fence.follow(contextOf(o(), memory()));
  const later = async () => {
    nowMs += 12_000;
    await lease.renew(30, 1000).catch(() => {});
  };
  return { fence, lease, follow, later };
}

it('whose guard stops listening, a leader has no more time for anything than until it steps down by the deadline the guard has', async () => {
  const { fence, lease, follow, later } = await leaderWith(1);
  await follow();
  expect(lease.patienceMs(60_000)).toBeGreaterThan(20_000);
  await later();
  await follow();
  // Stepping down at 34 s goes with a deadline at 37 s.
  expect([fence.strikesAtMs, lease.patienceMs(60_000)]).toEqual([37_000, 12_000]);
});

it('whose guard never listened, it asks it again within a second, whatever else does not answer', async () => {
  const { fence, lease, follow } = await leaderWith(0);
  await follow();
  expect([fence.strikesAtMs, lease.patienceMs(60_000)]).toEqual([11_000, 1000]);
});

it('before the key moves to a lease that ends sooner, the guard is told so; a later end waits until the key is there', async () => {
  const { fence, lease, follow, later } = await leaderWith(2);
  await follow();
  await later();
  await fence.bringForward();
  expect(fence.strikesAtMs).toBe(37_000);
  await lease.renew(10, 1000);
  await fence.bringForward();
  expect(fence.strikesAtMs).toBe(22_000 + 9000);
});
