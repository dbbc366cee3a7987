import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSyncNames, userSyncNames } from './sync-names.ts';

describe('the user’s list, on the node patroni2', () => {
  test.each([
    ['patroni1', 'patroni1'],
    [' patroni3 , patroni1 ', ' patroni3 , patroni1 '],
    ['patroni2', ''],
    ['"PATRONI2"', ''],
    ['', ''],
    ['patroni3, patroni2, patroni1', 'patroni3, patroni1'],
    ['FIRST 2 (patroni3, patroni2, patroni1)', 'FIRST 2 (patroni3, patroni1)'],
    ['any 2 (patroni1, patroni2)', 'ANY 1 (patroni1)'],
    ['2(patroni2,patroni1)', 'FIRST 1 (patroni1)'],
    ['FIRST 1 (patroni2)', ''],
    ['*', '*'],
    ['FIRST 2 (patroni2, *)', 'FIRST 2 (*)'],
    ['patroni-1', '"patroni-1"'],
    ['first', '"first"'],
    ['FIRST (patroni1)', ''],
    ['ANY 1 (patroni1', ''],
    ['ANY 1 (patroni-1, "patroni-3")', 'ANY 1 ("patroni-1", "patroni-3")'],
    ['"patroni-1", 2, _a$', '"patroni-1", 2, _a$'],
  ])('%s → %s', (given, kept) => {
    expect(userSyncNames(given, 'patroni2')).toBe(kept);
  });

  test('leaves the node itself out, keeps the others in order, and asks for no more of them than there are', () => {
    const name = fc.constantFrom('patroni1', 'Patroni2', 'patroni-3', 'a b', 'x"y', 'first');
    const lists = fc.uniqueArray(name, { minLength: 1 });
    fc.assert(
      fc.property(lists, fc.constantFrom('', 'FIRST', 'ANY'), fc.integer({ min: 1, max: 6 }), (names, how, count) => {
        const list = names.map((one) => `"${one.replaceAll('"', '""')}"`).join(', ');
        const read = parseSyncNames(userSyncNames(how === '' ? list : `${how} ${count} (${list})`, 'patroni2'));
        const others = names.filter((one) => one !== 'Patroni2');
        expect(read.names).toEqual(others);
        if (others.length === 0) return;
        const wanted = how === '' ? 1 : count;
        expect(read.count).toBe(others.length === names.length ? wanted : Math.min(wanted, others.length));
      }),
    );
  });
});
