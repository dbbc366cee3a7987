/**
 * The home directory for the default `pgpass`: `runuser` and `su` without `-` keep the HOME of the
 * user they were called by.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

/**
 * HOME where the agent may write its passfile, else the home that the user database tells; null:
 * neither, or there is no HOME.
 */
export function homeForPassfile(
  given: string | undefined,
  real: () => string | null = realHome,
  mayWrite: typeof isWritable = isWritable,
): string | null {
  if (!given) return null;
  if (takes(given, mayWrite)) return given;
  const other = real();
  return other !== null && takes(other, mayWrite) ? other : null;
}

/** A passfile may be there already, as a mount, in a directory that is not ours. */
function takes(directory: string, mayWrite: typeof isWritable): boolean {
  const file = join(directory, 'pgpass');
  return existsSync(file) ? mayWrite(file, constants.W_OK) : mayWrite(directory, constants.W_OK | constants.X_OK);
}

export function isWritable(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function realHome(): string | null {
  try {
    return userInfo().homedir || null;
  } catch {
    // A container's user need not be in the user database.
    return null;
  }
}
