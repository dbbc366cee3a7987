/** A node of a standby cluster whose data left the history of the server outside, for good. */
import { expect, it, test } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import { standbyClusters } from '../../../test/support/random-standby-clusters.ts';
import { decide } from '../decide.ts';
import type { PostgresSettings } from '../settings.ts';

const followed = (postgresql: Partial<PostgresSettings> = {}, pause = false) =>
  settings('a', { dynamic: { standbyCluster: standbyClusters[0]!, pause }, postgresql });
/** It left timeline 1 before the position of this node, and after that of a member at 900. */
const source = {
  name: '10.9.9.9:5432',
  systemIdentifier: '7301234567890123456',
  timeline: 2,
  lsn: lsn(2000),
  history: [{ timeline: 1, switchLsn: lsn(950), reason: '' }],
  inRecovery: false,
  hasOurEnd: true,
};
const refused = { rewind: { count: 1, lastAtMs: 9_900, message: 'no', code: 'REWIND_WAL_GONE', source: source.name } };
const worn = { rewind: { ...refused.rewind, count: 3, code: 'REWIND_FAILED' } };
const good = peers(peer('b', { lsn: lsn(900) }));
const play = (scene: Scene, failures: object = refused) =>
  decide(observation({ settings: followed(), view: view({ leaderName: 'a' }), source, ...scene }), memory({ failures }));
const kinds = (scene: Scene, failures?: object) =>
  play(scene, failures).effects.map((effect) => (effect.kind === 'start-job' ? effect.job.kind : effect.kind));

it.each([
  ['refused', refused],
  ['worn', worn],
])('gives the key away where its rewind is %s, and keeps out of the race', (_, failures) => {
  const { rule, effects, memory: after } = play({ pg: pg.stopped(), peers: good }, failures);
  expect([rule, effects.map(({ kind }) => kind)]).toEqual(['stopped.standby-leader-yields', ['release-leader']]);
  expect(after.abstainUntilMs).toBeGreaterThan(10_000);
});

it('gives it away also while it runs', () => {
  expect(play({ pg: pg.standby(), peers: good }).rule).toBe('standby-leader.yields');
  expect(play({ pg: pg.standby(), peers: good, settings: followed({}, true) }).rule).not.toBe('standby-leader.yields');
});

it.each([
  ['nobody answers', peers()],
  ['the other has left that history as well', peers(peer('b'))],
  ['the other has a timeline that the server outside does not know', peers(peer('b', { timeline: 3 }))],
])('keeps it where %s', (_, others) => {
  for (const state of [pg.stopped(), pg.standby()]) expect(kinds({ pg: state, peers: others })).not.toContain('release-leader');
});

it('keeps it where /sync still stands and the other has too few votes: those who have them left the history too', () => {
  const sync = (standbys: readonly string[], quorum = 0) => ({ leader: 'a', quorum, standbys, modRevision: '9' });
  const yields = (standbys: readonly string[], others = good, quorum = 0) =>
    kinds({ pg: pg.standby(), peers: others, view: { ...view({ leaderName: 'a' }), sync: sync(standbys, quorum) } }).includes(
      'release-leader',
    );
  const aheadToo = peers(peer('b', { lsn: lsn(900) }), peer('c', { lsn: lsn(1200) }));
  expect([yields(['c'], aheadToo), yields(['b', 'c'], aheadToo, 1)]).toEqual([false, false]);
  const behind = peers(peer('b', { lsn: lsn(900) }), peer('c', { lsn: lsn(890) }));
  expect([yields(['b'], aheadToo), yields(['b', 'c'], behind, 1)]).toEqual([true, true]);
});

const left = (...switches: number[]) => switches.map((at, i) => ({ timeline: i + 1, switchLsn: lsn(at), reason: '' }));
const onTwo = (own: string | undefined) => ({
  ...pg.standby({ timeline: 2 }),
  localHistory: left(500),
  ...(own === undefined ? {} : { timelineFingerprint: own }),
});

/** What begins it: on this node, outside (on the number of this node’s timeline), on the member. */
it.each([
  ['the member’s is that outside', 'own', left(500), 'theirs', 'theirs', true],
  ['the member’s is this node’s', 'own', left(500), 'theirs', 'own', false],
  ['the member does not tell, and has most likely this node’s', 'own', left(500), 'theirs', undefined, false],
  ['it began at another place outside, and the member’s is another', 'own', left(600), undefined, 'theirs', true],
  ['it began at another place outside, and the member’s is this node’s', 'own', left(600), undefined, 'own', false],
  ['it began at another place outside, and this node does not tell', undefined, left(600), undefined, 'theirs', false],
] as const)('where its timeline has a twin outside, yields to a member that has that one: %s', (_, own, history, theirs, its, yields) => {
  const others = peers({ ...peer('b', { lsn: lsn(900), timeline: 2 }), ...(its === undefined ? {} : { timelineFingerprint: its }) });
  const outside = { ...source, history, hasOurEnd: false, ...(theirs === undefined ? {} : { timelineFingerprint: theirs }) };
  expect(kinds({ pg: onTwo(own), peers: others, source: outside }, {}).includes('release-leader')).toBe(yields);
});

it('compares a member on a later timeline by its position: the server outside was asked about this node’s number', () => {
  const outside = { ...source, timeline: 3, history: left(500, 950), timelineFingerprint: 'theirs' };
  const others = peers({ ...peer('b', { lsn: lsn(960), timeline: 3 }), timelineFingerprint: 'of 3' });
  expect(kinds({ pg: onTwo('own'), peers: others, source: outside })).toContain('release-leader');
});

it('keeps it where the member has a twin of what this node wrote on, and so leaves the race', () => {
  const outside = { ...source, history: left(500), timelineFingerprint: 'theirs', hasOurEnd: false };
  const others = peers({ ...peer('b', { lsn: lsn(900), timeline: 2 }), timelineFingerprint: 'theirs' });
  const wrote = (leader: string) => ({
    ...view({ leaderName: 'a' }),
    sync: { leader: 'a', quorum: 0, standbys: ['b'], modRevision: '9' },
    status: { optime: lsn(900), slots: {}, retainSlots: [], writesOn: { leader, timeline: 2, timelineFingerprint: 'own' } },
  });
  const yields = (leader: string) =>
    kinds({ pg: onTwo('own'), peers: others, source: outside, view: wrote(leader) }, {}).includes('release-leader');
  expect([yields('a'), yields('c')]).toEqual([false, true]);
});

it('tells the operator what helps where nobody else can lead: a reinit would be refused', () => {
  expect(play({ pg: pg.stopped(), peers: peers() }).because).toMatch(
    /to keep the data .*: regentctl promote-cluster demo\. Only if .*no other member can lead.*: stop the agents of all members, move .* away \(here \/data\), delete the key/,
  );
});

it('keeps it where the server outside is of another cluster: no member is any nearer to that', () => {
  for (const state of [pg.stopped(), pg.standby()])
    expect(kinds({ pg: state, peers: good, source: { ...source, systemIdentifier: '7' } })).not.toContain('release-leader');
});

it('keeps it while a rewind may still help', () => {
  expect(kinds({ pg: pg.stopped(), peers: good }, {})).toEqual(['rewind']);
});

const copied = settings('a', {
  dynamic: { standbyCluster: standbyClusters[0]! },
  postgresql: { removeDataDirectoryOnRewindFailure: true },
});
test.each([
  ['streams', { replicationState: 'streaming' }, ['reinitialize']],
  ['follows nobody', {}, []],
  ['is down', { replicationState: 'streaming', state: 'stopped' as const }, []],
])('a replica is replaced by a copy of the standby leader where that %s', (_, over, jobs) => {
  const members = [member('a'), member('b', { role: 'standby_leader', ...over })];
  expect(kinds({ view: { ...view({ leaderName: 'b' }), members }, pg: pg.stopped(), settings: copied })).toEqual(jobs);
});

test.each([
  ['runs', 'running' as const, ['clone']],
  ['is down', 'stopped' as const, []],
])('an empty member copies the standby leader where that %s', (_, state, jobs) => {
  const members = [member('a'), member('b', { role: 'standby_leader', state })];
  expect(kinds({ view: { ...view({ leaderName: 'b' }), members }, pg: pg.none }, {})).toEqual(jobs);
});
