import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RegentError } from '../src/support/errors.ts';

/** The checkout this code runs from, bundled or not. */
export function checkoutRoot(from = fileURLToPath(import.meta.url)): string {
  let directory = dirname(from);
  while (!existsSync(join(directory, 'package-lock.json'))) {
    const parent = dirname(directory);
    if (parent === directory) {
      throw new RegentError('NO_CHECKOUT', `no checkout of Regent holds ${from}`, { mend: 'run ./regent from a clone of the repository' });
    }
    directory = parent;
  }
  return directory;
}
