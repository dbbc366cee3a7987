/**
 * libpq connection strings in keyword/value form:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
 * Passwords are never put into one; libpq finds them in a passfile.
 */
import type { ConninfoPairs } from '../core/conninfo.ts';
import type { Source } from '../core/effects.ts';
import { placeText } from '../core/remote.ts';
import type { Credentials } from '../core/settings.ts';

/**
 * The order in which Patroni writes them, so that both agents write the same text and neither
 * reloads for nothing.
 */
const KEYWORD_ORDER = [
  'dbname',
  'user',
  'passfile',
  'host',
  'port',
  'sslmode',
  'sslcompression',
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslrootcert',
  'sslcrl',
  'sslcrldir',
  'application_name',
  'krbsrvname',
  'gssencmode',
  'channel_binding',
  'target_session_attrs',
  'sslnegotiation',
];

/** First PostgreSQL (and libpq) major that knows the keyword. The rest is older than 13. */
const KEYWORD_SINCE: Readonly<Record<string, number>> = { sslcrldir: 14, sslnegotiation: 17 };

/**
 * libpq's keywords that belong to a user's credentials: the keys of `postgresql.authentication.*`
 * beside username and password.
 */
export const CREDENTIAL_KEYWORDS = [
  'sslmode',
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslrootcert',
  'sslcrl',
  'sslcrldir',
  'gssencmode',
  'channel_binding',
  'sslnegotiation',
] as const;

function escapeValue(value: string): string {
  return value === '' ? "''" : value.replace(/[\\' \t\n\v\f\r]/g, '\\$&');
}

/** Known keywords first, in a fixed order, then the others by name. */
export function formatConninfo(pairs: ConninfoPairs): string {
  const names = Object.keys(pairs);
  const known = KEYWORD_ORDER.filter((name) => Object.hasOwn(pairs, name));
  const others = names.filter((name) => !KEYWORD_ORDER.includes(name)).sort();
  return [...known, ...others].map((name) => `${name}=${escapeValue(pairs[name] ?? '')}`).join(' ');
}

export interface ConninfoInput extends Pick<Source, 'host' | 'port' | 'remote'> {
  readonly credentials: Credentials;
  readonly database: string;
  readonly applicationName: string;
  /** PostgreSQL major on whose libpq the string is read. */
  readonly major: number;
  readonly passfile: string | null;
  readonly readWrite?: boolean;
  readonly krbsrvname?: string | null;
}

/**
 * For programs and for primary_conninfo. Keywords that this libpq does not know are left out: it
 * would refuse the whole string.
 */
export function connectionPairs(input: ConninfoInput): ConninfoPairs {
  const pairs: Record<string, string> = { dbname: input.database };
  if (input.credentials.username !== '') pairs['user'] = input.credentials.username;
  if (input.passfile !== null) pairs['passfile'] = input.passfile;
  const { host, port } = placeText(input);
  pairs['host'] = host;
  pairs['port'] = port;
  pairs['sslmode'] = 'prefer';
  pairs['application_name'] = input.applicationName;
  pairs['gssencmode'] = 'prefer';
  pairs['channel_binding'] = 'prefer';
  if (input.major >= 17) pairs['sslnegotiation'] = 'postgres';
  if (input.krbsrvname) pairs['krbsrvname'] = input.krbsrvname;
  if (input.readWrite || (input.remote?.others.length ?? 0) > 0) pairs['target_session_attrs'] = 'read-write';
  for (const name of CREDENTIAL_KEYWORDS) {
    const value = input.credentials.options[name];
    if (value !== undefined && value !== '' && input.major >= (KEYWORD_SINCE[name] ?? 0)) pairs[name] = value;
  }
  return pairs;
}

/**
 * The standby's primary_conninfo. It names the passfile and holds no password (of an encrypted
 * client key, libpq has no other way).
 */
export function primaryConninfo(input: ConninfoInput): string {
  return formatConninfo(connectionPairs(input));
}

/**
 * One line of a passfile: https://www.postgresql.org/docs/current/libpq-pgpass.html. Null when the
 * file's format cannot hold the values.
 */
export function passfileLine(host: string, port: number | '*', user: string, password: string): string | null {
  if (/[\n\r\0]/.test(`${host}${user}${password}`)) return null;
  const field = (value: string) => value.replace(/[\\:]/g, '\\$&');
  return `${field(host)}:${port}:*:${field(user)}:${field(password)}`;
}
