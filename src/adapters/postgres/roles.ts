/**
 * The users Regent connects as. Statements that carry a password are kept out of the server's log
 * and of its statistics: docs/dialect.md, "Bootstrap".
 */
import pg from 'pg';
import type { Credentials, Settings } from '../../core/settings.ts';

/** Custom names are accepted whether or not the extension is loaded. */
const QUIET = [
  ['log_statement', 'none'],
  ['log_min_duration_statement', '-1'],
  ['log_min_error_statement', 'log'],
  ['log_duration', 'off'],
  ['pg_stat_statements.track_utility', 'off'],
  ['pgaudit.log', 'none'],
  // On the first node nobody could acknowledge the commit.
  ['synchronous_commit', 'local'],
] as const;

/** What pg_rewind calls on its source: https://www.postgresql.org/docs/current/app-pgrewind.html */
const REWIND_FUNCTIONS = [
  'pg_ls_dir(text, boolean, boolean)',
  'pg_stat_file(text, boolean)',
  'pg_read_binary_file(text)',
  'pg_read_binary_file(text, bigint, bigint, boolean)',
];

/**
 * Idempotent, as a superuser on a primary. Nothing when none is configured: the one initdb made has
 * to do.
 */
export async function createSuperuser(client: pg.Client, settings: Settings): Promise<void> {
  const { superuser } = settings.postgresql;
  if (superuser.username === '' || superuser.password === null) return;
  await quietly(client, () => createOrAlter(client, superuser, 'SUPERUSER'));
}

/**
 * Idempotent. The grants count in the database of the connection: pg_rewind connects to the one
 * Regent is configured for.
 */
export async function createReplicationRoles(client: pg.Client, settings: Settings): Promise<void> {
  const { superuser, replication, rewind } = settings.postgresql;
  if (replication.username !== '') await quietly(client, () => createOrAlter(client, replication, 'REPLICATION'));
  if (rewind.username === '' || rewind.username === superuser.username) return;
  await quietly(client, async () => {
    if (rewind.username !== replication.username) await createOrAlter(client, rewind, '');
    const grantee = pg.escapeIdentifier(rewind.username);
    for (const name of REWIND_FUNCTIONS) await client.query(`GRANT EXECUTE ON FUNCTION pg_catalog.${name} TO ${grantee}`);
  });
}

async function createOrAlter(client: pg.Client, credentials: Credentials, attribute: string): Promise<void> {
  const { rows } = await client.query('SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1', [credentials.username]);
  const password = credentials.password === null ? '' : ` PASSWORD ${pg.escapeLiteral(credentials.password)}`;
  const verb = rows.length > 0 ? 'ALTER' : 'CREATE';
  await client.query(`${verb} ROLE ${pg.escapeIdentifier(credentials.username)} WITH LOGIN ${attribute}${password}`);
}

/** A transaction: its settings end with it, and a half-made user does not stay. */
async function quietly(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query('BEGIN');
  try {
    for (const [name, value] of QUIET) await client.query('SELECT pg_catalog.set_config($1, $2, true)', [name, value]);
    await work();
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}
