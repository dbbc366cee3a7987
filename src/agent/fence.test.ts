/** The guard is not told to rest while PostgreSQL may be about to take writes. */
import { expect, it } from 'vitest';
import { memory, observation, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { authorityAfter, strikesAtMs } from '../core/authority.ts';
import { contextOf, keyRead } from '../core/context.ts';
import { patienceMs } from '../core/patience.ts';
import { AuthorityCell } from './authority-cell.ts';
import { Fence, type FencePorts } from './fence.ts';
import { Lease } from './lease.ts';

/** At ten seconds after boot; `leases`: what etcd grants. `hears`: so many orders are taken. */
async function stage({ leaseId = null as string | null, hears = Number.POSITIVE_INFINITY } = {}) {
  const orders: string[] = [];
  const pets: string[] = [];
  let nowMs = 10_000;
  const take = (order: string) => {
    if (orders.filter((one) => one.startsWith('until')).length >= hears) throw new Error('the guard does not answer');
    orders.push(order);
  };
  const clock = { bootMs: () => nowMs };
  const authority = new AuthorityCell(clock, 30);
  const dcs = { grantLease: async () => leaseId ?? '', keepAlive: async () => 0, releaseLeader: async () => true };
  const lease = new Lease(dcs, clock, authority);
  const ports: FencePorts = {
    clock,
    dcs,
    guard: {
      open: async () => void orders.push('open'),
      arm: async (deadlineMs) => take(`until ${deadlineMs}`),
      disarm: async () => take('rest'),
      deadline: async () => null,
    },
    watchdog: {
      keepAlive: async () => void pets.push('keep alive'),
      keepCounting: async () => void pets.push('keep counting'),
      rest: async () => {},
    },
    log: { error: (message) => void orders.push(message) },
  };
  const fence = new Fence(ports, authority);
  if (leaseId !== null) await lease.renew(30, 1000);
  const follow = (scene: Scene) => {
    const seen = { ...observation({ nowMs, ...scene }), authority: authority.now };
    if (seen.dcs.known) authority.note(keyRead(seen.dcs.view, 'a'));
    return fence.follow(contextOf({ ...seen, authority: authority.now }, memory()));
  };
  const renewedLater = async (afterMs: number, ttlSeconds = 30) => {
    nowMs += afterMs;
    await lease.renew(ttlSeconds, 1000);
  };
  const strikes = () => strikesAtMs(authority.now, nowMs);
  const patience = () => patienceMs(authority.now, nowMs, 60_000);
  return { authority, fence, follow, orders, patience, pets, renewedLater, strikes };
}

async function ordersAfter(scene: Scene): Promise<readonly string[]> {
  const { follow, orders } = await stage();
  await follow(scene);
  return orders;
}

const during = (job: NonNullable<Scene['job']>['job']): Scene => ({ view: view(), pg: pg.stopped(), job: { job, startedAtMs: 1 } });
const leading: Scene = { pg: pg.primary(), view: view({ leaderName: 'a', leaderLease: '7' }) };

it.each([
  ['a cluster is made, which is published by then or not', { kind: 'bootstrap' }],
  ['a primary starts', { kind: 'start', role: { kind: 'primary', syncNames: null }, why: 'x' }],
] as const)('not while %s: what was seen of PostgreSQL is older than the job', async (_why, job) => {
  expect(await ordersAfter(during(job))).toEqual([]);
});

it('not where a promotion may go on that an agent before had asked for', async () => {
  const standby = pg.standby();
  expect(await ordersAfter({ view: view({ leaderName: 'a', leaderLease: 'before' }), pg: standby })).toEqual([]);
  expect(await ordersAfter({ view: null, pg: standby })).toEqual([]);
  expect(await ordersAfter({ view: view({ leaderName: 'b' }), pg: standby })).toEqual(['rest']);
});

it('not while a process in postmaster.pid is not explained: a server that takes writes may be behind it', async () => {
  expect(await ordersAfter({ view: view({ leaderName: 'b' }), pg: pg.unexplained() })).toEqual([]);
  expect(await ordersAfter({ view: view(), pg: pg.unexplained() })).toEqual([]);
});

it.each<[string, Scene, readonly string[]]>([
  ['runs', {}, ['keep alive']],
  ['does not answer', { pg: { ...pg.primary(), state: 'unresponsive', sql: null } }, ['keep alive']],
  [
    'is down for a restart',
    { pg: pg.stopped(), job: { job: { kind: 'start', role: { kind: 'primary', syncNames: null }, why: 'x' }, startedAtMs: 1 } },
    ['keep counting'],
  ],
])('a leader’s watchdog does not reset a machine whose agent is well, while PostgreSQL %s', async (_what, scene, wanted) => {
  const { follow, pets } = await stage({ leaseId: '7' });
  await follow({ ...leading, ...scene });
  expect(pets).toEqual(wanted);
});

it('but while a standby starts, and where nothing runs', async () => {
  expect(await ordersAfter(during({ kind: 'start', role: { kind: 'standby', source: null }, why: 'x' }))).toEqual(['rest']);
  expect(await ordersAfter({ view: view(), pg: pg.stopped() })).toEqual(['rest']);
});

it('a key that is ours while a process is not explained ends with its lease: nobody renews it, and the guard keeps its deadline', async () => {
  const { authority, follow, orders } = await stage({ leaseId: '7' });
  await follow({ ...leading, pg: pg.unexplained() });
  expect(authority.now.lease.leaseId).toBeNull();
  expect(orders).toEqual([]);
});

it('the guard in place of one that is gone is told the same deadline at once, unless that one rested', async () => {
  const { fence, orders } = await stage({ leaseId: '7' });
  await fence.arm();
  await fence.replace();
  await fence.disarm();
  await fence.replace();
  expect(orders).toEqual(['until 37000', 'open', 'until 37000', 'rest', 'open']);
});

it('a leader whose guard stops listening has no more time for anything than until it steps down by the deadline the guard has', async () => {
  const { follow, patience, renewedLater, strikes } = await stage({ leaseId: '7', hears: 1 });
  await follow(leading);
  expect(patience()).toBeGreaterThan(20_000);
  await renewedLater(12_000).catch(() => {});
  await follow(leading);
  // Stepping down at 34 s goes with a deadline at 37 s.
  expect([strikes(), patience()]).toEqual([37_000, 12_000]);
});

it('a leader whose guard never listened asks it again within a second, whatever else does not answer', async () => {
  const { follow, patience, strikes } = await stage({ leaseId: '7', hears: 0 });
  await follow(leading);
  expect([strikes(), patience()]).toEqual([11_000, 1000]);
});

it('before the key moves to a lease that ends sooner, the guard is told so; a later end waits until the key is there', async () => {
  const { fence, follow, renewedLater, strikes } = await stage({ leaseId: '7' });
  await follow(leading);
  await renewedLater(12_000);
  await fence.keyMoves();
  expect(strikes()).toBe(37_000);
  await renewedLater(0, 10);
  await fence.keyMoves();
  expect(strikes()).toBe(22_000 + 9000);
});

it('the word of others moves the deadline on between rounds; not in a pause, nor once the key is gone', async () => {
  const moved = async (scene: Scene, keyOn: string | null = '7') => {
    const { authority, fence, follow, orders } = await stage({ leaseId: '7' });
    await follow(scene);
    authority.note({ kind: 'key-read', keyOn });
    authority.note({ kind: 'vouched', sentAtMs: 10_000, by: ['b'] });
    orders.length = 0;
    await fence.moveOn();
    return orders;
  };
  expect(await moved(leading)).toEqual(['until 37000']);
  expect(await moved({ ...leading, settings: settings('a', { dynamic: { pause: true } }) })).toEqual([]);
  expect(await moved(leading, null)).toEqual([]);
  expect(await moved({ ...leading, pg: pg.standby() })).toEqual([]);
});

it('an order that fails may have been taken: until the next one nobody knows what the guard has', async () => {
  const { authority, fence } = await stage({ leaseId: '7', hears: 0 });
  authority.note({ kind: 'guard-rested' });
  await expect(fence.arm()).rejects.toThrow('does not answer');
  expect(authority.now.guard.state).toBe('unknown');
  expect(authorityAfter(authority.now, { kind: 'guard-rested' }).guard.state).toBe('disarmed');
});
