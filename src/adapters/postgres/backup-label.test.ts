import { expect, test } from 'vitest';
import { parseLsn } from '../../core/units.ts';
import { parseBackupLabel } from './backup-label.ts';

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
