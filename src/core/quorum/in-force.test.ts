import { describe, expect, it } from 'vitest';
import { dynamic, member, view } from '../../../test/support/build.ts';
import type { ClusterView, SyncKey } from '../cluster.ts';
import type { DynamicSettings } from '../settings.ts';
import { fenceFor, holds } from './fence-mark.ts';
import { fenceInForce, quorumFence } from './in-force.ts';

const quorumMode = dynamic({ synchronousMode: 'quorum' });
const agent = (name: string, raw: Record<string, number> = { beats: 1 }) => member(name, { raw });
const sync = (over: Partial<SyncKey> = {}): SyncKey => ({ leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8', ...over });
const cluster = (over: Partial<ClusterView> = {}) =>
  view({ leaderName: 'b', members: [agent('a'), agent('b'), agent('c')], sync: sync(), ...over });

const leaseRow = (seen: ClusterView, settings: DynamicSettings = quorumMode) => {
  const fence = fenceInForce(seen, settings);
  return fence.kind === 'lease' ? fence.answer.id : fence.kind;
};

describe('the voters’ promises are the fence', () => {
  it('in quorum mode: one more than can be missing from a commit', () => {
    expect(fenceInForce(cluster(), quorumMode)).toEqual({
      kind: 'quorum',
      leader: 'b',
      term: '5',
      sync: '8',
      voters: ['a', 'c'],
      count: 1,
      needed: 2,
    });
    const five = ['a', 'c', 'd', 'e'];
    const large = cluster({ members: [...five, 'b'].map((name) => agent(name)), sync: sync({ standbys: five, quorum: 2 }) });
    expect(fenceInForce(large, quorumMode)).toMatchObject({ count: 2, needed: 3 });
  });

  it('in mode on: a commit is on every voter, so one promise ends it', () => {
    const on = dynamic({ synchronousMode: 'on' });
    expect(fenceInForce(cluster({ sync: sync({ quorum: 0 }) }), on)).toMatchObject({ kind: 'quorum', count: 2, needed: 1 });
  });

  it('whether or not a member that is no voter knows what a beat is', () => {
    const members = [agent('a'), agent('b'), agent('c'), agent('d', {})];
    expect(leaseRow(cluster({ members }))).toBe('quorum');
  });

  it('where /sync and the keys of the members write a name in another case', () => {
    expect(leaseRow(cluster({ sync: sync({ leader: 'B', standbys: ['A', 'c'] }) }))).toBe('quorum');
  });
});

describe('the lease is the fence', () => {
  const without = (name: string) => cluster({ members: ['a', 'b', 'c'].map((one) => agent(one, one === name ? {} : { beats: 1 })) });
  it.each([
    ['lease.asynchronous', cluster(), dynamic()],
    ['lease.by-setting', cluster(), dynamic({ synchronousMode: 'quorum', failoverFence: 'lease' })],
    ['lease.paused', cluster(), dynamic({ synchronousMode: 'quorum', pause: true })],
    ['lease.nobody-leads', cluster({ leader: null }), quorumMode],
    ['lease.nobody-leads', cluster({ sync: null }), quorumMode],
    ['lease.nobody-leads', cluster({ sync: sync({ leader: null }) }), quorumMode],
    ['lease.nobody-leads', cluster({ sync: sync({ leader: 'c', standbys: ['a', 'b'] }) }), quorumMode],
    ['lease.no-voter', cluster({ sync: sync({ standbys: [], quorum: 0 }) }), quorumMode],
    ['lease.no-voter', cluster({ sync: sync({ quorum: 2 }) }), quorumMode],
    ['lease.leader-without-beats', without('b'), quorumMode],
    ['lease.leader-without-beats', cluster({ members: [agent('a'), agent('c')] }), quorumMode],
    ['lease.voter-without-beats', without('c'), quorumMode],
    ['lease.voter-without-beats', cluster({ members: [agent('a'), agent('b')] }), quorumMode],
  ])('%s', (row, seen, settings) => {
    expect(leaseRow(seen, settings)).toBe(row);
    expect(quorumFence(seen, settings)).toBeNull();
  });

  it('where a member speaks another version of the beats', () => {
    expect(leaseRow(cluster({ members: [agent('a', { beats: 2 }), agent('b'), agent('c')] }))).toBe('lease.voter-without-beats');
  });

  it('and the sentence names the voters that hear no beats', () => {
    const fence = fenceInForce(cluster({ members: [agent('b')] }), quorumMode);
    expect(fence.kind === 'lease' && fence.answer.because).toMatch(
      'a, c hear no beats: they run Patroni, or an older Regent, or their member keys are gone',
    );
  });
});

it('a view is judged anew when the settings have changed', () => {
  const seen = cluster();
  const before = quorumFence(seen, quorumMode);
  expect(before).not.toBeNull();
  expect(quorumFence(seen, quorumMode)).toBe(before);
  expect(quorumFence(seen, dynamic())).toBeNull();
  expect(quorumFence(seen, quorumMode)).toEqual(before);
  expect(quorumFence(null, quorumMode)).toBeNull();
});

describe('a promise', () => {
  it('holds while the leader, the revision of its key and that of /sync are as it names them', () => {
    const mark = { leader: 'b', term: '5', sync: '8' };
    expect(fenceFor(cluster())).toEqual(mark);
    expect(holds(mark, cluster())).toBe(true);
    expect(holds(mark, cluster({ sync: sync({ modRevision: '11' }) }))).toBe(false);
    expect(holds(mark, cluster({ leader: { name: 'b', leaseId: 'x', modRevision: '12' } }))).toBe(false);
    expect(holds(mark, cluster({ leader: { name: 'c', leaseId: 'x', modRevision: '5' } }))).toBe(false);
    expect(holds(mark, cluster({ leader: null }))).toBe(false);
    expect(holds(mark, cluster({ sync: null }))).toBe(false);
  });

  it('cannot be given where nobody leads, or there is no synchronous set', () => {
    expect(fenceFor(cluster({ leader: null }))).toBeNull();
    expect(fenceFor(cluster({ sync: null }))).toBeNull();
  });
});
