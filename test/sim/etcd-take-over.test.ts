/** The one step in etcd by which a leader is replaced, and what its predecessor can write then. */
import { expect, test } from 'vitest';
import type { SyncKey } from '../../src/core/cluster.ts';
import type { JudgedLead } from '../../src/ports/dcs.ts';
import { Gate, MachineClock, processClock, Simulation } from './clock.ts';
import { simDcs } from './dcs.ts';
import { Etcd } from './etcd.ts';
import { Network } from './network.ts';
import { Rng } from './rng.ts';

const TIME = { timeoutMs: 2000 };

/** Member b leads with the standbys a and c; the client is a's. */
async function cluster() {
  const sim = new Simulation();
  const gate = new Gate(sim, null);
  const clock = processClock(sim, new MachineClock(sim, { bootMs: 1000, wallMs: 5000, rate: 1 }), gate, new Rng(1));
  const etcd = new Etcd(sim);
  const net = new Network(new Rng(3));
  net.onChange = () => sim.disturbed();
  const dcs = simDcs({ sim, net, etcd, machine: 'a', gate, clock });
  const [ours, theirs] = [etcd.grant(60), etcd.grant(60)];
  etcd.put('leader', 'b', theirs);
  const rewriteSync = () => etcd.put('sync', '{"leader":"b","sync_standby":"a,c","quorum":1}', null);
  rewriteSync();
  const answer = async <T>(call: Promise<T>, ms = 3000): Promise<T | string> => {
    let told: T | string = 'nothing yet';
    call.then(
      (value) => {
        told = value;
      },
      (error: { readonly code: string }) => {
        told = error.code;
      },
    );
    await sim.run(ms);
    return told;
  };
  await answer(dcs.read(TIME));
  const { leader, sync } = etcd.view();
  const expected = sync as SyncKey;
  const term = leader?.modRevision ?? '';
  const judged: JudgedLead = { term, expected, sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'] } };
  return { sim, gate, etcd, net, dcs, ours, theirs, rewriteSync, answer, judged, term, expected };
}

test('the leader key and /sync change hands together, on the lease of the one that takes them', async () => {
  const { etcd, dcs, ours, judged, answer } = await cluster();
  expect(await answer(dcs.takeLead('a', ours, judged, TIME))).toBe(true);
  const { leader, sync } = etcd.view();
  expect(leader).toEqual({ name: 'a', leaseId: ours, modRevision: sync?.modRevision });
  expect(sync).toMatchObject({ leader: 'a', quorum: 1, standbys: ['b', 'c'] });
});

test.each([
  ['the holder has put the key anew', 'leader'],
  ['another has the key', 'other leader'],
  ['the key is gone', 'nobody'],
  ['the holder has written /sync anew, as it was', 'sync'],
  ['/sync is gone', 'no sync'],
] as const)('neither changes where %s since it was judged', async (_what, change) => {
  const { etcd, dcs, ours, theirs, rewriteSync, judged, answer } = await cluster();
  if (change === 'leader') etcd.put('leader', 'b', theirs);
  if (change === 'other leader') etcd.put('leader', 'c', theirs);
  if (change === 'nobody') etcd.delete('leader');
  if (change === 'sync') rewriteSync();
  if (change === 'no sync') etcd.delete('sync');
  const before = etcd.view();
  expect(await answer(dcs.takeLead('a', ours, judged, TIME))).toBe(false);
  expect(etcd.view()).toEqual(before);
});

test('where nobody has promised anything, the leader key alone changes hands, and only in that term', async () => {
  const { etcd, dcs, ours, theirs, term, answer } = await cluster();
  etcd.put('leader', 'b', theirs);
  const before = etcd.view();
  expect(await answer(dcs.takeRefused('a', ours, term, TIME))).toBe(false);
  expect(etcd.view()).toEqual(before);
  expect(await answer(dcs.takeRefused('a', ours, before.leader?.modRevision ?? '', TIME))).toBe(true);
  expect(etcd.view()).toMatchObject({ leader: { name: 'a', leaseId: ours }, sync: before.sync });
  etcd.delete('leader');
  expect(await answer(dcs.takeRefused('a', ours, term, TIME))).toBe(false);
});

test('of two candidates one wins', async () => {
  const { etcd, dcs, theirs, ours, judged, answer } = await cluster();
  const [first, second] = await Promise.all([
    answer(dcs.takeLead('a', ours, judged, TIME)),
    answer(dcs.takeLead('c', theirs, { ...judged, sync: { ...judged.sync, leader: 'c' } }, TIME)),
  ]);
  expect([first, second]).toEqual([true, false]);
  expect(etcd.view()).toMatchObject({ leader: { name: 'a' }, sync: { leader: 'a' } });
});

test('one whose answer was lost is known by its second copy', async () => {
  const { sim, etcd, net, dcs, ours, judged, answer } = await cluster();
  net.lostReplies.set('a', 1);
  sim.after(300, () => net.lostReplies.clear());
  expect(await answer(dcs.takeLead('a', ours, judged, TIME))).toBe(true);
  expect(etcd.view()).toMatchObject({ leader: { name: 'a', leaseId: ours }, sync: { leader: 'a' } });
});

test('one of which nobody knows what became may still take effect, while nothing has changed', async () => {
  const { etcd, net, dcs, ours, judged, answer } = await cluster();
  net.slowRequests = { chance: 1, maxMs: 5000 };
  expect(await answer(dcs.takeLead('a', ours, judged, { timeoutMs: 100 }), 200)).toBe('DCS_UNREACHABLE');
  expect(etcd.view().leader?.name).toBe('b');
  await answer(Promise.resolve(), 10_000);
  expect(etcd.view()).toMatchObject({ leader: { name: 'a' }, sync: { leader: 'a' } });
});

test('a copy that comes late does nothing once the leader, which lives, has written /sync anew', async () => {
  const { etcd, net, dcs, ours, rewriteSync, judged, answer } = await cluster();
  net.slowRequests = { chance: 1, maxMs: 5000 };
  expect(await answer(dcs.takeLead('a', ours, judged, { timeoutMs: 100 }), 200)).toBe('DCS_UNREACHABLE');
  rewriteSync();
  await answer(Promise.resolve(), 10_000);
  expect(etcd.view()).toMatchObject({ leader: { name: 'b' }, sync: { leader: 'b' } });
});

test('a leader that was replaced cannot change /sync any more, by no kind of write', async () => {
  const { etcd, dcs, theirs, rewriteSync, term, answer } = await cluster();
  etcd.put('leader', 'c', theirs);
  rewriteSync();
  const changed = { leader: 'b', quorum: 0, standbys: ['a'] };
  const sync = etcd.view().sync as SyncKey;
  expect(await answer(dcs.writeSync(changed, sync, { ...TIME, term }))).toBe(false);
  expect(await answer(dcs.deleteSync(sync, { ...TIME, term }))).toBe(false);
  expect(etcd.view().sync).toEqual(sync);
  etcd.delete('sync');
  expect(await answer(dcs.writeSync(changed, null, { ...TIME, term }))).toBe(false);
  expect(etcd.view().sync).toBeNull();
});

test('a leader that leads on can, and so can one that does not say by which term', async () => {
  const { etcd, dcs, term, expected, answer } = await cluster();
  const value = { leader: 'b', quorum: 0, standbys: ['a'] };
  expect(await answer(dcs.writeSync(value, expected, { ...TIME, term }))).toBe(true);
  expect(await answer(dcs.deleteSync(etcd.view().sync as SyncKey, { ...TIME, term }))).toBe(true);
  expect(await answer(dcs.writeSync(value, null, { ...TIME, term }))).toBe(true);
  expect(etcd.view().sync).toMatchObject(value);
  expect(await answer(dcs.deleteSync(etcd.view().sync as SyncKey, TIME))).toBe(true);
});

test('a leader’s write of /sync whose answer was lost is known by its second copy', async () => {
  const { sim, etcd, net, dcs, term, expected, answer } = await cluster();
  const lose = () => {
    net.lostReplies.set('a', 1);
    sim.after(300, () => net.lostReplies.clear());
  };
  lose();
  expect(await answer(dcs.writeSync({ leader: 'b', quorum: 0, standbys: ['a'] }, expected, { ...TIME, term }))).toBe(true);
  lose();
  expect(await answer(dcs.deleteSync(etcd.view().sync as SyncKey, { ...TIME, term }))).toBe(true);
  lose();
  expect(await answer(dcs.writeSync({ leader: 'b', quorum: 1, standbys: ['a', 'c'] }, null, { ...TIME, term }))).toBe(true);
  expect(etcd.view().sync).toMatchObject({ quorum: 1 });
});
