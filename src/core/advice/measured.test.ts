import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MEASURED } from './measured.ts';

const document = readFileSync(join(import.meta.dirname, '../../../docs/benchmarks.md'), 'utf8');
const rows = document.split('\n').filter((line) => line.startsWith('| '));

test.each(Object.entries(MEASURED))('%s is what docs/benchmarks.md has', (_, { row, withRouter, withoutRouter }) => {
  const [, , router, plain] = rows.find((line) => line.startsWith(`| ${row}`))?.split('|') ?? [];
  expect([router, plain].map((cell) => Number.parseFloat(cell ?? ''))).toEqual([withRouter, withoutRouter]);
});
