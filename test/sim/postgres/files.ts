/** PostgreSQL's files as the adapter writes them, on a disk that may not take them. */
import { RegentError } from '../../../src/support/errors.ts';
import type { SimServer } from '../server.ts';
import type { Configured } from './parts.ts';

const refused = (name: string) => `could not write ${name}: Read-only file system`;

/**
 * The files that say which server it follows and which standbys it waits for. False: it was so
 * already.
 */
export function writeFiles(server: SimServer, wanted: Configured): boolean {
  if (JSON.stringify(server.file) === JSON.stringify(wanted)) return false;
  if (server.stuckFiles === 'all') throw new RegentError('FILE_WRITE_FAILED', refused('postgresql.conf'));
  server.file = wanted;
  return true;
}

/** Why the others could not be written; empty: they could. */
export const accessFiles = (server: SimServer): readonly string[] => (server.stuckFiles === 'none' ? [] : [refused('pg_hba.conf')]);
