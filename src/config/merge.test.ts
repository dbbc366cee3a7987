import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { patchMerge } from './merge.ts';

describe('patchMerge', () => {
  it.each<[string, JsonObject, JsonObject, JsonObject]>([
    ['adds', { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    ['replaces', { a: 1 }, { a: 2 }, { a: 2 }],
    ['merges below', { a: { b: 1, c: 2 } }, { a: { c: 3 } }, { a: { b: 1, c: 3 } }],
    ['deletes', { a: 1, b: 2 }, { a: null }, { b: 2 }],
    ['deletes below', { a: { b: 1, c: 2 } }, { a: { b: null } }, { a: { c: 2 } }],
    ['deletes what is not there', { a: 1 }, { b: null }, { a: 1 }],
    ['puts a map over a scalar', { a: 1 }, { a: { b: 2 } }, { a: { b: 2 } }],
    ['puts a scalar over a map', { a: { b: 2 } }, { a: 1 }, { a: 1 }],
    ['replaces lists as a whole', { a: [1, 2] }, { a: [3] }, { a: [3] }],
    ['keeps what has the same text', { a: 100 }, { a: '100' }, { a: 100 }],
    ['tells true from "true"', { a: true }, { a: 'true' }, { a: 'true' }],
    ['drops nulls in new maps', {}, { a: { b: null, c: 1 } }, { a: { c: 1 } }],
  ])('%s', (_, target, patch, expected) => {
    expect(patchMerge(target, patch)).toEqual(expected);
  });

  it('returns the target itself when nothing changes', () => {
    const target = { a: { b: [1, { c: 2 }] }, d: 5 };
    expect(patchMerge(target, { a: { b: [1, { c: 2 }] }, d: '5', gone: null })).toBe(target);
  });

  it('treats __proto__ as a key like any other', () => {
    const patch = JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"x": 1}}') as JsonObject;
    const result = patchMerge({ a: 1 }, patch);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.keys(result).sort()).toEqual(['__proto__', 'a', 'constructor']);
    expect(patchMerge({}, { toString: null })).toEqual({});
  });

  const value: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue; map: JsonObject }>((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, fc.constantFrom<JsonValue[]>(null, true, 0, 1, '1', 'x', [1], []), tie('map')),
    map: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3 }),
  })).value;
  const map = fc.dictionary(fc.constantFrom('a', 'b', 'c'), value, { maxKeys: 3 }) as fc.Arbitrary<JsonObject>;

  it('patching twice is patching once', () => {
    fc.assert(
      fc.property(map, map, (target, patch) => {
        const once = patchMerge(target, patch);
        expect(patchMerge(once, patch)).toBe(once);
      }),
    );
  });

  it('leaves its arguments alone, and an empty patch changes nothing', () => {
    fc.assert(
      fc.property(map, map, (target, patch) => {
        const before = JSON.stringify([target, patch]);
        patchMerge(target, patch);
        expect(JSON.stringify([target, patch])).toBe(before);
        expect(patchMerge(target, {})).toBe(target);
      }),
    );
  });

  it('a patch without nulls is contained in the result', () => {
    fc.assert(
      fc.property(map, map, (target, patch) => {
        const clean = patchMerge({}, patch);
        const result = patchMerge(target, clean);
        expect(patchMerge(result, clean)).toBe(result);
        expect(Object.keys(result)).toEqual(expect.arrayContaining(Object.keys(clean)));
      }),
    );
  });
});
