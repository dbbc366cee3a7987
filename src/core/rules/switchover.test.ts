/** A switchover that cannot begin: why not, and when it waits for a moment instead. */
import { expect, it } from 'vitest';
import { memory, observation, peer, peers, pg, settings, sql, view, walsender } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';

const failover = { leader: 'a', candidate: null, scheduledAt: null, scheduledAtMs: null, modRevision: '4' };
/** b and c confirm since a moment ago, and /sync counts on neither yet. */
const asked = (setAgoMs: number, found = peers(peer('b'), peer('c'))) => {
  const names = 'ANY 1 (b,c)';
  const o = observation({
    view: { ...view({ leaderName: 'a', failover }), sync: { leader: 'a', quorum: 2, standbys: ['b', 'c'], modRevision: '7' } },
    pg: {
      ...pg.primary(),
      sql: sql({ ...pg.primary().sql, synchronousStandbyNames: names, replication: [walsender('b'), walsender('c')] }),
    },
    settings: settings('a', { dynamic: { synchronousMode: 'quorum' } }),
    peers: found,
  });
  const set = { value: names, atMs: o.nowMs - setAgoMs, atLsn: null };
  return decide(o, memory({ role: 'primary', state: 'running', syncNamesSet: set, replies: {} }));
};

it('waits while the synchronous set is being changed, for a moment only', () => {
  const soon = asked(50);
  expect(soon).toMatchObject({ rule: 'switchover.settling', steps: [], because: expect.stringContaining('waits for a moment') });
  expect(soon.wakeAtMs).not.toBeNull();
  expect(asked(60_000).steps).toMatchObject([{ kind: 'clear-failover' }]);
});

it('is refused with what is in the way of each', () => {
  const refused = asked(60_000, peers(peer('b', { state: 'starting' }), peer('c')));
  expect(refused.because).toContain('no member can take over, or too few synchronous standbys: b is starting');
});
