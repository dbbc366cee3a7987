/**
 * Private directories with files that a program reads (a passfile, settings to check). The code
 * that makes one removes it. An agent that is killed leaves its own, with a password in it. Their
 * names say which agent made them, so that the next one removes those of dead agents.
 */
import { lstat, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { codeOf } from '../../support/errors.ts';

/**
 * pass: for libpq programs. check: settings for PostgreSQL to judge. initdb: its password file.
 * private: the socket of a bootstrap.
 */
export type ScratchKind = 'pass' | 'check' | 'initdb' | 'private';

const NAME = /^regent-(?:pass|check|initdb|private)-(?:(\d+)-(\d+)-)?[A-Za-z0-9]{6}$/;
/**
 * For those whose maker is not known: of an earlier version, or of another container that shares
 * the directory.
 */
const KEEP_UNKNOWN_MS = 24 * 3600 * 1000;

export async function scratchDirectory(kind: ScratchKind): Promise<string> {
  return mkdtemp(join(tmpdir(), `regent-${kind}-${await namespaceId()}-${process.pid}-`));
}

/**
 * Removes what agents of this user that are dead have left. Call it when an agent starts, before it
 * has made any itself. Returns how many; never throws.
 */
export async function removeLeftScratch(nowMs: number): Promise<number> {
  const [namespace, entries] = await Promise.all([namespaceId(), readdir(tmpdir()).catch(() => [])]);
  let removed = 0;
  for (const entry of entries) {
    const match = NAME.exec(entry);
    if (match === null) continue;
    const path = join(tmpdir(), entry);
    const stat = await lstat(path).catch(() => null);
    if (stat === null || !stat.isDirectory() || stat.uid !== process.getuid?.()) continue;
    const known = match[1] === namespace;
    if (known ? isAlive(Number(match[2])) : nowMs - stat.mtimeMs < KEEP_UNKNOWN_MS) continue;
    removed += await rm(path, { recursive: true, force: true }).then(
      () => 1,
      () => 0,
    );
  }
  return removed;
}

/** Process ids say nothing outside of their namespace. */
async function namespaceId(): Promise<string> {
  return /\d+/.exec(await readlink('/proc/self/ns/pid').catch(() => ''))?.[0] ?? '0';
}

function isAlive(pid: number): boolean {
  // A new process with an old one's id, as in a container where the agent is always the same.
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}
