/**
 * Environment variables that libpq reads, PostgreSQL 13 to 18:
 * https://www.postgresql.org/docs/current/libpq-envars.html. The agent's own are somebody's for his
 * psql. In a postmaster they stand for what primary_conninfo leaves open, so that a walreceiver
 * logs in as it should not, or to somewhere else; three of them (PGPORT, PGDATESTYLE,
 * PGCLIENTENCODING) change the server's own settings.
 */

/**
 * These overrule a connection string that says nothing of them: PGPASSWORD comes before any
 * passfile.
 */
const OVERRULING = ['PGPASSWORD', 'PGSERVICE', 'PGHOSTADDR'] as const;

const LIBPQ_VARIABLES = [
  ...OVERRULING,
  'PGAPPNAME',
  'PGCHANNELBINDING',
  'PGCLIENTENCODING',
  'PGCONNECT_TIMEOUT',
  'PGDATABASE',
  'PGDATESTYLE',
  'PGGEQO',
  'PGGSSDELEGATION',
  'PGGSSENCMODE',
  'PGGSSLIB',
  'PGHOST',
  'PGKRBSRVNAME',
  'PGLOADBALANCEHOSTS',
  'PGMAXPROTOCOLVERSION',
  'PGMINPROTOCOLVERSION',
  'PGOAUTHCAFILE',
  'PGOAUTHDEBUG',
  'PGOPTIONS',
  'PGPASSFILE',
  'PGPORT',
  'PGREQUIREAUTH',
  'PGREQUIREPEER',
  'PGREQUIRESSL',
  'PGSERVICEFILE',
  'PGSSLCERT',
  'PGSSLCERTMODE',
  'PGSSLCOMPRESSION',
  'PGSSLCRL',
  'PGSSLCRLDIR',
  'PGSSLKEY',
  'PGSSLMAXPROTOCOLVERSION',
  'PGSSLMINPROTOCOLVERSION',
  'PGSSLMODE',
  'PGSSLNEGOTIATION',
  'PGSSLROOTCERT',
  'PGSSLSNI',
  'PGSYSCONFDIR',
  'PGTARGETSESSIONATTRS',
  'PGTZ',
  'PGUSER',
] as const;

const without = (names: readonly string[]): Readonly<Record<string, undefined>> =>
  Object.fromEntries(names.map((name) => [name, undefined]));

/**
 * For the environment of PostgreSQL and of its programs: undefined removes one. What pgBackRest or
 * WAL-G read (PGBACKREST_…, WALG_…, PGDATA) stays.
 */
export const NO_LIBPQ_ENV = without(LIBPQ_VARIABLES);

/** For a program of the user's, which may count on the others. */
export const NO_OVERRULING_ENV = without(OVERRULING);
