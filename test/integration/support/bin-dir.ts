/** Where the programs of the PostgreSQL lie that the tests run. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DEBIAN_POSTGRES } from '../../../tools/suite/releases/catalog.ts';

/** REGENT_TEST_BIN_DIR (`regent test --postgres N` sets it); otherwise the newest of Debian's. */
export function findBinDir(): string {
  const chosen = process.env['REGENT_TEST_BIN_DIR'];
  if (chosen) return chosen;
  const root = join('/', DEBIAN_POSTGRES);
  const majors = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  for (const major of majors) if (existsSync(join(root, major, 'bin', 'postgres'))) return join(root, major, 'bin');
  throw new Error(`no PostgreSQL under ${root}; set REGENT_TEST_BIN_DIR`);
}
