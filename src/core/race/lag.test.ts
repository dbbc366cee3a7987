/** How far behind the last leader a node may be that takes the key. */
import { expect, it } from 'vitest';
import { lsn, memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { standbyClusters } from '../../../test/support/random-standby-clusters.ts';
import type { FailoverKey } from '../cluster.ts';
import { contextOf } from '../context.ts';
import { raceVerdict } from './race.ts';

const history = [{ timeline: 1, switchLsn: lsn(1000), reason: 'x' }];
const status = { optime: lsn(5000), slots: {}, retainSlots: [] };
const own = settings('a', { dynamic: { maximumLagOnFailoverBytes: 100 } });

/** Ten megabytes behind, where `standbys` are named by /sync. */
function verdictBySync(mode: 'on' | 'quorum', standbys: readonly string[], failover: FailoverKey | null = null) {
  const standby = pg.standby({ receiveLsn: lsn(5000), replayLsn: lsn(5000) });
  const sync = { leader: 'c', quorum: mode === 'on' ? 0 : 1, standbys, modRevision: '9' };
  const seen = observation({
    view: view({ status: { ...status, optime: lsn(10_000_000) }, sync, failover }),
    peers: peers(peer('b', { lsn: lsn(4000) })),
    pg: standby,
    settings: settings('a', { dynamic: { synchronousMode: mode, maximumLagOnFailoverBytes: 100 } }),
  });
  return raceVerdict(contextOf(seen, memory()));
}

it('does not count where /sync or votes prove that all that was acknowledged is here: the rest nobody has confirmed', () => {
  expect(verdictBySync('on', ['a', 'b'])).toMatchObject({ verdict: 'take' });
  expect(verdictBySync('quorum', ['a', 'b'])).toMatchObject({ verdict: 'take' });
  expect(verdictBySync('quorum', ['b', 'd', 'e'])).toMatchObject({ verdict: 'leave', id: 'race.too-few-votes' });
  expect(verdictBySync('on', ['b']).id).toBe('race.not-synchronous');
});

it('counts for the candidate of a switchover where no votes are counted: its leader may have ended before it looked', () => {
  const request = { leader: 'c', candidate: 'a', scheduledAt: null, scheduledAtMs: null, modRevision: '4' };
  expect(verdictBySync('on', ['a', 'b'], request).id).toBe('race.too-far-behind');
  expect(verdictBySync('quorum', ['a', 'b'], request)).toMatchObject({ verdict: 'take' });
});

function verdict(receivedBytes: number, timeline: number, failover: FailoverKey | null = null) {
  const standby = pg.standby({ receiveLsn: lsn(receivedBytes), timeline });
  const seen = observation({ view: view({ history, status, failover }), peers: peers(), pg: standby, settings: own });
  return raceVerdict(contextOf(seen, memory()));
}

it('is compared on the timeline that /history says the cluster is on', () => {
  expect(verdict(4900, 2)).toMatchObject({ verdict: 'take' });
  expect(verdict(4899, 2)).toMatchObject({ verdict: 'leave', because: expect.stringContaining('101 bytes behind the last leader') });
});

it('is not compared with a published position of an older timeline: a later leader had no time to write to etcd', () => {
  expect(verdict(1200, 3)).toMatchObject({ verdict: 'take' });
});

it('counts for the candidate of a switchover, whose leader may have ended before it looked; not for that of a failover', () => {
  const request = { candidate: 'a', scheduledAt: null, scheduledAtMs: null, modRevision: '4' };
  expect(verdict(4899, 2, { ...request, leader: 'b' })).toMatchObject({
    verdict: 'leave',
    because: expect.stringContaining('101 bytes behind'),
  });
  expect(verdict(4900, 2, { ...request, leader: 'b' })).toMatchObject({ verdict: 'take' });
  expect(verdict(0, 2, { ...request, leader: null })).toMatchObject({ verdict: 'take' });
});

it('an older timeline than in /history is a reason to wait where another may lead, not for the only node in /sync', () => {
  const behind = (standbys: readonly string[]) => {
    const sync = { leader: 'a', quorum: 0, standbys, modRevision: '9' };
    const mode = settings('a', { dynamic: { synchronousMode: 'on', checkTimeline: false } });
    const standby = pg.standby({ receiveLsn: lsn(900), replayLsn: lsn(900), timeline: 1 });
    return raceVerdict(contextOf(observation({ view: view({ history, sync }), peers: peers(), pg: standby, settings: mode }), memory()));
  };
  expect(behind(['c'])).toMatchObject({ verdict: 'leave', because: expect.stringContaining('the cluster is on 2') });
  expect(behind([])).toMatchObject({ verdict: 'take' });
});

it('is compared in a standby cluster by the timeline that its leader told: /history names none there', () => {
  const remote = settings('a', { dynamic: { maximumLagOnFailoverBytes: 100, standbyCluster: standbyClusters[0]! } });
  const told = { ...status, writesOn: { leader: 'b', timeline: 5, timelineFingerprint: 'five' } };
  const idAt = (receivedBytes: number, timeline: number, timelineFingerprint?: string) => {
    const standby = pg.standby({ receiveLsn: lsn(receivedBytes), replayLsn: lsn(receivedBytes), timeline });
    const seen = observation({
      view: view({ history, status: told }),
      peers: peers(),
      pg: { ...standby, ...(timelineFingerprint && { timelineFingerprint }) },
      settings: remote,
    });
    return raceVerdict(contextOf(seen, memory())).id;
  };
  for (const [timeline, beginning] of [[3], [5], [5, 'five']] as const) {
    expect(idAt(4899, timeline, beginning)).toBe('race.too-far-behind');
    expect(idAt(4900, timeline, beginning)).not.toBe('race.too-far-behind');
  }
  // Rewound from the server outside, which left that history.
  expect(idAt(3000, 5, 'another five')).not.toBe('race.too-far-behind');
  expect(idAt(3000, 6)).not.toBe('race.too-far-behind');
});
