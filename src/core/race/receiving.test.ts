/**
 * Quorum mode: who still receives WAL may be confirming commits to a primary that nobody leads any
 * more, and its position is no vote.
 */
import { describe, expect, it } from 'vitest';
import { lsn, memory, observation, peer, peers, pg, settings, type sql, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import { raceVerdict } from './race.ts';
import { unfit } from './successors.ts';

const sync = { leader: 'c', quorum: 1, standbys: ['a', 'b'], modRevision: '3' };
const quorum = settings('a', { dynamic: { synchronousMode: 'quorum' } });
const connected = { primaryConninfo: 'host=127.0.0.1 port=5432' };
const letGo = { kind: 'apply-config', role: { kind: 'standby', source: null }, only: 'role' };

const scene = (other: Parameters<typeof peer>[1], own: Parameters<typeof sql>[0] = {}) =>
  observation({ view: { ...view(), sync }, settings: quorum, peers: peers(peer('b', other)), pg: pg.standby(own) });

describe('a race under quorum', () => {
  it('does not count the vote of a standby that still receives', () => {
    const verdict = raceVerdict(contextOf(scene({ receiving: true }), memory()));
    expect(verdict).toMatchObject({ verdict: 'leave for now' });
    expect(verdict.because).toContain('b may still be sent WAL');
    expect(raceVerdict(contextOf(scene({}), memory()))).toMatchObject({ verdict: 'take' });
  });

  it('does not count the vote of one that would receive again once it could reach the former primary', () => {
    expect(raceVerdict(contextOf(scene({ attached: true }), memory()))).toMatchObject({ verdict: 'leave for now' });
  });

  it('does not count the vote of one that replays its own disk: it may have confirmed more than its position tells', () => {
    expect(raceVerdict(contextOf(scene({ replaying: true }), memory()))).toMatchObject({ verdict: 'leave for now' });
  });

  it('does not count the vote of one with the disk of another cluster, and does not hand over to it', () => {
    const initialize = '7301234567890123456';
    const raceWith = (systemIdentifier: string | null) => {
      const o = scene({ systemIdentifier });
      return raceVerdict(contextOf({ ...o, dcs: { known: true, view: { ...view(), sync, initialize } } }, memory()));
    };
    expect(raceWith('7999999999999999999')).toMatchObject({ verdict: 'leave', because: expect.stringContaining('1 of the 2 votes') });
    expect(raceWith(initialize)).toMatchObject({ verdict: 'take' });
    expect(raceWith(null)).toMatchObject({ verdict: 'take' });
    const leading = { ...view({ leaderName: 'a' }), initialize };
    const stranger = peer('b', { systemIdentifier: '7999999999999999999' });
    expect(unfit(stranger, leading, quorum.dynamic)?.because).toBe('has the data of another cluster');
  });

  it('counts votes in mode on as well, as long as /sync still asks for them', () => {
    const changed = settings('a', { dynamic: { synchronousMode: 'on' } });
    const o = { ...scene({}), settings: changed, peers: peers() };
    expect(raceVerdict(contextOf(o, memory()))).toMatchObject({ verdict: 'leave' });
    expect(raceVerdict(contextOf({ ...o, peers: peers(peer('b')) }, memory()))).toMatchObject({ verdict: 'take' });
  });

  it('counts it where one vote less is enough', () => {
    const o = scene({ receiving: true });
    const enough = { ...o, dcs: { known: true as const, view: { ...view(), sync: { ...sync, quorum: 0 } } } };
    expect(raceVerdict(contextOf(enough, memory()))).toMatchObject({
      verdict: 'take',
      because: expect.stringContaining('with 1 vote, 1 needed'),
    });
  });

  it('lets go of the former primary while it cannot win, and asks again at once', () => {
    const decision = decide(scene({ lsn: lsn(2000), receiving: true }, connected), memory());
    expect(decision.rule).toBe('race.peer-ahead');
    expect(decision.effects).toContainEqual(letGo);
    expect((decision.wakeAtMs ?? 0) - 10_000).toBeLessThan(100);
  });

  it('does not let go twice, and never without synchronous replication', () => {
    expect(decide(scene({ lsn: lsn(2000) }), memory()).effects).not.toContainEqual(letGo);
    const alone = observation({
      view: view(),
      settings: settings('a'),
      peers: peers(peer('b', { lsn: lsn(2000) })),
      pg: pg.standby(connected),
    });
    expect(decide(alone, memory()).effects).not.toContainEqual(letGo);
  });
});
