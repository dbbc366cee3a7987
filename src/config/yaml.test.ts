import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatProblem } from './problems.ts';
import { parseYaml } from './yaml.ts';

const problems = (text: string) => parseYaml(text, 'f.yml').problems.map(formatProblem);

describe('parseYaml', () => {
  it('reads YAML 1.1 as Python does', () => {
    const text = 'a: on\nb: No\nc: 0640\nd: y\ne: 12:30\nf: 2026-11-22\ng: 0x10\nh: ~\ni: 1_000\non: 1\n0640: k\nj: "on"\nk: .inf\n';
    expect(parseYaml(text, 'f').raw).toEqual({
      a: true,
      b: false,
      c: 0o640,
      d: 'y',
      e: 750,
      f: '2026-11-22',
      g: 16,
      h: null,
      i: 1000,
      on: 1,
      '0640': 'k',
      j: 'on',
      k: 'inf',
    });
  });

  it('follows anchors, aliases and merge keys', () => {
    expect(parseYaml('base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nlist: [*b]\n', 'f').raw).toEqual({
      base: { x: 1, y: 2 },
      use: { x: 1, y: 3 },
      list: [{ x: 1, y: 2 }],
    });
  });

  it('remembers where values stood and how they were written', () => {
    const { places } = parseYaml('a:\n  b: 0123\n  c:\n    - x\n    -   y\n', 'f.yml');
    expect(places.of(['a', 'b'])).toEqual({ file: 'f.yml', line: 2, column: 6 });
    expect(places.source(['a', 'b'])).toBe('0123');
    expect(places.of(['a', 'c', '1'])).toEqual({ file: 'f.yml', line: 5, column: 9 });
    expect(places.of(['a', 'c', '7'])).toEqual({ file: 'f.yml', line: 3, column: 3 });
    expect(places.of(['nowhere'])).toEqual({ file: 'f.yml', line: 1, column: 1 });
  });

  it.each([
    ['a tab', 'a: 1\nb:\n\tc: 2\n', ['f.yml:3:1: a tab is used for indentation; use blanks']],
    [
      'a duplicate key',
      'a: 1\nb: 2\na: 3\n',
      ["f.yml:3:1: duplicate key 'a', already given in line 1; this one, the last, counts; keep one of the two"],
    ],
    [
      'a nested duplicate',
      'm:\n  k: 1\n  k: 2\n',
      ["f.yml:3:3: duplicate key 'k', already given in line 2; this one, the last, counts; keep one of the two"],
    ],
    [
      'a wrong indentation',
      'a:\n  b: 1\n c: 2\n',
      [
        'f.yml:3:1: the indentation fits none of the levels above; indent keys of one mapping by the same number of blanks; close every bracket and quote',
      ],
    ],
    [
      'two values on one line',
      'a: b: c\n',
      [
        "f.yml:1:4: a second value on one line, or a mapping inside a line; write each 'key: value' on its own line; if a text contains ': ', put the value in single quotes",
      ],
    ],
    [
      'no blank after the colon',
      'a:1\nb: 2\n',
      ["f.yml:1:1: a key runs over several lines; write a blank after the colon of every 'key: value'; close every quote"],
    ],
    ['a reserved character', 'a: @x\n', ['f.yml:1:4: a value may not begin with @, ` or %; put the value in single quotes']],
    [
      'an alias to nothing',
      'a: *hidden\n',
      ['f.yml:1:4: an alias (*name) to an anchor that does not exist; if a text begins with *, put the value in single quotes'],
    ],
    [
      'an unknown tag',
      'a: !hidden\n',
      ['f.yml:1:4: an unknown tag (!…); remove it; if a text begins with !, put the value in single quotes'],
    ],
    [
      'an unclosed quote',
      "a: 'x\n",
      ["f.yml:2:1: a quote, bracket, comma or blank is missing; write ': ' with a blank after the colon; close every quote and bracket"],
    ],
    ['two documents', 'a: 1\n---\nb: 2\n', ["f.yml:2:1: a second document ('---'); keep one document per file"]],
    ['a list', '- a\n', ["f.yml:1:1: the file holds a list, not a mapping; write settings as 'key: value', such as 'scope: demo'"]],
    [
      'a word',
      'hello\n',
      ["f.yml:1:1: the file holds a single value, not a mapping; write settings as 'key: value', such as 'scope: demo'"],
    ],
    [
      'a list as a key',
      '? [a]\n: b\n',
      ["f.yml:1:3: a key is not a single word; write 'key: value'; text that begins with { or [ needs quotes"],
    ],
    [
      'an unknown escape',
      'a: "\\q"\n',
      ['f.yml:1:5: an unknown escape (\\…) inside double quotes; use single quotes, or double the backslash'],
    ],
  ])('tells %s', (_, text, expected) => {
    expect(problems(text)).toEqual(expected);
  });

  it.each<[string, string, unknown]>([
    ['a quoted text that goes on in column 1', 'a: "x\ny"\nb: 1\n', { a: 'x y', b: 1 }],
    ['one that looks like a key there', "a:\n  b: 'x\nk: y'\n  c: 2\n", { a: { b: 'x k: y', c: 2 } }],
    ['one that ends there', "a:\n  b: 'x\n'\n  c: 2\n", { a: { b: 'x ', c: 2 } }],
    ['one in a list', "a:\n  - 'x\ny'\n  - z\n", { a: ['x y', 'z'] }],
    ['one with a blank line in it', 'a: "x\n\ny"\n', { a: 'x\ny' }],
    ['brackets that go on in column 1', 'a:\n  b: [1,\n# c\n2]\n  c: 1\n', { a: { b: [1, 2], c: 1 } }],
    ['brackets that are closed there', 'a:\n  b: {\n    x: 1\n}\n  c: 1\n', { a: { b: { x: 1 }, c: 1 } }],
    ['a comment directly after a quote or bracket', "a: 'x'#c\nb: [1]#d\n", { a: 'x', b: [1] }],
    ['other line breaks', 'a: 1\rb: 2\u0085c: 3\r\nd: 4\n', { a: 1, b: 2, c: 3, d: 4 }],
    ['the later of two merges', 'b: &b {x: 1}\nd: &d {x: 2}\nc:\n  <<: *b\n  <<: *d\n', { b: { x: 1 }, d: { x: 2 }, c: { x: 2 } }],
    ['the earlier of two in one list', 'b: &b {x: 1}\nd: &d {x: 2}\nc: {<<: [*b, *d]}\n', { b: { x: 1 }, d: { x: 2 }, c: { x: 1 } }],
  ])('takes what PyYAML takes: %s', (_, text, expected) => {
    expect(parseYaml(text, 'f')).toMatchObject({ raw: expected, problems: [] });
  });

  it('lets the last of two equal keys count, with a warning', () => {
    const { raw, places, problems: found } = parseYaml('m:\n  k: 1\n  k: 2\nm: {j: 3}\n', 'f.yml');
    expect(raw).toEqual({ m: { j: 3 } });
    expect(places.of(['m', 'j']).line).toBe(4);
    expect(found.map((problem) => problem.severity)).toEqual(['warning', 'warning']);
  });

  it('tells endless nesting once', () => {
    const found = problems('{a: '.repeat(3000));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^f\.yml:1:\d+: nested too deeply; write at most 60 levels of keys and lists$/);
  });

  it('tells nesting that the reader itself would survive', () => {
    expect(problems(`a: ${'['.repeat(80)}${']'.repeat(80)}`)).toEqual([
      'f.yml:1:1: nested too deeply; write at most 60 levels of keys and lists',
    ]);
  });

  it.each(['', '\n\n', '# a comment\n', '---\n'])('knows %j as empty', (text) => {
    expect(parseYaml(text, 'f')).toMatchObject({ empty: true, raw: {}, problems: [] });
  });

  it('never throws, and has either a mapping or a problem with a place', () => {
    const line = fc.constantFrom(
      'a: 1',
      '  b: [',
      '- x',
      '\tc: d',
      'e: {f: "',
      "'",
      '? g',
      '<<: *h',
      'i: &j',
      ': ',
      '---',
      '!k',
      '%l',
      'm: |',
      '    n',
      '@',
      '#',
    );
    const garbage = fc.oneof(
      fc.array(line, { maxLength: 8 }).map((lines) => lines.join('\n')),
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.json(),
    );
    fc.assert(
      fc.property(garbage, (text) => {
        const result = parseYaml(text, 'f');
        expect(typeof result.raw).toBe('object');
        for (const problem of result.problems) {
          expect(problem.line).toBeGreaterThanOrEqual(1);
          expect(problem.column).toBeGreaterThanOrEqual(1);
          expect(problem.mend).not.toBeNull();
        }
      }),
      { numRuns: 400 },
    );
  });

  it('never quotes the text it could not read', () => {
    for (const text of [
      'password: @hunter2',
      'password: !hunter2',
      'password: *hunter2',
      'password: hunter2: x',
      "password: 'hunter2",
      'password: "\\hunter2"',
      'password:\n\thunter2: 1',
      '&hunter2 &hunter2 x: 1',
    ]) {
      expect(problems(text).join()).not.toContain('hunter2');
    }
  });
});
