/** Which kind of server the next start makes of a data directory. */
import { join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { removeFile, writeFileAtomic } from './atomic-file.ts';
import type { Deps } from './deps.ts';

const STANDBY = 'standby.signal';
/**
 * What a restore leaves there, pgBackRest's for one. PostgreSQL does not look at it beside the
 * other, and so does not remove it after a promotion either. The next crash recovery of that
 * primary would obey it.
 */
export const RECOVERY = 'recovery.signal';

/** Durable. */
export async function beStandby({ settings, runAs }: Pick<Deps, 'settings' | 'runAs'>): Promise<void> {
  const { dataDir } = settings.postgresql;
  await writeFileAtomic(join(dataDir, STANDBY), '', { mode: 0o600, owner: runAs ?? undefined });
  await removeFile(join(dataDir, RECOVERY));
}

/**
 * Takes both files away, durably, so that the next start is a primary's. Only for a directory that
 * was a primary's when it stopped: one that was a standby's would go on writing its source's
 * timeline.
 */
export async function removeSignalFiles(settings: Settings): Promise<void> {
  for (const name of [STANDBY, RECOVERY]) await removeFile(join(settings.postgresql.dataDir, name));
}
