/**
 * A standby follows the timeline that it has WAL of, and no later one that it knew the history of.
 */
import type { SimServer } from '../server.ts';
import { branchAt } from '../wal.ts';

export async function forgetTimelines(server: SimServer): Promise<readonly string[]> {
  const { branch, lsn } = server.position;
  server.position = { branch: branchAt(server.position, lsn), lsn };
  return [`the history of timeline ${branch.timeline}`];
}
