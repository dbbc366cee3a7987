/** When a leader hands over, waits or drops the request, and what it says. */
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

it('is refused with what is in the way of each candidate', () => {
  const refused = asked(60_000, peers(peer('b', { state: 'starting' }), peer('c')));
  expect(refused.because).toContain('no member can take over, or too few synchronous standbys: b is starting');
});

const mine = view({ leaderName: 'a' });

it('hands over to the named candidate only while it is able', () => {
  const request = { leader: 'a', candidate: 'b', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
  const scene = { view: { ...mine, failover: request }, pg: pg.primary() };
  const good = decide(observation({ ...scene, peers: peers(peer('b'), peer('c')) }), memory());
  expect(good.effects).toEqual([{ kind: 'start-job', job: { kind: 'handover', action: 'switchover', candidate: 'b' } }]);
  const bad = decide(observation({ ...scene, peers: peers(peer('c')) }), memory());
  expect(bad.effects[0]).toEqual({ kind: 'clear-failover', expected: request });
  expect(bad.because).toContain('switchover is not possible: b does not answer');
});

it('waits for the time of a scheduled switchover', () => {
  const request = { leader: 'a', candidate: null, scheduledAtMs: 1_800_000_060_000, scheduledAt: 'then', modRevision: '9' };
  const decision = decide(observation({ view: { ...mine, failover: request }, pg: pg.primary(), peers: peers(peer('b')) }), memory());
  expect(decision.rule).toBe('switchover.scheduled');
  expect(decision.effects.some((effect) => effect.kind === 'start-job')).toBe(false);
  expect(decision.wakeAtMs).toBe(70_000);
});
