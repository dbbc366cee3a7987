import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Root's demo lives where the user it drops to can reach it. */
const ROOT_DIRECTORY = '/var/lib/regent-demo';

function ownerOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.uid ?? null;
}

/**
 * Where a demo lies unless `--dir` says otherwise. One that was started through sudo belongs to who
 * typed it, and is found without sudo.
 */
export function defaultDirectory(
  environment: Readonly<Record<string, string | undefined>>,
  uid: number,
  owner: (path: string) => number | null = ownerOf,
): string {
  if (uid === 0 || owner(ROOT_DIRECTORY) === uid) return ROOT_DIRECTORY;
  const state = environment['XDG_STATE_HOME'];
  return join(state?.startsWith('/') ? state : join(homedir(), '.local', 'state'), 'regent-demo');
}

/** The file of a demo that tells regentctl where its etcd is. */
export const CTL_FILE = 'regentctl.yml';
