/**
 * In a pause no agent stops a former primary, so a switchover to a candidate by name is as careful
 * as without a pause. Only a failover is the operator's word against all else.
 */
import { expect, it } from 'vitest';
import { memory, observation, peer, peers, pg, settings, view } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';

const paused = settings('a', { dynamic: { pause: true, synchronousMode: 'quorum' } });
const asked = (leader: string | null, others: Parameters<typeof peers>) =>
  observation({
    view: {
      ...view(),
      sync: { leader: 'c', quorum: 1, standbys: ['a', 'b'], modRevision: '3' },
      failover: { leader, candidate: 'a', scheduledAtMs: null, scheduledAt: null, modRevision: '9' },
    },
    settings: paused,
    pg: pg.standby(),
    peers: peers(...others),
  });
const effects = (leader: string | null, ...others: Parameters<typeof peers>) => decide(asked(leader, others), memory()).effects;

it('takes the key by a switchover only with enough votes', () => {
  expect(effects('c')).not.toContainEqual({ kind: 'acquire-leader' });
  expect(effects('c', peer('b', { receiving: true }))).not.toContainEqual({ kind: 'acquire-leader' });
  expect(effects('c', peer('b'))).toContainEqual({ kind: 'acquire-leader' });
});

it('takes it by a failover in any case', () => {
  expect(effects(null)).toContainEqual({ kind: 'acquire-leader' });
});
