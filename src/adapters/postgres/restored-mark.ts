/**
 * Beside a data directory that somebody replaced by a base backup: what this node has confirmed before need not be in it, so it is not to be counted on until it has
 * caught up with a leader. Durable, because the label that tells of the backup goes with the first start.
 */
import { open, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ServerRole } from '../../core/effects.ts';
import type { ControlFacts } from '../../core/postgres-facts.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { parseBackupLabel } from './backup-label.ts';
import type { DataDirFacts } from './data-dir.ts';

export function restoredMarkPath(dataDir: string): string {
  return `${dataDir.replace(/\/+$/, '')}.regent-restored`;
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

export async function markRestored(dataDir: string): Promise<void> {
  const path = restoredMarkPath(dataDir);
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

export async function clearRestored(dataDir: string): Promise<void> {
  const path = restoredMarkPath(dataDir);
  try {
    await unlink(path);
    await syncParent(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** What cannot be looked at counts as marked: the reading that counts on less. */
export async function isRestored(dataDir: string): Promise<boolean> {
  try {
    await stat(restoredMarkPath(dataDir));
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
