/**
 * What is to be known of a data directory after the agent has ended, and nothing in it tells. The marks lie beside it:
 * - `restored`: somebody replaced it by a base backup, so what this node has confirmed before need not be in it, until it has caught up with a leader. The label that
 *   tells of the backup goes with the first start.
 * - `strayed`: somebody opened it for writes beside the leader, so its position proves nothing, until it streams or was cloned.
 */
import { open, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ServerRole } from '../../core/effects.ts';
import type { ControlFacts } from '../../core/postgres-facts.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { parseBackupLabel } from './backup-label.ts';
import type { DataDirFacts } from './data-dir.ts';

export type DirectoryMark = 'restored' | 'strayed';

const MARKS: readonly DirectoryMark[] = ['restored', 'strayed'];

export function markPath(dataDir: string, mark: DirectoryMark): string {
  return `${dataDir.replace(/\/+$/, '')}.regent-${mark}`;
}

/**
 * A backup's label tells it, until the first start. Without one, a primary's crashed directory that starts as a standby of another is either behind that one already,
 * or its disk is a copy of an earlier moment.
 */
export function isSomebodysCopy(
  role: ServerRole,
  { backupLabel, incompleteWork }: DataDirFacts,
  { state }: Pick<ControlFacts, 'state'>,
): boolean {
  if (role.kind !== 'standby' || incompleteWork !== null) return false;
  if (backupLabel !== undefined) return parseBackupLabel(backupLabel)?.byRewind !== true;
  return role.source !== null && state === 'in production';
}

export async function setMark(dataDir: string, mark: DirectoryMark): Promise<void> {
  const path = markPath(dataDir, mark);
  try {
    const file = await open(path, 'w', 0o600);
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await syncParent(path);
  } catch (error) {
    throw new RegentError('DATA_DIR_MARK_FAILED', `could not write ${path}: ${ensureError(error).message}`, {
      mend: 'the directory that holds postgresql.data_dir must be writable; put data_dir one level below the mount point',
      cause: error,
    });
  }
}

/** Of a directory that was made new. */
export async function clearMarks(dataDir: string): Promise<void> {
  for (const mark of MARKS) await clearMark(dataDir, mark);
}

export async function clearMark(dataDir: string, mark: DirectoryMark): Promise<void> {
  const path = markPath(dataDir, mark);
  try {
    await unlink(path);
    await syncParent(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** What cannot be looked at counts as marked: the reading that counts on less. */
export async function isMarked(dataDir: string, mark: DirectoryMark): Promise<boolean> {
  try {
    await stat(markPath(dataDir, mark));
    return true;
  } catch (error) {
    return codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR';
  }
}

async function syncParent(path: string): Promise<void> {
  const handle = await open(dirname(path), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
