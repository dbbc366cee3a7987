import fc from 'fast-check';
import { expect, test } from 'vitest';
import { slotNameClashes, slotNameOf } from './slot-names.ts';

test.each([
  ['pg1', 'pg1'],
  ['PG-A', 'pg_a'],
  ['node.example.com', 'node_example_com'],
  ['a b', 'au0032b'],
  ['ä', 'u0228'],
  ['日', 'u26085'],
  ['😀', 'u128512'],
  ['x/y:z', 'xu0047yu0058z'],
])('%s has slot %s', (member, slot) => {
  expect(slotNameOf(member)).toBe(slot);
});

test('every name but an empty one gives a slot PostgreSQL accepts', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'binary' }), (name) => {
      expect(slotNameOf(name)).toMatch(/^[a-z0-9_]{1,63}$/);
    }),
  );
});

test('a plain name is its own slot, and case makes no difference', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9_]{1,63}$/), (name) => {
      expect(slotNameOf(name)).toBe(name);
      expect(slotNameOf(name.toUpperCase())).toBe(name);
    }),
  );
});

test('members that would share a slot are found', () => {
  expect(slotNameClashes(['pg-1', 'pg-2', 'pg.1', 'PG_1'])).toEqual([['PG_1', 'pg-1', 'pg.1']]);
  expect(slotNameClashes(['pg-1', 'pg-2', 'pg-1'])).toEqual([]);
});
