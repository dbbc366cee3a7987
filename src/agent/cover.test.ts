/**
 * A primary whose guard rests, out of a pause, gets a deadline before anybody waits for a lease.
 */
import { expect, it } from 'vitest';
import { memory, noLease, observation, pg, type Scene, SYSTEM_ID, settings, view } from '../../test/support/build.ts';
import { contextOf } from '../core/context.ts';
import { leaseMargins } from '../core/settings.ts';
import { AuthorityCell } from './authority-cell.ts';
import { Fence } from './fence.ts';

const NOW_MS = 10_000;
const { guardMs, stepDownMs } = leaseMargins(30);
const GRACE = `until ${NOW_MS + 4500}`;
const BY_LEASE = `until ${NOW_MS + guardMs}`;
const before = { leaderName: 'a', leaderLease: 'before', initialize: SYSTEM_ID } as const;

/**
 * `renews`: seconds that etcd gives a lease, at one try after the other; `has`: the guard's
 * deadline.
 */
function fenceWith({ renews = [30], has = null }: { renews?: readonly number[]; has?: number | null } = {}) {
  const orders: string[] = [];
  let tries = 0;
  const clock = { bootMs: () => NOW_MS };
  const guard = {
    deadline: async () => has,
    arm: async (deadlineMs: number) => void orders.push(`until ${deadlineMs}`),
    disarm: async () => void orders.push('rest'),
    open: async () => {},
  };
  const dcs = {
    keepAlive: async (leaseId: string) => {
      orders.push(`renew ${leaseId}`);
      const seconds = renews[tries];
      tries += 1;
      if (seconds === undefined) throw new Error('etcd does not answer');
      return seconds;
    },
  };
  const watchdog = { keepAlive: async () => {}, keepCounting: async () => {}, rest: async () => {} };
  const log = { error: (message: string) => void orders.push(message) };
  const fence = new Fence({ clock, guard, dcs, watchdog, log }, new AuthorityCell(clock, 30));
  const cover = (scene: Scene) =>
    fence.cover(contextOf(observation({ lease: noLease, pg: pg.primary(), view: view(before), ...scene }), memory()));
  return { fence, orders, cover };
}

it('before etcd is asked for anything, then by the lease the key is on, for as long as etcd renews that', async () => {
  const { orders, cover } = fenceWith({ renews: [30, 30] });
  expect(await cover({})).toBe(stepDownMs);
  expect(await cover({})).toBe(stepDownMs);
  expect(orders).toEqual([GRACE, 'renew before', BY_LEASE, 'renew before', BY_LEASE]);
});

it.each([
  ['the lease of the key is gone', [0], before, ['renew before']],
  ['etcd does not say', [], before, ['renew before']],
  ['nobody has the key', [], { initialize: SYSTEM_ID }, []],
  ['another has the key', [], { ...before, leaderName: 'b' }, []],
] as const)('where %s, by the time there is to take it, which is not given twice', async (_why, renews, seen, asked) => {
  const { orders, cover } = fenceWith({ renews });
  for (let round = 0; round < 2; round++) expect(await cover({ view: view(seen) })).toBe(1000);
  expect(orders).toEqual([GRACE, ...asked, ...asked]);
});

it('a key that is lost takes back what its lease had promised; one that only could not be renewed does not', async () => {
  const { orders, cover } = fenceWith({ renews: [30] });
  for (const seen of [before, before, { initialize: SYSTEM_ID }]) await cover({ view: view(seen) });
  expect(orders).toEqual([GRACE, 'renew before', BY_LEASE, 'renew before', GRACE]);
});

it.each<[string, Scene]>([
  ['in a pause', { settings: settings('a', { dynamic: { pause: true } }) }],
  ['for a standby', { pg: pg.standby() }],
  ['nor for what another cluster left here', { view: view({ ...before, initialize: '1111111111111111111' }) }],
  ['while a job is at it', { job: { job: { kind: 'handover', action: 'shutdown', candidate: null }, startedAtMs: 1 } }],
])('not %s', async (_why, scene) => {
  const { orders, cover } = fenceWith();
  expect(await cover(scene)).toBe(Number.POSITIVE_INFINITY);
  expect(orders).toEqual([]);
});

it('a deadline that the agent before has left is not touched', async () => {
  const { orders, cover } = fenceWith({ has: 30_000 });
  expect(await cover({})).toBe(Number.POSITIVE_INFINITY);
  expect(orders).toEqual([]);
});

it('and what was lent ends with the pause that comes next', async () => {
  const { fence, orders, cover } = fenceWith();
  await cover({});
  await fence.follow(contextOf(observation({ pg: pg.primary(), settings: settings('a', { dynamic: { pause: true } }) }), memory()));
  expect(orders.at(-1)).toBe('rest');
});
