/**
 * A node whose data left the cluster's history is no candidate, serves no readers, and leads only
 * when the operator names it for a failover.
 */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import { pastSwitchPoint } from '../divergence.ts';
import { raceVerdict } from './race.ts';
import { possibleSuccessors } from './successors.ts';

const history = [{ timeline: 1, switchLsn: lsn(1100), reason: 'x' }];
const source = { name: 'b', systemIdentifier: '7301234567890123456', timeline: 2, lsn: lsn(2000), inRecovery: false, history };
const request = { leader: null, candidate: 'a', scheduledAt: null, scheduledAtMs: null, modRevision: '4' };
const diverged = pg.standby({ receiveLsn: lsn(1200), timeline: 1 });

describe('the cluster’s history', () => {
  it.each([
    ['at the switch', 1, 1100, false],
    ['past the switch', 1, 1101, true],
    ['on the present timeline', 2, 9000, false],
  ] as const)('%s', (_name, timeline, at, expected) => {
    expect(pastSwitchPoint(timeline, lsn(at), history)).toBe(expected);
  });
  it('does not judge a position that is not known', () => {
    expect(pastSwitchPoint(null, lsn(9000), history)).toBe(false);
    expect(pastSwitchPoint(1, null, history)).toBe(false);
  });
});

describe('a standby that somebody promoted by hand beside the leader', () => {
  const later = pg.standby({ receiveLsn: lsn(1200), timeline: 3 });
  const scene = (over = {}) => observation({ view: view({ history, ...over }), peers: peers(), pg: later });

  it('does not race, although it is on the latest timeline', () => {
    expect(raceVerdict(contextOf(scene(), memory()))).toMatchObject({ verdict: 'take' });
    expect(raceVerdict(contextOf(scene(), memory({ openedByHand: true })))).toMatchObject({ id: 'race.diverged', verdict: 'leave' });
  });

  it('leads if an operator’s failover names it', () => {
    const forced = contextOf(scene({ failover: request }), memory({ openedByHand: true }));
    expect(raceVerdict(forced)).toMatchObject({ verdict: 'take' });
  });

  it('does not keep the others from leading: its own agent says what it is', () => {
    const own = pg.standby({ receiveLsn: lsn(1000), timeline: 2 });
    const beside = (over = {}) => {
      const promoted = peer('c', { timeline: 3, lsn: lsn(1200), ...over });
      const around = view({ history, members: [member('a'), member('c')] });
      return raceVerdict(contextOf(observation({ view: around, peers: peers(promoted), pg: own }), memory()));
    };
    expect(beside()).toMatchObject({ id: 'race.peer-ahead', verdict: 'leave' });
    expect(beside({ strayed: true })).toMatchObject({ verdict: 'take' });
  });
});

describe('a standby whose data diverged', () => {
  const verdict = (over = {}) =>
    raceVerdict(contextOf(observation({ view: view({ history, ...over }), peers: peers(), pg: diverged }), memory()));

  it('does not race, not even alone', () => {
    expect(verdict()).toMatchObject({ verdict: 'leave', because: expect.stringContaining('diverged') });
    const alike = pg.standby({ receiveLsn: lsn(1100), timeline: 1 });
    expect(raceVerdict(contextOf(observation({ view: view({ history }), peers: peers(), pg: alike }), memory()))).toMatchObject({
      verdict: 'take',
    });
  });

  it.each([{ replaying: true }, { primaryConninfo: 'host=b port=5432' }])(
    'does not race while its position may yet pass that point: %j',
    (moving) => {
      const sceneOn = (timeline: number) =>
        observation({ view: view({ history }), peers: peers(), pg: pg.standby({ receiveLsn: lsn(900), timeline, ...moving }) });
      const verdictOn = (timeline: number) => raceVerdict(contextOf(sceneOn(timeline), memory()));
      expect(verdictOn(1)).toMatchObject({ verdict: 'leave for now', because: expect.stringContaining('receives or replays') });
      expect(verdictOn(2)).toMatchObject({ verdict: 'take' });
      const { rule, effects } = decide(sceneOn(1), memory());
      expect(rule).toBe('race.not-at-its-end');
      expect(effects.some(({ kind }) => kind === 'apply-config')).toBe('primaryConninfo' in moving);
    },
  );

  it('does not keep the others from leading, although it is ahead of them', () => {
    const alike = pg.standby({ receiveLsn: lsn(1000), timeline: 1 });
    const beside = (at: number) =>
      raceVerdict(
        contextOf(observation({ view: view({ history }), peers: peers(peer('b', { lsn: lsn(at), timeline: 1 })), pg: alike }), memory()),
      );
    expect(beside(1200)).toMatchObject({ verdict: 'take' });
    expect(beside(1100)).toMatchObject({ verdict: 'leave', because: expect.stringContaining('b is ahead') });
  });

  it('leads when the operator names it for a failover, not for a switchover', () => {
    expect(verdict({ failover: request })).toMatchObject({ verdict: 'take' });
    expect(verdict({ failover: { ...request, leader: 'b' } })).toMatchObject({ verdict: 'leave' });
  });

  it('waits, when the operator names it for a switchover, until its position is final', () => {
    const named = (leader: string | null) =>
      raceVerdict(
        contextOf(
          observation({
            view: view({ history, failover: { ...request, leader } }),
            peers: peers(),
            pg: pg.standby({ receiveLsn: lsn(900), timeline: 1, replaying: true }),
          }),
          memory(),
        ),
      );
    expect(named('b')).toMatchObject({ verdict: 'leave for now' });
    expect(named(null)).toMatchObject({ verdict: 'take' });
  });

  it('is no member to which a leader hands over', () => {
    const seen = view({ leaderName: 'a', history });
    const c = contextOf(
      observation({ view: seen, pg: pg.primary({ timeline: 2 }), peers: peers(peer('b', { lsn: lsn(1200), timeline: 1 })) }),
      memory(),
    );
    expect(possibleSuccessors(c, seen, {})).toEqual([]);
  });

  it('is stopped while nothing may mend it, and is then not called crashed', () => {
    const fixed = settings('a', { postgresql: { usePgRewind: false } });
    const leaderB = view({ history, leaderName: 'b', members: [member('a'), member('b', { role: 'primary', timeline: 2 })] });
    const first = decide(observation({ view: leaderB, settings: fixed, pg: diverged, source }), memory({ state: 'running' }));
    expect(first).toMatchObject({ rule: expect.stringMatching(/^mend\./), effects: [{ kind: 'demote-now', mode: 'fast' }] });
    expect(first.because).toContain('regentctl reinit');
    const control = { state: 'shut down in recovery', minRecoveryLsn: lsn(1200), minRecoveryTimeline: 1 };
    const stopped = pg.stopped(control, { standbySignal: true });
    const second = decide(observation({ view: leaderB, settings: fixed, pg: stopped, source }), first.memory);
    expect(second).toMatchObject({ rule: expect.stringMatching(/^mend\./), effects: [], memory: { state: 'stopped' } });
  });
});
