/**
 * `backup_label`: the directory is a base backup, and recovery has to begin where the file says,
 * whatever the control file tells. Format: src/backend/access/transam/xlogbackup.c of PostgreSQL
 * (build_backup_content); pg_rewind writes the same with its own name as the method.
 */
import type { Checkpoint } from '../../core/postgres-facts.ts';
import { parseLsn } from '../../core/units.ts';

export interface BackupLabel extends Checkpoint {
  /** Made by pg_rewind, at the end of its work. */
  readonly byRewind: boolean;
}

/** Null: it is there, and cannot be read as one. */
export function parseBackupLabel(text: string): BackupLabel | null {
  const checkpoint = /^CHECKPOINT LOCATION: ([0-9A-F]{1,8}\/[0-9A-F]{1,8})\s*$/m.exec(text);
  // The first 8 digits of the file are the timeline; START TIMELINE is missing from labels of old
  // tools.
  const timeline = /^START TIMELINE: (\d+)\s*$/m.exec(text)?.[1];
  const file = /^START WAL LOCATION: \S+ \(file ([0-9A-F]{8})[0-9A-F]{16}\)/m.exec(text)?.[1];
  const number = timeline !== undefined ? Number(timeline) : file !== undefined ? Number.parseInt(file, 16) : 0;
  if (!checkpoint || number < 1) return null;
  return { timeline: number, checkpointLsn: parseLsn(checkpoint[1]!), byRewind: /^BACKUP METHOD: pg_rewind\s*$/m.test(text) };
}
