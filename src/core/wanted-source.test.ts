/** The source of a cascading standby. */
import { expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, view } from '../../test/support/build.ts';
import type { Member } from './cluster.ts';
import { contextOf, wantedSource } from './context.ts';

/** a should stream from c; b leads. */
function sourceOf(c: Partial<Member>, receivedBytes = 1000, b: Partial<Member> = {}): string | undefined {
  const members = [member('a'), member('b', { role: 'primary', ...b }), member('c', c)];
  const seen = view({ leaderName: 'b', members });
  const own = settings('a', { local: { tags: { replicatefrom: 'c' } } });
  const standby = pg.standby({ receiveLsn: lsn(receivedBytes) });
  return wantedSource(contextOf(observation({ view: seen, settings: own, pg: standby }), memory()))?.name;
}

it('is the member that replicatefrom names, while it is up and does not follow ours', () => {
  expect(sourceOf({ replicationState: 'streaming', lsn: lsn(900) })).toBe('c');
  expect(sourceOf({ state: 'stopped' })).toBe('b');
  expect(sourceOf({ tags: { replicatefrom: 'a' } })).toBe('b');
});

it('is the leader while that member gets no WAL and is not ahead of us, because no WAL would come from it', () => {
  const cut = { replicationState: null, replayLsn: lsn(900) };
  expect(sourceOf({ ...cut, lsn: lsn(900) })).toBe('b');
  expect(sourceOf({ replicationState: 'in archive recovery', lsn: lsn(900) })).toBe('b');
  expect(sourceOf({ ...cut, lsn: lsn(1000) })).toBe('b');
  expect(sourceOf({ ...cut, lsn: lsn(1100) })).toBe('c');
  expect(sourceOf({ ...cut, lsn: null })).toBe('c');
});

it('is that member when it is a Patroni that does not publish how it replicates, even if its position looks old', () => {
  expect(sourceOf({ replicationState: null, replayLsn: null, lsn: lsn(900) })).toBe('c');
});

it('is the leader while that member may be a former leader that was replaced and runs on', () => {
  const streams: Partial<Member> = { replicationState: 'streaming', lsn: lsn(900), timeline: 2 };
  expect(sourceOf(streams, 1000, { timeline: 2 })).toBe('c');
  expect(sourceOf({ ...streams, role: 'primary' }, 1000, { timeline: 2 })).toBe('b');
  // Its key may be from before its own promotion.
  expect(sourceOf(streams, 1000, { timeline: 3 })).toBe('b');
  expect(sourceOf(streams, 1000, { timeline: 2, role: 'replica' })).toBe('b');
  expect(sourceOf({ ...streams, timeline: null }, 1000, { timeline: 2 })).toBe('b');
});
