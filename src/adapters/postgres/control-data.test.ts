import { expect, test } from 'vitest';
import { parseLsn } from '../../core/units.ts';
import { parseControlData } from './control-data.ts';

/** As pg_controldata 15 prints them; lines nobody reads are left out. */
const lines = (changes: Record<string, string> = {}) =>
  Object.entries({
    'pg_control version number': '1300',
    'Database system identifier': '7711111548024335844',
    'Database cluster state': 'shut down',
    'pg_control last modified': 'Sun Nov 22 21:31:04 2026',
    'Latest checkpoint location': '1/1500E28',
    "Latest checkpoint's REDO location": '1/1500E28',
    "Latest checkpoint's TimeLineID": '3',
    'Minimum recovery ending location': '0/0',
    "Min recovery ending loc's timeline": '0',
    'wal_log_hints setting': 'on',
    'max_connections setting': '100',
    'max_worker_processes setting': '8',
    'max_wal_senders setting': '10',
    'max_prepared_xacts setting': '0',
    'max_locks_per_xact setting': '64',
    'Bytes per WAL segment': '16777216',
    'Data page checksum version': '0',
    ...changes,
  })
    .map(([label, value]) => `${`${label}:`.padEnd(38)}${value}\n`)
    .join('');

test('a primary shut down in good order', () => {
  expect(parseControlData(lines())).toEqual({
    systemIdentifier: '7711111548024335844',
    state: 'shut down',
    checkpointLsn: parseLsn('1/1500E28'),
    timeline: 3,
    minRecoveryLsn: null,
    minRecoveryTimeline: null,
    dataChecksums: false,
    walLogHints: true,
    limits: {
      max_connections: 100,
      max_worker_processes: 8,
      max_wal_senders: 10,
      max_prepared_transactions: 0,
      max_locks_per_transaction: 64,
    },
    walSegmentBytes: 16_777_216,
  });
});

test('a standby with checksums', () => {
  const text = lines({
    'Database cluster state': 'in archive recovery',
    'Minimum recovery ending location': '2/A0',
    "Min recovery ending loc's timeline": '4',
    'Data page checksum version': '1',
  });
  expect(parseControlData(text)).toMatchObject({
    state: 'in archive recovery',
    minRecoveryLsn: parseLsn('2/A0'),
    minRecoveryTimeline: 4,
    dataChecksums: true,
  });
});

test.each([
  [
    'a wrong checksum, as 17 says it',
    `pg_controldata: warning: calculated CRC checksum does not match value stored in control file\n${lines()}`,
  ],
  ['a wrong checksum', `WARNING: Calculated CRC checksum does not match value stored in file.\n${lines()}`],
  ['a missing line', lines().replace(/^Latest checkpoint location:.*\n/m, '')],
  ['no number', lines({ 'max_connections setting': 'many' })],
  ['no position', lines({ 'Latest checkpoint location': 'somewhere' })],
  ['nothing', ''],
])('%s is an error', (_, text) => {
  expect(() => parseControlData(text)).toThrowError(expect.objectContaining({ code: 'CONTROL_DATA_UNREADABLE' }));
});
