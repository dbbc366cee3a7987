/**
 * Unix sockets in the data directory itself (unix_socket_directories: '.'), which programs that
 * copy a data directory meet as entries of it.
 */
import { readdir, rm } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import type { Source } from '../../core/effects.ts';
import type { Settings } from '../../core/settings.ts';
import { normaliseGucs } from '../../pgconf/guc.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import type { Deps } from './deps.ts';
import { withSource } from './rewind-source.ts';

const SOCKET_FILE = /^\.s\.PGSQL\.\d+(?:\.lock)?$/;
const SOCKETS = `SELECT filename FROM pg_ls_dir('.', true, false) AS filename WHERE filename ~ '^\\.s\\.PGSQL\\.[0-9]+$'`;
/** From here on pg_rewind reads even a file of no length, and a socket cannot be read. */
const REFUSED_FROM = 15;

/**
 * Call it for a server that does not run. A socket file that came with a copy names a process that
 * may be anything here, and PostgreSQL would not start beside it.
 */
export async function removeSocketFiles(dataDir: string): Promise<void> {
  for (const entry of await readdir(dataDir)) if (SOCKET_FILE.test(entry)) await rm(join(dataDir, entry), { force: true });
}

/** Before pg_rewind changes anything: it would end half-way. Throws REWIND_SOURCE_SOCKET. */
export async function refuseSocketInSource(deps: Deps, source: Source, major: number, options: Bounded): Promise<void> {
  if (major < REFUSED_FROM) return;
  await withSource(deps, source, options, async (client) => {
    // A user that may not list the directory cannot rewind either: pg_rewind says so.
    const names = await client.query<{ filename: string }>(SOCKETS).then(
      ({ rows }) => rows.map(({ filename }) => filename),
      () => [],
    );
    for (const name of names) {
      // What a clone has left there under that name is a file, and can be read.
      const trouble = await client.query('SELECT pg_read_binary_file($1, 0, 1, true)', [name]).then(() => null, ensureError);
      if (trouble !== null) throw socketInSource(source.name, `${name}: ${trouble.message}`);
    }
  });
}

function socketInSource(source: string, what: string): RegentError {
  return new RegentError(
    'REWIND_SOURCE_SOCKET',
    `pg_rewind cannot copy from ${source}, whose socket lies in its data directory (${what})`,
    {
      mend: `give ${source} another directory in unix_socket_directories and restart it, or reinitialize this member`,
    },
  );
}

/**
 * Said at the start: long after, it keeps former primaries from being rewound. Null: the sockets
 * lie elsewhere.
 */
export function socketTrouble({ parameters, postgresql }: Settings): string | null {
  const { dataDir } = postgresql;
  const directories = (normaliseGucs(parameters)['unix_socket_directories'] ?? '')
    .split(',')
    .map((path) => path.trim().replace(/^"(.*)"$/, '$1'));
  const inside = directories.find((path) => {
    const from = relative(dataDir, resolve(dataDir, path));
    return path !== '' && !path.startsWith('@') && !from.startsWith('..') && !isAbsolute(from);
  });
  if (inside === undefined) return null;
  return `unix_socket_directories has '${inside}', which lies in the data directory: pg_rewind (15 and later) cannot copy from such a server; choose a directory outside`;
}
