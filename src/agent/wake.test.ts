/**
 * What is asked of a leader that is gone is of no use, and the race for its key does not wait for
 * the answer.
 */
import { expect, test } from 'vitest';
import { instantClock } from '../../test/support/instant-clock.ts';
import { Wake } from './wake.ts';

test('a change of the leader key, or a restarted watch, calls off questions to the leader', () => {
  const wake = new Wake(instantClock({ nowMs: 0 }));
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
