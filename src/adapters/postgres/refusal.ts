/** What would let the agent into a PostgreSQL that refuses it, as instructions to a person. */
import { isIPv6 } from 'node:net';
import { userInfo } from 'node:os';
import type { Settings } from '../../core/settings.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import { sqlState } from './sql.ts';

/** Where the local server is reached; `host` is a socket directory when it starts with '/'. */
export interface Door {
  readonly host: string;
  readonly port: number;
}

export interface Refusal {
  readonly door: Door;
  readonly error: Error;
}

/** One sentence for each thing that would do; doing one of them is enough. */
export function refusalMend(settings: Settings, refusals: readonly Refusal[]): string {
  const ways = refusals.flatMap(({ door, error }) => waysIn(settings, door, error.message));
  return `the agent needs a superuser: ${[...new Set(ways)].join('; or ')}`;
}

function waysIn(settings: Settings, door: Door, words: string): string[] {
  const { superuser, database } = settings.postgresql;
  const user = superuser.username === '' ? userInfo().username : superuser.username;
  const role = `"${user.replaceAll('"', '""')}"`;
  const place = 'postgresql.authentication.superuser';
  const line = (method: string) => `${hbaPlace(door)} ${word(database)} ${word(user)} ${hbaAddress(door)}${method}`;
  if (/does not exist/.test(words) && /role/.test(words))
    return [`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '…', or name another role in ${place}.username`];
  if (/not permitted to log in/.test(words)) return [`ALTER ROLE ${role} LOGIN`];
  if (/peer authentication failed/i.test(words)) return [`run the agent as the operating-system user ${user}`];
  if (/no pg_hba.conf entry|rejects connection/.test(words))
    return [`put this line into its pg_hba.conf (SHOW hba_file), before any that refuses, and reload it: ${line('scram-sha-256')}`];
  if (/must be a (non-empty )?string/.test(words))
    return [`give the password of ${role} in ${place}.password (it is set with ALTER ROLE ${role} PASSWORD '…')`];
  if (/password authentication failed/.test(words))
    return [`make the password of ${role} and ${place}.password the same (ALTER ROLE ${role} PASSWORD '…', and not past VALID UNTIL)`];
  return [`let ${role} in by a line of its pg_hba.conf (SHOW hba_file): ${line('scram-sha-256')}`];
}

/** The error of a server that refuses the agent, with what would let it in, in one line. */
export function refusalText(error: unknown): string {
  const mend = error instanceof RegentError && error.mend !== null ? error.mend : freeOne(error);
  return mend === null ? ensureError(error).message : `${ensureError(error).message}; ${mend}`;
}

function freeOne(error: unknown): string | null {
  const full = sqlState(error) === '53300';
  return full ? 'end some sessions, or set superuser_reserved_connections higher and keep superusers from taking all of them' : null;
}

const word = (text: string) => (/^[a-z_][a-z0-9_]*$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`);
const hbaPlace = ({ host }: Door) => (host.startsWith('/') ? 'local' : 'host');

function hbaAddress({ host }: Door): string {
  if (host.startsWith('/')) return '';
  if (isIPv6(host)) return `${host}/128 `;
  return /^[\d.]+$/.test(host) ? `${host}/32 ` : `${host} `;
}
