/**
 * Environment variables that libpq reads, PostgreSQL 13 to 18:
 * https://www.postgresql.org/docs/current/libpq-envars.html. Those in the agent's environment were
 * set for somebody's psql. In a postmaster they fill what primary_conninfo leaves open, so that a
 * walreceiver would log in as the wrong user or elsewhere. Three of them (PGPORT, PGDATESTYLE,
 * PGCLIENTENCODING) change the server's own settings.
 */
import process from 'node:process';
import type { Settings } from '../../core/settings.ts';

/**
 * These overrule a connection string that says nothing of them: PGPASSWORD comes before any
 * passfile.
 */
const OVERRULING = ['PGPASSWORD', 'PGSERVICE', 'PGHOSTADDR'] as const;

const KERBEROS = 'PGKRBSRVNAME';

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
  KERBEROS,
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
 * Changes to the environment of PostgreSQL and of its programs; undefined removes a variable. What
 * pgBackRest or WAL-G read (PGBACKREST_…, WALG_…, PGDATA) stays.
 */
export const NO_LIBPQ_ENV = without(LIBPQ_VARIABLES);

/** Changes for a program of the user's, which may count on the other variables. */
export const NO_OVERRULING_ENV = without(OVERRULING);

/** For the server, whose extensions connect to others. */
export function kerberosEnv({ postgresql: { krbsrvname } }: Settings): Readonly<Record<string, string>> {
  return krbsrvname === null ? {} : { [KERBEROS]: krbsrvname };
}

/** Callbacks and scripts inherit it from this process. */
export function exportKerberosName(settings: Settings): void {
  Object.assign(process.env, kerberosEnv(settings));
}
