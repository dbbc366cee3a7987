import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJson, stringifyCompact, stringifyDefault } from './big-json.ts';

/** Long texts are read without the help of the built-in parser. */
const long = (text: string): string => text + ' '.repeat(600);

test('integers beyond 2^53 survive the round trip', () => {
  expect(parseJson('{"xlog": 18446744073709551615, "small": 42}')).toEqual({ xlog: 18446744073709551615n, small: 42 });
  expect(stringifyCompact({ xlog: 18446744073709551615n })).toBe('{"xlog":18446744073709551615}');
});

test('prints as Python does', () => {
  const value = { name: 'Zoë\u007f😀', list: [1, 2.5, true, null], empty: {} };
  expect(stringifyDefault(value)).toBe('{"name": "Zo\\u00eb\\u007f\\ud83d\\ude00", "list": [1, 2.5, true, null], "empty": {}}');
  expect(stringifyCompact(value)).toBe('{"name":"Zo\\u00eb\\u007f\\ud83d\\ude00","list":[1,2.5,true,null],"empty":{}}');
});

test.each([
  ['', 'line 1, column 1: expected a value (the text ends here)'],
  ['{"a": 1,\n "b" 2}', "line 2, column 6: expected ':'"],
  ['{"a": 1,}', 'line 1, column 9: expected a key in double quotes'],
  ['[1 2]', "line 1, column 4: expected ',' or ']'"],
  ['{"a": nope}', 'line 1, column 7: expected a value'],
  ['{"a": 1} x', 'line 1, column 10: something follows the value'],
  ['"abc', 'line 1, column 1: a string that does not end'],
  ['"a\tb"', 'line 1, column 1: a string that does not end, or holds a raw control character'],
  ['["a\\x"]', 'line 1, column 2: a string with a bad escape'],
  ['1e999', 'line 1, column 1: a number out of range'],
  ['9'.repeat(100_000), 'line 1, column 1: a number out of range'],
  ['['.repeat(500_000), 'nested deeper than 256 levels'],
])('%s', (text, message) => {
  expect(() => parseJson(text)).toThrow(message);
});

test.each(['-0', '[-0, 0]', '9007199254740993', '1e400', '123456789012345.5', '1E2', '[0.1e-7]', '2026-01-02'])(
  '%s, short or long',
  (text) => {
    const outcome = (whole: string): unknown => {
      try {
        return parseJson(whole);
      } catch {
        return 'refused';
      }
    };
    expect(Object.is(outcome(text), outcome(long(text))) || JSON.stringify(outcome(text)) === JSON.stringify(outcome(long(text)))).toBe(
      true,
    );
  },
);

test('a megabyte of text is one string', () => {
  const text = 'x\\n'.repeat(500_000);
  expect(parseJson(`"${text}"`)).toHaveLength(1_000_000);
});

test('a key named __proto__ stays a plain key', () => {
  const value = parseJson('{"__proto__": {"admin": true}}') as Record<string, unknown>;
  expect(Object.keys(value)).toEqual(['__proto__']);
  expect(value['admin']).toBeUndefined();
});

test('agrees with the built-in parser on every JSON text, but for the precision of big integers', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      const expected: unknown = JSON.parse(text);
      const value = parseJson(long(text));
      expect(parseJson(text)).toEqual(value);
      // Through text, because -0 is 0 to Python, and so here.
      expect(JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? Number(item) : item))).toBe(JSON.stringify(expected));
      expect(JSON.parse(stringifyDefault(value))).toEqual(JSON.parse(JSON.stringify(expected)));
    }),
  );
});

test('rejects what the built-in parser rejects', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]":,0123456789-+.eE\\ u/tnf \ntruefalsnl'.split('')), maxLength: 20 }), (text) => {
      let builtIn = true;
      let ours = true;
      let problem = '';
      try {
        JSON.parse(text);
      } catch {
        builtIn = false;
      }
      try {
        parseJson(long(text));
      } catch (error) {
        ours = false;
        problem = String(error);
        expect(() => parseJson(text)).toThrow();
      }
      if (ours) expect(parseJson(text)).toEqual(parseJson(long(text)));
      if (!problem.includes('out of range')) expect(ours).toBe(builtIn);
    }),
    { numRuns: 2000 },
  );
});
