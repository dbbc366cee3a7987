/** A lease that etcd renews, while it grants none. */
import { expect, it } from 'vitest';
import { DcsError } from '../support/errors.ts';
import { AuthorityCell } from './authority-cell.ts';
import { Lease } from './lease.ts';

const CALL_MS = 1000;

/** `renews`: the seconds it gives each lease. `room`: whether it grants new ones. */
function leaseAt(renews: Readonly<Record<string, number>>) {
  const world = { nowMs: 10_000, room: true, leaseId: 'new', loses: false };
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
    releaseLeader: async () => {
      if (world.loses) throw new DcsError('DCS_UNREACHABLE', 'no answer');
      return true;
    },
  };
  const clock = { bootMs: () => world.nowMs };
  const authority = new AuthorityCell(clock, 30);
  return Object.assign(world, { lease: new Lease(dcs, clock, authority), facts: () => authority.now.lease });
}

it('becomes that of this agent, counted from when the renewal was sent, and is renewed from then on', async () => {
  const world = leaseAt({ before: 30 });
  expect(await world.lease.keep('before', CALL_MS)).toBe(true);
  expect(world.facts()).toEqual({ leaseId: 'before', confirmedSentAtMs: 10_000, ttlSeconds: 30 });
  world.room = false;
  await world.lease.renew(30, CALL_MS);
  expect(world.facts()).toEqual({ leaseId: 'before', confirmedSentAtMs: 10_005, ttlSeconds: 30 });
});

it('is not taken when it is gone', async () => {
  const world = leaseAt({});
  expect(await world.lease.keep('before', CALL_MS)).toBe(false);
  expect(world.facts().leaseId).toBeNull();
});

it('goes on with its own ttl where the ttl has changed and etcd grants no other', async () => {
  const world = leaseAt({ new: 30 });
  await world.lease.renew(30, CALL_MS);
  world.room = false;
  await world.lease.renew(20, CALL_MS);
  expect(world.facts()).toMatchObject({ leaseId: 'new', ttlSeconds: 30, confirmedSentAtMs: 10_010 });
  world.room = true;
  world.leaseId = 'newer';
  await world.lease.renew(20, CALL_MS);
  expect(world.facts()).toMatchObject({ leaseId: 'newer', ttlSeconds: 20 });
});

it('is forgotten when its release fails: a copy of the request may still come and delete the key', async () => {
  const world = leaseAt({});
  await world.lease.renew(30, CALL_MS);
  world.loses = true;
  await expect(world.lease.release('a', { timeoutMs: CALL_MS })).rejects.toThrow('no answer');
  expect(world.facts()).toEqual({ leaseId: null, confirmedSentAtMs: null, ttlSeconds: 30 });
});

it('counts by the answer to the last request alone', async () => {
  const world = leaseAt({ new: 30 });
  await world.lease.renew(30, CALL_MS);
  const slow = world.lease.renew(30, CALL_MS);
  const quick = world.lease.renew(30, CALL_MS);
  await Promise.all([slow, quick]);
  // The first of the two was sent at 10,005 ms, the second at 10,010 ms.
  expect(world.facts()).toMatchObject({ leaseId: 'new', confirmedSentAtMs: 10_010 });
});
