import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonValue } from '../../support/json.ts';
import { renderRows } from './output.ts';
import { renderTable, widthOf } from './table.ts';

test('a frame as wide as its widest cells, with the title over the top rule', () => {
  const columns = [{ name: 'TL', align: 'right' as const }, { name: 'Member' }];
  const rows = [
    ['1', 'a'],
    ['12', 'patroni2'],
  ];
  expect(`\n${renderTable(columns, rows, ' Cluster ')}`).toBe(`
+ Cluster ------+
| TL | Member   |
+----+----------+
|  1 | a        |
| 12 | patroni2 |
+----+----------+`);
});

test('a cell of several lines makes the row higher and puts a rule after every row', () => {
  const rows = [
    ['a', 'x: 1\ny: 2'],
    ['b', ''],
  ];
  expect(`\n${renderTable([{ name: 'N' }, { name: 'Tags' }], rows, null)}`).toBe(`
+---+------+
| N | Tags |
+---+------+
| a | x: 1 |
|   | y: 2 |
+---+------+
| b |      |
+---+------+`);
});

test('without rows there are a heading and its rules', () => {
  expect(renderTable([{ name: 'TL' }], [], null)).toBe('+----+\n| TL |\n+----+\n+----+');
});

test('a title longer than the table is cut, never widens it', () => {
  expect(renderTable([{ name: 'Member' }], [], ' Cluster: long (uninitialized) ').split('\n')[0]).toBe('+ Cluster+');
});

test('text from etcd cannot steer the terminal', () => {
  const text = renderTable([{ name: 'N' }], [['a\u001b[2Jb\u0007\r']], ' \u001b]0;x ');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is the point
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
});

const cell = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.constantFrom('a\nb', '', 'ü', '\t', '😀😀'));
const grid = fc.integer({ min: 1, max: 6 }).chain((width) =>
  fc.record({
    names: fc.array(cell, { minLength: width, maxLength: width }),
    rows: fc.array(fc.array(cell, { minLength: width, maxLength: width }), { maxLength: 6 }),
    title: fc.option(fc.string({ maxLength: 40 })),
  }),
);

test.each([
  ['pg1', 3],
  ['Zürich', 6],
  ['東京', 4],
  ['e\u0301', 1],
  ['한', 2],
])('%s takes %i columns', (text, columns) => {
  expect(widthOf(text)).toBe(columns);
});

test('every line of every table has the same width', () => {
  fc.assert(
    fc.property(grid, ({ names, rows, title }) => {
      const columns = names.map((name, index) => ({ name: name.replaceAll('\n', ''), ...(index % 2 ? { align: 'right' as const } : {}) }));
      const widths = renderTable(columns, rows, title === null ? null : title.replaceAll('\n', ''))
        .split('\n')
        .map(widthOf);
      expect(new Set(widths).size).toBe(1);
    }),
  );
});

test('every line of a one-line tsv has the same number of cells', () => {
  fc.assert(
    fc.property(grid, ({ names, rows }) => {
      const columns = names.map((name) => ({ name: name.replace(/[\t\n]/g, '') }));
      const lines = renderRows({ columns, rows, title: null }, 'tsv', { oneLine: true }).split('\n');
      expect(lines).toHaveLength(rows.length + 1);
      for (const line of lines) expect(line.split('\t')).toHaveLength(names.length);
    }),
  );
});

test('json keeps every value of every row', () => {
  const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null));
  fc.assert(
    fc.property(fc.array(fc.tuple(value, value)), (rows) => {
      const table = { columns: [{ name: 'a' }, { name: 'b' }], rows: rows as JsonValue[][], title: null };
      const back = JSON.parse(renderRows(table, 'json')) as { a: JsonValue; b: JsonValue }[];
      expect(back.map(({ a, b }) => [a, b])).toEqual(rows);
    }),
  );
});

test('truth and nothing are spelled as psycopg prints them', () => {
  const table = { columns: [{ name: 'a' }, { name: 'b' }, { name: 'c' }], rows: [[true, false, null]], title: null };
  expect(renderRows(table, 'tsv')).toBe('a\tb\tc\nTrue\tFalse\tNone');
  expect(renderRows(table, 'json')).toBe('[{"a": true, "b": false, "c": null}]');
});
