import { expect, test } from 'vitest';
import { startFailure } from './start-failure.ts';

test.each([
  ['FATAL:  could not find redo location referenced by checkpoint record', 'PG_START_UNRECOVERABLE'],
  ['FATAL:  could not find redo location 0/3000028 referenced by checkpoint record at 0/3000060', 'PG_START_UNRECOVERABLE'],
  ['FATAL:  could not locate required checkpoint record at 0/3000060', 'PG_START_UNRECOVERABLE'],
  ['PANIC:  could not locate a valid checkpoint record', 'PG_START_UNRECOVERABLE'],
  ['FATAL:  could not write to file "pg_wal/xlogtemp.17": No space left on device', 'PG_START_NO_ROOM'],
  ['FATAL:  something new', 'PG_START_FAILED'],
])('%s', (words, code) => {
  expect(startFailure(words)).toBe(code);
});
