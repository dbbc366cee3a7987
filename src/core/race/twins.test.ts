/**
 * Two timelines of one number (M13) in a race: an operator's failover to a node that had not seen
 * its predecessor's made the second.
 */
import { expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import type { StatusKey } from '../cluster.ts';
import { contextOf } from '../context.ts';
import { statusValue } from '../housekeeping.ts';
import { raceVerdict } from './race.ts';

const history = [{ timeline: 1, switchLsn: lsn(500), reason: 'x' }];
const sync = { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '9' };
const quorum = settings('a', { dynamic: { synchronousMode: 'quorum' } });
const members = ['a', 'b', 'c'].map((name) => member(name));
const told = (leader: string, timelineFingerprint: string) =>
  ({ leader, timeline: 2, timelineFingerprint }) as NonNullable<StatusKey['writesOn']>;

/**
 * b led last, on a timeline 2, and is gone. This node and c should have confirmed for it, and each
 * has a timeline 2; c is at 1000.
 */
function race(own: { at: number; timelineFingerprint?: string }, theirs: string | undefined, writesOn?: StatusKey['writesOn']) {
  const { at, timelineFingerprint } = own;
  const standby = {
    ...pg.standby({ receiveLsn: lsn(at), replayLsn: lsn(at), timeline: 2 }),
    localHistory: history,
    ...(timelineFingerprint && { timelineFingerprint }),
  };
  const status = { optime: lsn(900), slots: {}, retainSlots: [], ...(writesOn && { writesOn }) };
  const o = observation({
    view: view({ history, sync, members, status }),
    peers: peers(peer('c', { lsn: lsn(1000), timeline: 2, ...(theirs && { timelineFingerprint: theirs }) })),
    pg: standby,
    settings: quorum,
  });
  return raceVerdict(contextOf(o, memory()));
}

it('the node on the other one than the last leader does not lead, however far it is', () => {
  const verdict = race({ at: 2000, timelineFingerprint: 'bb' }, 'aa', told('b', 'aa'));
  expect(verdict).toMatchObject({ verdict: 'leave', because: expect.stringContaining('diverged') });
});

it('its vote counts for the others and no node yields to it, because it confirmed nothing for the last leader', () => {
  expect(race({ at: 900, timelineFingerprint: 'aa' }, 'bb', told('b', 'aa'))).toMatchObject({ verdict: 'take' });
  expect(race({ at: 900, timelineFingerprint: 'aa' }, 'aa', told('b', 'aa')).because).toMatch(/c is ahead/);
});

it('no node waits for one that is on a later timeline either', () => {
  const standby = { ...pg.standby({ receiveLsn: lsn(900), replayLsn: lsn(900), timeline: 2 }), localHistory: history };
  const beside = (timelineFingerprint: string) => {
    const status = { optime: lsn(900), slots: {}, retainSlots: [], writesOn: { leader: 'b', timeline: 3, timelineFingerprint: 'aa' } };
    const seen = view({ history, sync: { ...sync, quorum: 0 }, members, status });
    const others = peers(peer('c', { lsn: lsn(1000), timeline: 3, timelineFingerprint }));
    return raceVerdict(contextOf(observation({ view: seen, peers: others, pg: standby, settings: quorum }), memory()));
  };
  expect(beside('bb')).toMatchObject({ verdict: 'take' });
  expect(beside('aa').because).toMatch(/c is ahead/);
});

it('where it is not known which of the two the last leader was on, they have no votes for each other', () => {
  for (const writesOn of [undefined, told('x', 'aa')])
    expect(race({ at: 2000, timelineFingerprint: 'aa' }, 'bb', writesOn).because).toMatch(/1 of the 2 votes/);
});

it('positions are compared where the WAL of one of them no longer tells', () => {
  expect(race({ at: 2000 }, 'bb', told('b', 'aa'))).toMatchObject({ verdict: 'take' });
  expect(race({ at: 2000, timelineFingerprint: 'aa' }, undefined, told('b', 'aa'))).toMatchObject({ verdict: 'take' });
});

it('a leader publishes which one it writes on, even when its first WAL is gone', () => {
  const tells = (timelineFingerprint: string | undefined, before?: StatusKey['writesOn']) => {
    const status = { optime: lsn(900), slots: {}, retainSlots: [], ...(before && { writesOn: before }) };
    const primary = { ...pg.primary({ timeline: 2 }), ...(timelineFingerprint && { timelineFingerprint }) };
    const o = observation({ view: view({ leaderName: 'a', history, status }), pg: primary, settings: quorum });
    return statusValue(contextOf(o, memory()))['writes_on'];
  };
  const stored = { leader: 'a', timeline: 2, beginning: 'aa' };
  expect(tells('aa', told('b', 'bb'))).toEqual(stored);
  expect(tells(undefined, told('a', 'aa'))).toEqual(stored);
  expect(tells(undefined, told('b', 'bb'))).toBeUndefined();
});
