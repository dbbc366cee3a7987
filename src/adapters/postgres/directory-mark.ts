/**
 * What the agent must know of a data directory after a restart, and PostgreSQL does not record in
 * it. marks.ts says where it lies.
 * - `restored`: somebody replaced it by a base backup, so it may lack what this node has confirmed,
 *   until it has caught up with a leader. The first start removes the label that tells of the
 *   backup.
 * - `strayed`: somebody opened it for writes beside the leader, so its position proves nothing,
 *   until it streams or was cloned.
 * - `opened-by-hand`: somebody promoted it beside the leader, so its later timeline was never the
 *   cluster's, until it was rewound or cloned, or leads.
 */
import type { ServerRole } from '../../core/effects.ts';
import type { ControlFacts } from '../../core/postgres-facts.ts';
import { parseBackupLabel } from './backup-label.ts';
import type { DataDirFacts } from './data-dir.ts';
import { hasMark, removeMark, writeMark } from './marks.ts';

export type DirectoryMark = 'restored' | 'strayed' | 'opened-by-hand';

const MARKS: readonly DirectoryMark[] = ['restored', 'strayed', 'opened-by-hand'];

/**
 * A backup's label tells it, until the first start removes it. A primary's crashed directory
 * without a label that starts as a standby is one of two things. It is behind the other server
 * already, or its disk is a copy of an earlier moment.
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

/** Durable once it returns. Throws DATA_DIR_MARK_FAILED. */
export async function setMark(dataDir: string, mark: DirectoryMark): Promise<void> {
  await writeMark(dataDir, mark, '');
}

/** Called for a directory that was newly made. */
export async function clearMarks(dataDir: string): Promise<void> {
  for (const mark of MARKS) await clearMark(dataDir, mark);
}

export async function clearMark(dataDir: string, mark: DirectoryMark): Promise<void> {
  await removeMark(dataDir, mark);
}

/**
 * A mark that cannot be looked at: `restored` and `strayed` only keep a node from being counted on,
 * so they count as set. `opened-by-hand` also allows a rewind without an operator.
 */
export const IF_UNREADABLE: Readonly<Record<DirectoryMark, boolean>> = { restored: true, strayed: true, 'opened-by-hand': false };

export function isMarked(dataDir: string, mark: DirectoryMark): Promise<boolean> {
  return hasMark(dataDir, mark).catch(() => IF_UNREADABLE[mark]);
}
