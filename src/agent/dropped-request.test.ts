import { expect, test } from 'vitest';
import type { Effect } from '../core/effects.ts';
import { type Decision, emptyMemory } from '../core/model.ts';
import { droppedRequest } from './dropped-request.ts';

const request = { leader: 'a', candidate: 'b', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
const clear: Effect = { kind: 'clear-failover', expected: request };
const decision = (rule: string, because: string, ...effects: Effect[]): Decision => ({
  rule,
  because,
  effects,
  steps: effects,
  chores: [],
  memory: emptyMemory,
  wakeAtMs: null,
  watchMembers: false,
  watchStatus: false,
});

test.each([
  ['switchover.candidate-unfit', 'switchover is not possible: b does not answer', 'b does not answer'],
  ['switchover.failed', 'failover failed: pg_ctl stop took too long', 'pg_ctl stop took too long'],
  ['switchover.candidate-unfit', 'PAUSE: switchover is not possible: b is tagged nofailover', 'b is tagged nofailover'],
  ['switchover.leads-already', 'a leads already', 'a leads already'],
  ['standby.promote', 'promoted self to leader by acquiring session lock', 'no other member took the leader key in time'],
])('%s: %s', (rule, because, told) => {
  expect(droppedRequest(decision(rule, because, clear), 7)).toEqual({ because: told, atMs: 7 });
});

test('a round that drops no request tells nothing', () => {
  expect(droppedRequest(decision('switchover.hand-over', 'switchover: demoting myself'), 7)).toBe(null);
});
