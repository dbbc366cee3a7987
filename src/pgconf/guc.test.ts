import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { someSettings } from '../../test/fixtures/agent.ts';
import {
  controlledGucs,
  formatGuc,
  isWritableName,
  normaliseGucs,
  parseBoolean,
  parseConf,
  parseConfLine,
  quoteValue,
  withoutGucs,
} from './guc.ts';
import { CONTROLLED_GUCS, RECOVERY_GUCS } from './guc-table.ts';

const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,12}(\.[a-z_][a-z0-9_]{0,8})?$/).filter(isWritableName);
const value = fc.string({ unit: 'binary' }).map((text) => text.replace(/\0/g, ''));

describe('the file format', () => {
  test('a quoted value is one line, and is read back', () => {
    fc.assert(
      fc.property(name, value, (key, text) => {
        expect(quoteValue(text)).not.toMatch(/[\n\r]/);
        expect(parseConfLine(formatGuc(key, text))).toEqual({ name: key, value: text });
      }),
    );
  });

  test('nothing in a value can end its quotes', () => {
    fc.assert(fc.property(value, (text) => void expect(quoteValue(text)).toMatch(/^'(?:''|\\\\|\\[nr]|[^'\\])*'$/s)));
  });

  test.each([
    ['work_mem = 4MB # comment', { name: 'work_mem', value: '4MB' }],
    ["Listen_Addresses='*'", { name: 'listen_addresses', value: '*' }],
    ["  a.b   'x''y\\'z\\101\\t'", { name: 'a.b', value: "x'y'zA\t" }],
    ['port 5432', { name: 'port', value: '5432' }],
    ['# port = 5432', null],
    ['', null],
    ['port', null],
    ["port = 'open", null],
  ])('%s', (line, expected) => {
    expect(parseConfLine(line)).toEqual(expected);
  });

  test('the last line of a file wins', () => {
    expect(parseConf("a = '1'\nA = 2\n#a = 3\n")).toEqual({ a: '2' });
  });

  test('lines are taken out of postgresql.auto.conf and the rest stays as it is', () => {
    const text = "# comment\nwork_mem = '4MB'\nPrimary_Conninfo = 'host=old'\nrestore_command=''\n";
    expect(withoutGucs(text, RECOVERY_GUCS)).toEqual({
      text: "# comment\nwork_mem = '4MB'\n",
      removed: ['primary_conninfo', 'restore_command'],
    });
  });

  test.each(['include', 'Include_Dir', 'include_if_exists', 'data_directory', 'config_file', '1a', 'a-b', 'a.', 'a b', "a'", '', 'a\nb'])(
    'the name %j is never written',
    (text) => expect(isWritableName(text)).toBe(false),
  );

  test('names compare without case', () => {
    expect(normaliseGucs({ Work_Mem: '1MB', WORK_MEM: '2MB' })).toEqual({ work_mem: '2MB' });
  });
});

describe('booleans', () => {
  test('as PostgreSQL reads them', () => {
    for (const text of ['on', 'ON', 'true', 'tr', 't', 'yes', 'y', '1', ' on ']) expect(parseBoolean(text)).toBe(true);
    for (const text of ['off', 'of', 'false', 'f', 'no', 'n', '0']) expect(parseBoolean(text)).toBe(false);
    for (const text of ['', 'o', 'onn', '2', 'maybe']) expect(parseBoolean(text)).toBeNull();
  });
});

describe('controlled settings', () => {
  const given = (controlledParameters: Record<string, string>) => controlledGucs({ ...someSettings(), controlledParameters });

  test('every one has a value, in the order of the command line', () => {
    expect(Object.entries(given({}))).toEqual([
      ['listen_addresses', '0.0.0.0'],
      ['port', '5432'],
      ['cluster_name', 'demo'],
      ['wal_level', 'replica'],
      ['hot_standby', 'on'],
      ['max_connections', '100'],
      ['max_wal_senders', '10'],
      ['max_prepared_transactions', '0'],
      ['max_locks_per_transaction', '64'],
      ['track_commit_timestamp', 'off'],
      ['max_replication_slots', '10'],
      ['max_worker_processes', '8'],
      ['wal_log_hints', 'on'],
    ]);
  });

  test('usable values count', () => {
    const requested = { Max_Connections: '200', wal_level: 'LOGICAL', wal_log_hints: 'false', track_commit_timestamp: 'yes' };
    expect(given(requested)).toMatchObject({
      max_connections: '200',
      wal_level: 'logical',
      wal_log_hints: 'off',
      track_commit_timestamp: 'on',
    });
  });

  test('the default replaces a value that would keep a server from starting', () => {
    const broken = { max_connections: '5', max_wal_senders: '-1', max_worker_processes: 'eight', max_locks_per_transaction: '1e3' };
    expect(
      given({ ...broken, wal_level: 'minimal', hot_standby: 'off', port: '1', cluster_name: 'x', max_replication_slots: '262144' }),
    ).toEqual(given({}));
  });

  test('no text makes an unusable server', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...CONTROLLED_GUCS), fc.string()), (texts) => {
        const values = given(texts);
        for (const number of ['max_connections', 'max_wal_senders', 'max_replication_slots', 'max_worker_processes'] as const) {
          expect(Number(values[number])).toBeGreaterThanOrEqual(2);
          expect(Number(values[number])).toBeLessThanOrEqual(262143);
        }
        expect(values.hot_standby).toBe('on');
        expect(['replica', 'logical']).toContain(values.wal_level);
      }),
    );
  });
});
