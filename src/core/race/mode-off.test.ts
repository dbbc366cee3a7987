/** synchronous_mode was turned off while nobody leads: the last leader cannot have read it. */
import { expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { letGo } from '../let-go.ts';
import type { PeerFacts } from '../peer-facts.ts';
import { raceVerdict } from './race.ts';

const members = ['a', 'b', 'c'].map((name) => member(name));
const off = settings('c', { dynamic: { synchronousMode: 'off' } });
const sync = { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '7' };
const standby = pg.standby({ receiveLsn: lsn(1000), primaryConninfo: '' });
const seen = (voters: typeof sync | null, ...others: PeerFacts[]) =>
  contextOf(observation({ view: view({ members, sync: voters }), pg: standby, settings: off, peers: peers(...others) }), memory());

it('as long as /sync names its standbys, their votes count: they may vouch for a leader without etcd', () => {
  expect(raceVerdict(seen(sync))).toMatchObject({ id: 'race.too-few-votes', verdict: 'leave' });
  expect(raceVerdict(seen(sync, peer('b', { lsn: lsn(900) })))).toMatchObject({ id: 'race.enough-votes', verdict: 'take' });
});

it('a leader that has read it takes their names out, and then the one with the most WAL leads', () => {
  expect(raceVerdict(seen({ ...sync, quorum: 0, standbys: [] }))).toMatchObject({ id: 'race.healthiest', verdict: 'take' });
  expect(raceVerdict(seen(null))).toMatchObject({ id: 'race.healthiest', verdict: 'take' });
});

it('a voter lets go of the last leader, so that its vote counts', () => {
  const streams = pg.standby({ receiveLsn: lsn(1000), primaryConninfo: 'host=a' });
  const c = (voters: typeof sync | null) =>
    contextOf(observation({ view: view({ members, sync: voters }), pg: streams, settings: off, peers: peers() }), memory());
  expect(letGo(c(sync)).map(({ kind }) => kind)).toEqual(['let-go']);
  expect(letGo(c(null))).toEqual([]);
});
