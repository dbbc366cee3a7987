/**
 * Big temporary folders whose names tell whose they are, so that what a killed suite has left can
 * be found and removed by the next.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastLines, runCommand } from '../../../src/support/exec.ts';

/** Images and containers take some 2 GB, more than a /tmp in memory may have. */
const HOME = '/var/tmp';

export function makeFolder(kind: 'docker' | 'debian'): string {
  return mkdtempSync(join(HOME, `regent-${kind}-${process.pid}-`));
}

/** Folders of this kind whose process lives no more. */
export function deadFolders(kind: 'docker' | 'debian'): readonly string[] {
  const pattern = new RegExp(`^regent-${kind}-(\\d+)-`);
  return readdirSync(HOME)
    .filter((name) => {
      const pid = pattern.exec(name)?.[1];
      return pid !== undefined && !existsSync(`/proc/${pid}`);
    })
    .map((name) => join(HOME, name));
}

/** Whatever is still mounted below goes first: what a mount shows is not ours to delete. */
export async function removeFolder(folder: string): Promise<void> {
  const mounted = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`));
  for (const path of mounted.reverse()) await runCommand('umount', ['-l', path], { timeoutMs: 10_000 });
  // Ten times as fast as Node's own.
  const removed = await runCommand('rm', ['-rf', '--one-file-system', folder], { timeoutMs: 120_000 });
  if (removed.code !== 0) throw new Error(`${folder} could not be removed: ${lastLines(removed.stderr, 3)}`);
}
