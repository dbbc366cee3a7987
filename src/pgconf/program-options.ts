/**
 * Options of PostgreSQL's programs that Regent sets itself or that would break the operation.
 * See docs/dialect.md, "Bootstrap" and "Copies".
 */

/**
 * What can be the name of a long option, without the dashes. Forks of PostgreSQL have underscores
 * in theirs.
 */
export function isOptionName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(name);
}

export const INITDB_FORBIDDEN: readonly string[] = ['pgdata', 'nosync', 'no-sync', 'pwfile', 'sync-only', 'version', 'pwprompt'];

export const BASEBACKUP_FORBIDDEN: readonly string[] = [
  'pgdata',
  'format',
  'wal-method',
  'xlog-method',
  'gzip',
  'version',
  'dbname',
  'host',
  'port',
  'username',
  'password',
  'no-password',
];

export const REWIND_FORBIDDEN: readonly string[] = [
  'target-pgdata',
  'source-pgdata',
  'source-server',
  'write-recovery-conf',
  'dry-run',
  'restore-target-wal',
  'config-file',
  'no-ensure-shutdown',
  'version',
  'help',
];
