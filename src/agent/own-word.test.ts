import { expect, test } from 'vitest';
import { memory, pg } from '../../test/support/build.ts';
import { ownWord } from './own-word.ts';

test('a member that somebody opened for writes by hand says so, on whichever timeline', () => {
  const told = (over: Partial<ReturnType<typeof memory>>) => ownWord(pg.standby(), null, memory(over)).strayed;
  expect(told({})).toBe(false);
  expect(told({ strayed: true })).toBe(true);
  expect(told({ openedByHand: true })).toBe(true);
});
