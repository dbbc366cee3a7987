/** The dynamic settings that a copy of the data, or a rewind, brought along. */
import { join } from 'node:path';
import type { Source } from '../../core/effects.ts';
import { DYNAMIC_CACHE } from '../../ports/settings.ts';
import { removeFile } from './atomic-file.ts';

/**
 * Those of a server outside of this cluster would make a standby cluster one that takes writes, for
 * an agent that starts before it has read etcd. What a method restored without a source may be that
 * server's too. The agent writes its own once PostgreSQL was started.
 */
export async function removeForeignSettings(dataDir: string, source: Source | null): Promise<void> {
  if (source === null || source.remote !== undefined) await removeFile(join(dataDir, DYNAMIC_CACHE));
}
