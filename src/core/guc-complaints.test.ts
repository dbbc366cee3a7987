import { describe, expect, test } from 'vitest';
import { heed, parseComplaints } from './guc-complaints.ts';

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
    expect(parseComplaints(said(line), { [name]: '90000' })).toEqual([{ name, message: line.replace(/^\w+: {2}/, ''), instead }]);
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

  test('complaints about what was not asked are not ours', () => {
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
