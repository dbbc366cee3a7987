import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkoutRoot } from '../root.ts';
import { PARTS_ALONE } from './lanes.ts';

test.each(PARTS_ALONE)('%s is there, and starts no cluster', (file) => {
  expect(readFileSync(join(checkoutRoot(), file), 'utf8')).not.toMatch(/support\/(cluster|patroni)\.ts/);
});
