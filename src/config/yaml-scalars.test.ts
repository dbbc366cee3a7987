import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseYaml } from './yaml.ts';
import { kindOfScalar } from './yaml-scalars.ts';

/**
 * What PyYAML 6.0.3 made of each text as `k: TEXT` (`yaml.safe_load`), asked once and kept as data:
 * [text, kind, value]. Numbers and dates are as Python prints them (repr of a float, str of the
 * rest). `refused`: its resolver names a kind that its constructor does not make, and breaks off.
 * `syntax`: no scalar to it.
 */
const TABLE = JSON.parse(readFileSync('test/fixtures/pyyaml-scalars.json', 'utf8')) as [string, string, string | boolean | null][];
const rows = TABLE.filter(([, kind]) => kind !== 'syntax' && kind !== 'refused');

describe('plain scalars are what PyYAML makes of them', () => {
  it('covers some 250', () => {
    expect(rows.length).toBeGreaterThan(240);
  });

  it.each(rows)('%s is %s', (text, kind, value) => {
    const { raw, problems } = parseYaml(`k: ${text}\n`, 'f');
    expect(problems).toEqual([]);
    const found = raw['k'];
    expect(kindOfScalar(text.trim())).toBe(kind);
    // Python makes a date of a timestamp. Here it stays as it was written: PostgreSQL reads both,
    // and JSON has no dates.
    if (kind === 'timestamp') expect(found).toBe(text);
    else if (kind === 'float') expect(found).toBe(/[a-z]/.test(String(value).replace(/e[-+]/, '')) ? value : Number(value));
    else if (kind === 'int') expect(String(found)).toBe(value);
    else expect(found).toBe(value);
    if (!/[,\]]/.test(text)) expect(parseYaml(`k: [${text} ]\n`, 'f').raw['k']).toEqual([found]);
    expect(parseYaml(`k: '${text}'\n`, 'f').raw['k']).toBe(text);
  });

  it.each(TABLE.filter(([, kind]) => kind === 'refused'))('%s, at which PyYAML breaks off, stays text', (text) => {
    expect(parseYaml(`k: ${text}\n`, 'f').raw['k']).toBe(text);
  });

  it.each([
    ['!!float 1', 1],
    ['!!int "0x1F"', 31],
    ['!!bool "yes"', true],
    ['!!null ""', null],
    ['!!str 5', '5'],
    ['!!timestamp 2001-01-01', '2001-01-01'],
  ])('%s follows its tag', (text, value) => {
    expect(parseYaml(`k: ${text}\n`, 'f')).toMatchObject({ raw: { k: value }, problems: [] });
  });
});
