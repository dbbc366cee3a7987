/** How far behind the last leader a node may be that takes the key. */
import { expect, it } from 'vitest';
import { lsn, memory, observation, peers, pg, settings, view } from '../../test/support/build.ts';
import { raceVerdict } from './candidates.ts';
import { contextOf } from './context.ts';

const history = [{ timeline: 1, switchLsn: lsn(1000), reason: 'x' }];
const status = { optime: lsn(5000), slots: {}, retainSlots: [] };
const own = settings('a', { dynamic: { maximumLagOnFailoverBytes: 100 } });

function verdict(receivedBytes: number, timeline: number) {
  const standby = pg.standby({ receiveLsn: lsn(receivedBytes), timeline });
  const seen = observation({ view: view({ history, status }), peers: peers(), pg: standby, settings: own });
  return raceVerdict(contextOf(seen, memory()));
}

it('is compared on the timeline that /history says the cluster is on', () => {
  expect(verdict(4900, 2)).toMatchObject({ win: true });
  expect(verdict(4899, 2)).toMatchObject({ win: false, because: expect.stringContaining('101 bytes behind the last leader') });
});

it('is not compared with a word of an older timeline: this node led, or followed, one that had no time to write to etcd', () => {
  expect(verdict(1200, 3)).toMatchObject({ win: true });
});
