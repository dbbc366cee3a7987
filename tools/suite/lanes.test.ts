import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkoutRoot } from '../root.ts';
import { SECOND_LANE } from './lanes.ts';

test('every file of the second lane is there, and once', () => {
  expect(SECOND_LANE.filter((file) => !existsSync(join(checkoutRoot(), file)))).toEqual([]);
  expect(new Set(SECOND_LANE).size).toBe(SECOND_LANE.length);
});
