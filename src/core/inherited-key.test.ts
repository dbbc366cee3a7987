/** An etcd that was restored from an older backup names the leader of that time. */
import { describe, expect, it } from 'vitest';
import { lsn, memory, observation, peer, peers, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { readPeerBody } from '../dialect/peer-body.ts';
import { decide } from './decide.ts';
import { emptyMemory, type Memory } from './model.ts';

const ours = view({ leaderName: 'a' });
const theirs = view({ leaderName: 'b' });
const down = (name: string, timeline: number, at: number, over = {}) =>
  peer(name, { state: 'stopped', lsn: null, replayLsn: null, timeline: null, onDisk: { timeline, lsn: lsn(at) }, ...over });

function decided(scene: Scene, before: Memory = emptyMemory) {
  const { rule, steps, because, memory } = decide(observation(scene), before);
  return { rule, steps: steps.map(({ kind }) => kind), because, memory };
}

describe('a leader key that this process did not take', () => {
  it('is attached, and no more, until every member was asked', () => {
    expect(decided({ view: view({ leaderName: 'a', leaderLease: 'old' }) }).rule).toBe('fence.attach');
    const waiting = decided({ view: ours, peers: peers(peer('b')) });
    expect(waiting).toMatchObject({ rule: 'standby.key-from-before', steps: [] });
    expect(waiting.because).toContain('c did not answer yet');
    expect(decided({ view: ours, peers: peers(peer('b'), peer('c')) }, waiting.memory).rule).toBe('standby.promote');
  });

  it('is used for leading once silent members have had the time of a lease', () => {
    const since = memory({ keyTaken: false, keyInheritedSinceMs: 0 });
    expect(decided({ view: ours, peers: peers(peer('b')), nowMs: 29_000 }, since).rule).toBe('standby.key-from-before');
    const lease = { leaseId: 'lease-a', confirmedSentAtMs: 29_500, ttlSeconds: 30 };
    expect(decided({ view: ours, peers: peers(peer('b')), nowMs: 30_000, lease }, since).rule).toBe('standby.promote');
  });

  it.each([
    ['a standby further on', peer('c', { lsn: lsn(1001) })],
    ['a standby of a later timeline', peer('c', { timeline: 2, lsn: lsn(900) })],
    ['a server that is down, of a later timeline', down('c', 3, 900)],
    ['a server that is down, further on', down('c', 1, 1001)],
    ['a primary', peer('c', { inRecovery: false })],
  ])('is released for %s, and left to it for a while', (_, other) => {
    const released = decided({ view: ours, peers: peers(peer('b'), other) });
    expect(released).toMatchObject({ rule: 'standby.key-from-before', steps: ['release-leader'] });
    const next = decided({ view: view(), peers: peers(peer('b'), other), nowMs: 12_000 }, released.memory);
    expect(next).toMatchObject({ rule: 'race.gave-up-lead', steps: [] });
  });

  it('is not released for one that may not lead, or for the data of another cluster', () => {
    for (const other of [down('c', 3, 2000, { tags: { nofailover: true } }), down('c', 3, 2000, { systemIdentifier: '1' })])
      expect(decided({ view: ours, peers: peers(peer('b'), other) }).rule).toBe('standby.promote');
  });

  it('does not start a primary’s data either where another member is on a later timeline', () => {
    const crashed = pg.stopped({ state: 'in production', checkpointLsn: lsn(500) });
    expect(decided({ view: ours, pg: crashed, peers: peers(peer('b'), down('c', 3, 900)) })).toMatchObject({
      rule: 'stopped.key-from-before',
      steps: ['release-leader'],
    });
    // Its standbys are further than its last checkpoint, as ever.
    const restarted = decided({ view: ours, pg: crashed, peers: peers(peer('b'), peer('c')) });
    expect(restarted).toMatchObject({ rule: 'stopped.restart-primary', steps: ['start-job'] });
  });

  it('is its own once taken, or used: the others’ positions were compared then', () => {
    const ahead = peers(peer('b'), peer('c', { lsn: lsn(1001) }));
    const won = decided({ view: view(), peers: peers(peer('b'), peer('c')) });
    expect(won.steps).toEqual(['acquire-leader']);
    const promoted = decided({ view: ours, peers: ahead }, won.memory);
    expect(promoted.rule).toBe('standby.promote');
    const leading = decided({ view: ours, pg: pg.primary() });
    const crashed = { view: ours, pg: pg.stopped({ state: 'in production' }), peers: peers(down('c', 3, 900)) };
    expect(decided(crashed, leading.memory).rule).toBe('stopped.restart-primary');
    // etcd was restored while the agent went on.
    const followed = decided({ view: theirs }, promoted.memory);
    expect(decided({ view: ours, peers: ahead }, followed.memory).rule).toBe('standby.key-from-before');
  });

  it('does not let the operator’s restart skip the comparison', () => {
    const requests = { shutdown: false, restart: { timeoutMs: null }, reinitialize: null };
    const crashed = pg.stopped({ state: 'in production', checkpointLsn: lsn(500) });
    const other = peers(peer('b'), down('c', 3, 900));
    expect(decided({ view: ours, pg: crashed, peers: other, requests }).rule).toBe('stopped.key-from-before');
  });
});

describe('a race in which one member is not up yet', () => {
  const race = (other: ReturnType<typeof peer>, over: Partial<Memory> = {}) =>
    decided({ view: view(), peers: peers(peer('b'), other) }, memory({ leaderlessSinceMs: 5000, ...over })).steps;

  it('waits for a member that has more, but not for ever', () => {
    expect(race(down('c', 3, 900))).toEqual([]);
    expect(race(down('c', 1, 1001))).toEqual([]);
    expect(race(down('c', 1, 1001), { leaderlessSinceMs: 0 })).toEqual(['acquire-leader']);
  });

  it.each([
    ['the last leader, of what its standbys were not sent', down('c', 1, 1001), { lastLeader: 'c' }],
    ['one that has no more', down('c', 1, 1000), {}],
    ['one that cannot start', down('c', 3, 2000, { state: 'start failed' }), {}],
    ['one that may not lead', down('c', 3, 2000, { tags: { nofailover: true } }), {}],
  ])('does not wait for %s', (_, other, over) => expect(race(other, over)).toEqual(['acquire-leader']));
});

describe('a leader with less than this node', () => {
  const source = { name: 'b', systemIdentifier: '7301234567890123456', timeline: 2, lsn: lsn(2000), history: [], inRecovery: false };
  const localHistory = [
    { timeline: 1, switchLsn: lsn(500), reason: '' },
    { timeline: 2, switchLsn: lsn(700), reason: '' },
  ];
  const stopped = pg.stopped({ timeline: 3 }, { localHistory });
  const running = { ...pg.standby({ timeline: 3 }), localHistory };

  it('is not followed by a rewind; the node says what to do', () => {
    const started = decided({ view: theirs, pg: stopped, source });
    expect(started).toMatchObject({ rule: 'stopped.leader-has-less', steps: ['start-job'] });
    const stays = decided({ view: theirs, pg: running, source });
    expect(stays).toMatchObject({ rule: 'standby.leader-has-less', steps: [] });
    expect(stays.because).toContain('on timeline 3, and the leader b on 2, which has less');
    expect(stays.because).toContain('regentctl failover demo --candidate a');
    expect(stays.because).toContain('regentctl reinit demo a');
  });

  it('does not come from a promotion by hand that the agent saw: that is undone', () => {
    const promoted = { ...pg.primary({ timeline: 3 }), localHistory };
    const seen = decided({ view: theirs, pg: promoted }, memory({ role: 'replica' }));
    expect(seen.rule).toBe('fence.other-leader');
    expect(decided({ view: theirs, pg: stopped, source }, seen.memory).rule).toBe('mend.rewind');
  });

  it('is found by a former leader after one was demoted by an old key', () => {
    const led = decided({ view: view({ leaderName: 'a' }), pg: pg.primary({ timeline: 3 }) });
    const demoted = decided({ view: theirs, pg: { ...pg.primary({ timeline: 3 }), localHistory } }, led.memory);
    expect(demoted.rule).toBe('fence.other-leader');
    expect(decided({ view: theirs, pg: stopped, source }, demoted.memory).rule).toBe('stopped.leader-has-less');
  });
});

describe('the answer of an agent whose server is down', () => {
  it('shows how far its disk goes, and is no vote', () => {
    const body = { state: 'stopped', role: 'replica', on_disk: { timeline: 3, location: 900 } };
    expect(readPeerBody('c', body)).toMatchObject({ lsn: null, timeline: null, onDisk: { timeline: 3, lsn: 900n }, inRecovery: true });
    expect(readPeerBody('c', { state: 'creating replica', on_disk: {} })).toMatchObject({ lsn: null });
    expect(readPeerBody('c', { state: 'starting', role: 'replica' })).toBeNull();
    const quorum = settings('a', { dynamic: { synchronousMode: 'quorum' } });
    const sync = { leader: 'x', quorum: 1, standbys: ['a', 'c'], modRevision: '1' };
    const verdict = decided({ view: view({ sync }), settings: quorum, peers: peers(down('c', 1, 900)) });
    expect(verdict).toMatchObject({ rule: 'race.too-few-votes', steps: [] });
  });
});
