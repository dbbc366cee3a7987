/**
 * A replica that somebody promoted, and whose agent sees it as a primary for the first time when
 * the leader has just given up the lead.
 */
import { expect, it } from 'vitest';
import { memory, observation, pg, settings, view } from '../../test/support/build.ts';
import type { Memory } from './model.ts';
import { remember } from './remember.ts';

const quorum = settings('a', { dynamic: { synchronousMode: 'quorum' } });
const seen = (before: Partial<Memory>, leaderName?: string) =>
  remember(
    observation({ pg: pg.primary(), settings: quorum, view: view(leaderName === undefined ? {} : { leaderName }) }),
    memory({ role: 'replica', state: 'running', formerLeader: 'b', ...before }),
  ).openedByHand;

it('what it wrote was never acknowledged by a leader', () => {
  expect(seen({})).toBe(true);
  expect(seen({}, 'b')).toBe(true);
});

it('not where this agent, or one before it, may have ordered the promotion', () => {
  expect(seen({ leadReason: 'failover' })).toBe(false);
  expect(seen({ formerLeader: 'a' })).toBe(false);
  expect(seen({ formerLeader: null })).toBe(false);
  expect(seen({ role: 'promoted' })).toBe(false);
  expect(seen({}, 'a')).toBe(false);
});

/** The agent asked for it, and saw the server as a standby only, until it was down. */
function afterItsOwnPromotion(outcome: { readonly ok: boolean; readonly code: string | null }) {
  const mine = view({ leaderName: 'a' });
  const before = memory({ role: 'replica', state: 'running', formerLeader: 'b', leadReason: 'failover' });
  const job = { kind: 'promote', syncNames: null } as const;
  const ended = [{ job, message: null, endedAtMs: 1, configVersion: 1, ...outcome }];
  const silent = { ...pg.primary(), sql: null, state: 'unresponsive' } as const;
  const between = remember(observation({ view: mine, settings: quorum, pg: silent, ended }), before);
  return remember(observation({ view: mine, settings: quorum, pg: pg.stopped({ state: 'in production' }) }), {
    ...between,
    state: 'running',
  });
}

it('a promotion of its own that it never saw, because PostgreSQL was silent until it died, is nobody’s work by hand', () => {
  expect(afterItsOwnPromotion({ ok: true, code: null })).toMatchObject({ strayed: false, role: 'promoted' });
  expect(afterItsOwnPromotion({ ok: false, code: 'PROMOTE_TIMEOUT' })).toMatchObject({ strayed: false });
  expect(afterItsOwnPromotion({ ok: false, code: 'PG_NOT_RUNNING' })).toMatchObject({ strayed: true });
});

it('pg_rewind waits for its checkpoint, so the leader is asked for it, whoever promoted it', () => {
  const pending = (over: Parameters<typeof pg.primary>[0], before = false) =>
    remember(
      observation({ pg: pg.primary({ timeline: 5, ...over }), view: view({ leaderName: 'a' }) }),
      memory({ checkpointPending: before }),
    ).checkpointPending;
  expect(pending({ checkpointTimeline: 4 })).toBe(true);
  expect(pending({ checkpointTimeline: 5 }, true)).toBe(false);
  // Not told: as this agent remembers it.
  expect(pending({}, true)).toBe(true);
  expect(pending({}, false)).toBe(false);
});
