/**
 * A node on a timeline that an operator's failover passed over: its number is the highest, and what
 * was acknowledged since is not on it.
 */
import { expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { raceVerdict } from './race.ts';

/**
 * b was made leader by name on timeline 3, which it began at 1000. Before that, a left another
 * timeline 3 at 1100 for timeline 4. c follows b.
 */
const cluster = [
  { timeline: 1, switchLsn: lsn(500), reason: 'x' },
  { timeline: 2, switchLsn: lsn(1000), reason: 'x' },
];
const passedOver = [...cluster, { timeline: 3, switchLsn: lsn(1100), reason: 'x' }];
const own = settings('a', { dynamic: { synchronousMode: 'quorum' } });
const sync = { leader: 'b', quorum: 1, standbys: ['c', 'd'], modRevision: '9' };

const onFour = { ...pg.standby({ receiveLsn: lsn(1200), timeline: 4 }), localHistory: passedOver };
const race = (standby: typeof onFour, others: ReturnType<typeof peers>, voters = sync) =>
  raceVerdict(
    contextOf(
      observation({
        view: view({ history: cluster, sync: voters, members: ['a', 'b', 'c', 'd'].map((name) => member(name)) }),
        peers: others,
        pg: standby,
        settings: own,
      }),
      memory(),
    ),
  );

it('gets no vote of one that has WAL past the point where it left their timeline', () => {
  const votes = (at: number) => peers(peer('c', { lsn: lsn(at), timeline: 3 }), peer('d', { lsn: lsn(at), timeline: 3 }));
  expect(race(onFour, votes(1101))).toMatchObject({ verdict: 'leave', because: expect.stringContaining('0 of the 2 votes') });
  expect(race(onFour, votes(1100))).toMatchObject({ verdict: 'take' });
});

it('gets no vote while its own history cannot be read', () => {
  const votes = peers(peer('c', { lsn: lsn(900), timeline: 3 }), peer('d', { lsn: lsn(900), timeline: 3 }));
  expect(race({ ...onFour, localHistory: [] }, votes)).toMatchObject({ verdict: 'leave' });
});

it('does not keep members with votes from leading, unless it has one itself', () => {
  const standby = { ...pg.standby({ receiveLsn: lsn(1300), timeline: 3 }), localHistory: cluster };
  const others = peers(peer('c', { lsn: lsn(1300), timeline: 3 }), peer('d', { lsn: lsn(1200), timeline: 4 }));
  expect(race(standby, others, { ...sync, standbys: ['a', 'c'] })).toMatchObject({ verdict: 'take' });
  expect(race(standby, others, { ...sync, standbys: ['a', 'c', 'd'] })).toMatchObject({
    verdict: 'leave',
    because: expect.stringContaining('d is ahead'),
  });
});

it('gets no vote of one that is further on the way to its own timeline, because it has not been sent that part yet', () => {
  const onTheWay = (at: number) => ({ ...pg.standby({ receiveLsn: lsn(at), timeline: 4 }), localHistory: passedOver });
  const votes = peers(peer('c', { lsn: lsn(1050), timeline: 3 }), peer('d', { lsn: lsn(1050), timeline: 3 }));
  const known = (at: number) =>
    raceVerdict(
      contextOf(
        observation({
          view: view({ history: passedOver, sync, members: ['a', 'b', 'c', 'd'].map((name) => member(name)) }),
          peers: votes,
          pg: onTheWay(at),
          settings: own,
        }),
        memory(),
      ),
    );
  expect(known(1049)).toMatchObject({ verdict: 'leave', because: expect.stringContaining('0 of the 2 votes') });
  expect(known(1050)).toMatchObject({ verdict: 'take' });
});
