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
