import { expect, test } from 'vitest';
import { parseLsn } from '../../core/units.ts';
import { parseBackupLabel } from './backup-label.ts';
import { readLastRecord } from './wal-end.ts';

const LABEL = `START WAL LOCATION: 0/2000028 (file 0000000A0000000000000002)
CHECKPOINT LOCATION: 0/2000060
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-11-28 12:16:24 UTC
LABEL: pg_basebackup base backup
START TIMELINE: 10
`;

test('a label names the point where recovery begins, and the program that made it', () => {
  expect(parseBackupLabel(LABEL)).toEqual({ timeline: 10, checkpointLsn: parseLsn('0/2000060'), byRewind: false });
  expect(parseBackupLabel(LABEL.replace(/START TIMELINE.*\n/, ''))).toMatchObject({ timeline: 10 });
  expect(parseBackupLabel(LABEL.replace('streamed', 'pg_rewind'))).toMatchObject({ byRewind: true });
  expect(parseBackupLabel('')).toBeNull();
});

test('the end of the WAL is where pg_waldump stumbles', () => {
  const at = parseLsn('0/2000060');
  const words = 'pg_waldump: error: error in WAL record at 0/3027928: invalid record length at 0/3027AC0: wanted 24, got 0\n';
  expect(readLastRecord(words, at)).toBe(parseLsn('0/3027928'));
  expect(readLastRecord(words, parseLsn('0/4000000'))).toBeNull();
  expect(readLastRecord('pg_waldump: error: could not open file "000000010000000000000004": No such file or directory', at)).toBeNull();
});
