/**
 * What is asked of a leader that is gone is of no use, and the race for its key does not wait for
 * the answer.
 */
import { expect, test } from 'vitest';
import { instantClock } from '../../test/support/instant-clock.ts';
import { manualClock } from '../../test/support/manual-clock.ts';
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

test.each([
  ['status', 'watchStatus'],
  ['members/b', 'watchMembers'],
] as const)('a change of %s wakes only an agent that looks out for it', async (key, flag) => {
  const woken = async (looksOut: boolean) => {
    const clock = manualClock();
    const wake = new Wake(clock);
    wake[flag] = looksOut;
    wake.onKey(key, 'a');
    let isAwake = false;
    void wake.until(1000).then(() => {
      isAwake = true;
    });
    await clock.advance(1);
    return isAwake;
  };
  expect([await woken(true), await woken(false)]).toEqual([true, false]);
});
