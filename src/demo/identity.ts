/**
 * PostgreSQL refuses to run as root. A demo that root started chooses another user and becomes it.
 */
import { RegentError } from '../support/errors.ts';
import { runCommand } from '../support/exec.ts';

export interface Identity {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Debian's own for PostgreSQL, then the one every Unix has. */
const CANDIDATES = ['postgres', 'nobody'];

/** One line of passwd(5); null when it is none, or root's. */
export function parsePasswd(line: string): Identity | null {
  const [name, , uid, gid, , home] = line.trim().split(':');
  const identity = { name: name ?? '', uid: Number(uid), gid: Number(gid), home: home ?? '/' };
  return identity.name !== '' && Number.isInteger(identity.uid) && Number.isInteger(identity.gid) && identity.uid > 0 ? identity : null;
}

async function lookUp(key: string): Promise<Identity | null> {
  const result = await runCommand('getent', ['passwd', key], { timeoutMs: 10_000 }).catch(() => null);
  return result?.code === 0 ? parsePasswd(result.stdout) : null;
}

/**
 * Through sudo: the user who typed it, who can then use and remove the demo without sudo. As root:
 * `postgres`.
 */
export async function chooseUnprivileged(environment: Readonly<Record<string, string | undefined>>): Promise<Identity> {
  const candidates = [environment['SUDO_UID'], ...CANDIDATES].filter((key) => key !== undefined && key !== '' && key !== '0');
  for (const candidate of candidates) {
    const identity = await lookUp(candidate!);
    if (identity) return identity;
  }
  throw new RegentError('NO_UNPRIVILEGED_USER', 'PostgreSQL does not run as root, and there is no user to become', {
    mend: 'make one and use it: adduser --system --group postgres',
  });
}

/** From here on this process, and all it starts, is that user. There is no way back. */
export function become(identity: Identity): void {
  process.setgroups?.([identity.gid]);
  process.setgid?.(identity.gid);
  process.setuid?.(identity.uid);
  process.env['HOME'] = identity.home;
  process.env['USER'] = identity.name;
  process.env['LOGNAME'] = identity.name;
}
