/**
 * What is asked of a leader that is gone is of no use, and the race for its key does not wait for
 * the answer.
 */
import { expect, test } from 'vitest';
import type { Clock } from '../ports/clock.ts';
import { Wake } from './wake.ts';

test('a change of the leader key, or a watch that began anew, calls off what is asked of the leader', () => {
  const wake = new Wake({} as Clock);
  const first = wake.untilLeaderChanges();
  wake.onKey('config', 'a');
  wake.onKey('members/b', 'a');
  expect(first.aborted).toBe(false);
  expect(wake.untilLeaderChanges()).toBe(first);
  wake.onKey('leader', 'a');
  expect(first.aborted).toBe(true);
  const second = wake.untilLeaderChanges();
  expect(second.aborted).toBe(false);
  wake.onKey(null, 'a');
  expect(second.aborted).toBe(true);
});
