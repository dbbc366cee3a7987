import { describe, expect, test } from 'vitest';
import { complaintByRow, complaintText, heed, parseComplaints, type SettingRow } from './guc-complaints.ts';

const PREFIX = '2026-11-22 21:12:39.119 GMT [7883] ';
const said = (...lines: string[]) =>
  [...lines, 'FATAL:  configuration file "/x/postgresql.conf" contains errors'].map((line) => PREFIX + line).join('\n');

describe('what PostgreSQL says', () => {
  test.each([
    ['LOG:  unrecognized configuration parameter "foo" in file "/x/postgresql.conf" line 3', 'foo', null],
    ['LOG:  5 kB is outside the valid range for parameter "work_mem" (64 .. 2147483647)', 'work_mem', '64'],
    ['LOG:  5 kB is outside the valid range for parameter "work_mem" (64 kB .. 2147483647 kB)', 'work_mem', '64'],
    ['LOG:  90000 s is outside the valid range for parameter "checkpoint_timeout" (30 s .. 86400 s)', 'checkpoint_timeout', '86400'],
    ['LOG:  -3 is outside the valid range for parameter "random_page_cost" (0 .. 1.79769e+308)', 'random_page_cost', '0'],
    ['LOG:  parameter "autovacuum" requires a Boolean value', 'autovacuum', null],
    ['LOG:  parameter "server_version" cannot be changed', 'server_version', null],
    ['LOG:  invalid value for parameter "TimeZone": "Mars/Base"', 'timezone', null],
    ['ERROR:  invalid configuration parameter name "plpgsql.foo"', 'plpgsql.foo', null],
  ])('%s', (line, name, instead) => {
    expect(parseComplaints(said(line), { [name]: '90000' })).toEqual([
      { name, message: line.replace(/^\w+: {2}/, '').replace(' in file "/x/postgresql.conf" line 3', ''), instead },
    ]);
  });

  test('a number too large for an integer is tried at the largest one', () => {
    const lines = said('LOG:  invalid value for parameter "max_wal_size": "99999999999999"', 'HINT:  Value exceeds integer range.');
    expect(parseComplaints(lines, { max_wal_size: '99999999999999' })[0]?.instead).toBe('2147483647');
    expect(parseComplaints(lines, { max_wal_size: '-99999999999999' })[0]?.instead).toBe('-2147483647');
  });

  test('hints belong to the line before, details are no complaints', () => {
    const lines = said(
      'LOG:  invalid value for parameter "wal_level": "nope"',
      'HINT:  Available values: minimal, replica, logical.',
      'LOG:  invalid value for parameter "datestyle": "qq"',
      'DETAIL:  invalid value for parameter "work_mem": "x"',
    );
    const asked = { wal_level: 'nope', datestyle: 'qq', work_mem: '4MB' };
    expect(parseComplaints(lines, asked).map(({ name, instead }) => [name, instead])).toEqual([
      ['wal_level', null],
      ['datestyle', null],
    ]);
  });

  test('complaints about other settings are not ours', () => {
    expect(parseComplaints(said('LOG:  unrecognized configuration parameter "bar" in file "x" line 1'), { foo: '1' })).toEqual([]);
  });
});

describe('heeding', () => {
  test('replaces or drops, and leaves the rest', () => {
    const complaints = [
      { name: 'a', message: '', instead: '64' },
      { name: 'b', message: '', instead: null },
    ];
    expect(heed({ a: '1', b: '2', c: '3' }, complaints)).toEqual({ a: '64', c: '3' });
  });

  test('a bound that is refused itself is dropped, so that asking again comes to an end', () => {
    expect(heed({ a: '64' }, [{ name: 'a', message: '', instead: '64' }])).toEqual({});
  });
});

test('the words to the author of the change contain the units that would do', () => {
  const lines = said('LOG:  invalid value for parameter "work_mem": "8XB"', 'HINT:  Valid units for this parameter are "B", "kB", "MB".');
  expect(parseComplaints(lines, { work_mem: '8XB' }).map(complaintText)).toEqual([
    'invalid value for parameter "work_mem": "8XB" (Valid units for this parameter are "B", "kB", "MB".)',
  ]);
});

describe("an extension's setting, by its row in pg_settings", () => {
  const row = (vartype: string, more: Partial<SettingRow> = {}): SettingRow => ({
    name: 'ext.setting',
    vartype,
    unit: null,
    min_val: null,
    max_val: null,
    enumvals: null,
    ...more,
  });
  const number = (vartype: string, unit: string | null = null) => row(vartype, { unit, min_val: '100', max_val: '1000' });
  test.each([
    [row('bool'), 'on', null],
    [row('bool'), 'perhaps', 'requires a Boolean value'],
    [row('enum', { enumvals: ['top', 'all'] }), 'ALL', null],
    [row('enum', { enumvals: ['top', 'all'] }), 'some', 'takes one of: top, all'],
    [number('integer'), '500', null],
    [number('integer'), ' 0x1F4 ', null],
    [number('integer'), '5', '5 is outside the valid range (100 .. 1000)'],
    [number('integer'), '1e4', '1e4 is outside the valid range (100 .. 1000)'],
    [number('integer'), 'many', 'is not a whole number'],
    [number('integer'), '500MB', 'is not a whole number'],
    [number('integer', 'ms'), '5', '5 is outside the valid range (100ms .. 1000ms)'],
    [number('integer', 'ms'), '1min', null],
    [number('integer', 'ms'), '1 fortnight', 'is not a whole number'],
    [number('real'), '0.5', '0.5 is outside the valid range (100 .. 1000)'],
    [number('real'), 'x', 'is not a number'],
    [row('string'), 'anything', null],
  ])('%o takes %j: %j', (setting, value, expected) => {
    expect(complaintByRow(setting, value)).toBe(expected);
  });
});
