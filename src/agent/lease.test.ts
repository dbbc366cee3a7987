/** A lease that etcd renews, while it grants none. */
import { expect, it } from 'vitest';
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import { DcsError } from '../support/errors.ts';
import { Lease } from './lease.ts';

const CALL_MS = 1000;

/** `renews`: the seconds it gives each lease. `room`: whether it grants new ones. */
function leaseAt(renews: Readonly<Record<string, number>>) {
  const world = { nowMs: 10_000, room: true, leaseId: 'new' };
  const dcs = {
    grantLease: async () => {
      world.nowMs += 5;
      if (!world.room) throw new DcsError('DCS_REFUSED', 'etcd refused: mvcc: database space exceeded');
      return world.leaseId;
    },
    keepAlive: async (leaseId: string) => {
      world.nowMs += 5;
      return renews[leaseId] ?? 0;
    },
  } as unknown as Dcs;
  return Object.assign(world, { lease: new Lease(dcs, { bootMs: () => world.nowMs } as Clock, 30) });
}

it('becomes that of this agent, counted from when the renewal was sent, and is renewed from then on', async () => {
  const world = leaseAt({ before: 30 });
  expect(await world.lease.keep('before', CALL_MS)).toBe(true);
  expect(world.lease.facts()).toEqual({ leaseId: 'before', confirmedSentAtMs: 10_000, ttlSeconds: 30 });
  world.room = false;
  await world.lease.renew(30, CALL_MS);
  expect(world.lease.facts()).toEqual({ leaseId: 'before', confirmedSentAtMs: 10_005, ttlSeconds: 30 });
});

it('is not taken when it is gone', async () => {
  const world = leaseAt({});
  expect(await world.lease.keep('before', CALL_MS)).toBe(false);
  expect(world.lease.facts().leaseId).toBeNull();
});

it('goes on with its own ttl where the ttl has changed and etcd grants no other', async () => {
  const world = leaseAt({ new: 30 });
  await world.lease.renew(30, CALL_MS);
  world.room = false;
  await world.lease.renew(20, CALL_MS);
  expect(world.lease.facts()).toMatchObject({ leaseId: 'new', ttlSeconds: 30, confirmedSentAtMs: 10_010 });
  world.room = true;
  world.leaseId = 'newer';
  await world.lease.renew(20, CALL_MS);
  expect(world.lease.facts()).toMatchObject({ leaseId: 'newer', ttlSeconds: 20 });
});
