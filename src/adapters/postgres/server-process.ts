/**
 * Tells by /proc whether a process belongs to the server of a data directory. The name of its
 * program does not decide: packages rename it, link to it and wrap it.
 *
 * Every process of PostgreSQL enters the data directory and stays there; the postmaster has done so
 * before it writes postmaster.pid. Four signs show that a process in the directory is the server's.
 * They are its program, the title that PostgreSQL gives its children, the shared memory segment
 * that postmaster.pid names, and the pid and start there. A shell, an editor or an archive_command
 * at work in the directory has none of these. Nothing is concluded from what cannot be seen.
 */
import { readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { PidFile } from './pid-file.ts';

const USUAL_PROGRAMS = ['postgres', 'postmaster'];
/** postmaster.pid has whole seconds, and so has the kernel's moment of the boot. */
const START_SLACK_SECONDS = 3;
/**
 * Between a pid file and a process that has its pid by chance. A wrapper becomes the server sooner
 * than this.
 */
const RECYCLED_AFTER_SECONDS = 60;
/** USER_HZ: the unit of /proc/PID/stat on every machine that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Home {
  readonly dataDir: string;
  readonly pidFile: PidFile | null;
  readonly programs: ReadonlySet<string>;
}

/** Names of the server's program file: the usual ones, and where the configured one leads to. */
export function programNames(configured: string): ReadonlySet<string> {
  const names = new Set([...USUAL_PROGRAMS, basename(configured)]);
  try {
    if (configured.includes('/')) names.add(basename(realpathSync(configured)));
  } catch {
    // It is not there (now); the start will say so.
  }
  return names;
}

export const usualPrograms: ReadonlySet<string> = new Set(USUAL_PROGRAMS);

export function isServerProcess(pid: number, home: Home): boolean {
  const place = placeOf(pid, home.dataDir);
  if (place === 'elsewhere') return false;
  const isOwner = home.pidFile?.pid === pid;
  if (place === 'there') {
    return (
      isProgram(pid, home.programs) ||
      (isOwner && startedWith(pid, home.pidFile)) ||
      hasTitle(pid) ||
      isAttached(pid, home.pidFile) === true
    );
  }
  // A program with capabilities of its own shows its directory to root alone.
  if (isOwner) return ownerOf(pid) === userOf(home.dataDir) && (startedWith(pid, home.pidFile) || argumentsOf(pid).includes(home.dataDir));
  return home.pidFile !== null && parentOf(pid) === home.pidFile.pid && hasTitle(pid) && isServerProcess(home.pidFile.pid, home);
}

/**
 * What the living process with the pid in postmaster.pid is. unrelated: proven to be another
 * program's, which has the pid by chance, as after a reboot. unexplained: it does not look like the
 * server, and is not proven to be unrelated. PostgreSQL may be behind it.
 */
export function judgeOwner(pid: number, home: Home): 'server' | 'unrelated' | 'unexplained' {
  if (isServerProcess(pid, home)) return 'server';
  // PostgreSQL does not take it for alive either: no server of this directory runs as another user.
  if (ownerOf(pid) !== userOf(home.dataDir)) return 'unrelated';
  const place = placeOf(pid, home.dataDir);
  const attached = isAttached(pid, home.pidFile);
  if (place === 'elsewhere') return attached === true ? 'unexplained' : 'unrelated';
  // The process that wrote that line holds that segment for as long as it lives.
  if (place === 'there') return attached === false ? 'unrelated' : 'unexplained';
  return !looksLikeServer(pid, home) && startedLongAfter(pid, home.pidFile) ? 'unrelated' : 'unexplained';
}

/** What the process calls itself, to show to the operator. */
export function describeProgram(pid: number): string {
  const words = argumentsOf(pid).join(' ').trim();
  return (words || commandOf(pid) || 'unknown program').slice(0, 120);
}

function placeOf(pid: number, dataDir: string): 'there' | 'elsewhere' | 'unseen' {
  try {
    const link = readlinkSync(`/proc/${pid}/cwd`);
    if (withoutMark(link) === realOrSame(dataDir)) return 'there';
    // Under another name: a bind mount, another mount namespace.
    const here = statSync(`/proc/${pid}/cwd`);
    const home = statSync(dataDir);
    return here.dev === home.dev && here.ino === home.ino ? 'there' : 'elsewhere';
  } catch {
    return 'unseen';
  }
}

/**
 * The kernel says so when the program or the directory was replaced or removed under a running
 * process.
 */
const withoutMark = (path: string) => path.replace(/ \(deleted\)$/, '');

function realOrSame(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function isProgram(pid: number, programs: ReadonlySet<string>): boolean {
  try {
    return programs.has(basename(withoutMark(readlinkSync(`/proc/${pid}/exe`))));
  } catch {
    return false;
  }
}

function argumentsOf(pid: number): readonly string[] {
  return (read(`/proc/${pid}/cmdline`) ?? '').split('\0');
}

function commandOf(pid: number): string {
  return (read(`/proc/${pid}/comm`) ?? '').trim();
}

function hasTitle(pid: number): boolean {
  return (read(`/proc/${pid}/cmdline`) ?? '').startsWith('postgres: ');
}

/** Null: cannot be told. The kernel shows a segment's id as the inode of its mapping. */
function isAttached(pid: number, pidFile: PidFile | null): boolean | null {
  if (pidFile === null || pidFile.shmemId === null) return null;
  const maps = read(`/proc/${pid}/maps`);
  if (maps === null || maps === '') return null;
  return maps.split('\n').some((line) => / (\d+)\s+\/SYSV[0-9a-f]{8}/.exec(line)?.[1] === String(pidFile.shmemId));
}

function startedWith(pid: number, pidFile: PidFile | null): boolean {
  const started = startSeconds(pid);
  return started !== null && pidFile?.startTime != null && Math.abs(started - pidFile.startTime) <= START_SLACK_SECONDS;
}

function startedLongAfter(pid: number, pidFile: PidFile | null): boolean {
  const started = startSeconds(pid);
  return started !== null && pidFile?.startTime != null && started - pidFile.startTime > RECYCLED_AFTER_SECONDS;
}

function looksLikeServer(pid: number, { dataDir, programs }: Home): boolean {
  const words = argumentsOf(pid);
  return words.includes(dataDir) || words.some((word) => programs.has(basename(word))) || programs.has(commandOf(pid)) || hasTitle(pid);
}

/** Epoch seconds, by the clock as it is set now. */
function startSeconds(pid: number): number | null {
  const stat = read(`/proc/${pid}/stat`);
  const boot = /^btime (\d+)$/m.exec(read('/proc/stat') ?? '')?.[1];
  const ticks = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return ticks === undefined || boot === undefined ? null : Number(boot) + Number(ticks) / TICKS_PER_SECOND;
}

function parentOf(pid: number): number | null {
  const stat = read(`/proc/${pid}/stat`);
  return stat === null ? null : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** The effective user; the owner of the /proc entry is root where a program has capabilities. */
function ownerOf(pid: number): number | null {
  const found = /^Uid:\s+\d+\s+(\d+)/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
  return found === undefined ? null : Number(found);
}

/** PostgreSQL runs as the owner of its data directory, and refuses to as anybody else. */
function userOf(dataDir: string): number | null {
  try {
    return statSync(dataDir).uid;
  } catch {
    return null;
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
