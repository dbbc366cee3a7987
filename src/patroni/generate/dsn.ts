/** Where a running PostgreSQL is: by a connection string, and libpq's variables for the rest. */

import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { Environment } from '../../config/env.ts';
import { unbracketed } from '../../config/hostport.ts';
import { parseConninfo } from '../../core/conninfo.ts';
import { RegentError } from '../../support/errors.ts';
import { unescaped } from '../../support/percent.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: string | null;
  readonly sslmode: string | null;
}

const VARIABLES = {
  host: 'PGHOST',
  port: 'PGPORT',
  user: 'PGUSER',
  dbname: 'PGDATABASE',
  password: 'PGPASSWORD',
  sslmode: 'PGSSLMODE',
} as const;

/** Where PostgreSQL puts its sockets: Debian's place, and its own. */
const SOCKET_DIRECTORIES = ['/var/run/postgresql', '/tmp'];

/** Throws DSN_UNREADABLE. */
export function targetOf(dsn: string | null, env: Environment): Target {
  const pairs = dsn === null || dsn.trim() === '' ? {} : pairsOf(dsn.trim());
  const of = (key: keyof typeof VARIABLES) => pairs[key] || env[VARIABLES[key]] || null;
  const port = Number((of('port') ?? '5432').split(',')[0]);
  const user = of('user') ?? userInfo().username;
  const host = (of('host') ?? '').split(',')[0] || SOCKET_DIRECTORIES.find((path) => existsSync(`${path}/.s.PGSQL.${port}`)) || 'localhost';
  return { host, port, user, database: of('dbname') ?? 'postgres', password: of('password'), sslmode: of('sslmode') };
}

function pairsOf(dsn: string): Readonly<Record<string, string>> {
  const pairs = /^postgres(ql)?:\/\//.test(dsn) ? fromUri(dsn) : parseConninfo(dsn);
  if (pairs === null) {
    throw new RegentError('DSN_UNREADABLE', 'the connection string of --dsn cannot be read', {
      mend: "write it as 'host=localhost port=5432 user=postgres'",
    });
  }
  return pairs;
}

function fromUri(dsn: string): Readonly<Record<string, string>> | null {
  if (!URL.canParse(dsn)) return null;
  const { hostname, port, username, password, pathname, searchParams } = new URL(dsn);
  const parts = {
    host: unescaped(unbracketed(hostname)),
    port,
    user: unescaped(username),
    password: unescaped(password),
    dbname: unescaped(pathname.slice(1)),
  };
  return { ...Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== '')), ...Object.fromEntries(searchParams) };
}
