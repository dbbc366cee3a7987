/**
 * Finds the server of a data directory among the machine's processes (Linux: /proc).
 *
 * A pid alone proves nothing, because pids are recycled; server-process.ts tells what does. A
 * process that was found is held by an open descriptor of its /proc file. The descriptor goes dead
 * with the process and never means a later one with the same pid.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../support/errors.ts';
import { readPidFile } from './pid-file.ts';
import { describeProgram, type Home, isServerProcess, judgeOwner, usualPrograms } from './server-process.ts';

/**
 * A killed postmaster that its parent has not reaped yet still has its pid. PostgreSQL takes the
 * owner of postmaster.pid for alive while the pid exists, so a start and pg_rewind would both fail.
 * Call it when no process of the server is left, because the file also keeps a second server away
 * from the first one's orphans.
 */
export function forgetUnreaped(dataDir: string): void {
  const file = readPidFile(dataDir);
  if (file === null) return;
  const stat = statOf(file.pid);
  if (stat === null || !isDead(stat.state)) return;
  const { port, socketDir } = file;
  const socketLock = port === null || socketDir === null ? null : join(socketDir, `.s.PGSQL.${port}.lock`);
  if (socketLock !== null && ownerOfLock(socketLock) === file.pid) rmSync(socketLock, { force: true });
  rmSync(join(dataDir, 'postmaster.pid'), { force: true });
}

/** A socket's lock file names the postmaster in its first line, as postmaster.pid does. */
function ownerOfLock(path: string): number | null {
  try {
    return Number(readFileSync(path, 'utf8').split('\n', 1)[0]);
  } catch {
    return null;
  }
}

function statOf(pid: number): ProcStat | null {
  try {
    return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return null;
  }
}

/** Children of the process, their children, and so on. */
export function descendantsOf(pid: number): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map(pids.map((name) => [Number(name), statOf(Number(name))?.ppid]));
  const found = [pid];
  for (const one of found) for (const [child, parent] of parents) if (parent === one && !found.includes(child)) found.push(child);
  return found.slice(1);
}

export interface ProcStat {
  readonly state: string;
  readonly ppid: number;
  /** Clock ticks since boot; with the pid, unique on one boot. */
  readonly startTicks: string;
}

/**
 * proc_pid_stat(5). The program's name may hold blanks and parentheses, so fields are counted from
 * its last ')'.
 */
export function parseProcStat(text: string): ProcStat | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, ppid] = fields;
  const startTicks = fields[19];
  if (!state || !ppid || !startTicks) return null;
  return { state, ppid: Number(ppid), startTicks };
}

/** A process that was seen. It can be checked and signalled without ever meaning another one. */
export class HeldProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly startTicks: string;
  #fd: number | null;
  readonly #buffer = Buffer.alloc(512);

  private constructor(pid: number, fd: number, stat: ProcStat) {
    this.pid = pid;
    this.#fd = fd;
    this.ppid = stat.ppid;
    this.startTicks = stat.startTicks;
  }

  /** Null when there is no such process, or only its remains (a zombie). */
  static hold(pid: number): HeldProcess | null {
    let fd: number;
    try {
      fd = openSync(`/proc/${pid}/stat`, 'r');
    } catch {
      return null;
    }
    const stat = readStat(fd, Buffer.alloc(512));
    if (stat === null || isDead(stat.state)) {
      closeSync(fd);
      return null;
    }
    return new HeldProcess(pid, fd, stat);
  }

  /** stopped: by SIGSTOP or a tracer; it does nothing, and only SIGKILL or SIGCONT reaches it. */
  state(): 'alive' | 'stopped' | 'gone' {
    if (this.#fd === null) return 'gone';
    const stat = readStat(this.#fd, this.#buffer);
    if (stat === null || isDead(stat.state)) {
      this.release();
      return 'gone';
    }
    return stat.state === 'T' || stat.state === 't' ? 'stopped' : 'alive';
  }

  /** False when it was gone already. */
  signal(signal: NodeJS.Signals): boolean {
    if (this.state() === 'gone') return false;
    try {
      process.kill(this.pid, signal);
      return true;
    } catch (error) {
      if (codeOf(error) === 'ESRCH') return false;
      throw error;
    }
  }

  /** Closes the descriptor; the process counts as gone from here on. */
  release(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

function isDead(state: string): boolean {
  return state === 'Z' || state === 'X' || state === 'x';
}

function readStat(fd: number, buffer: Buffer): ProcStat | null {
  try {
    const length = readSync(fd, buffer, 0, buffer.length, 0);
    return parseProcStat(buffer.toString('latin1', 0, length));
  } catch {
    // ESRCH: reaped.
    return null;
  }
}

/** `programs`: names of the server's program file (programNames). */
function homeOf(dataDir: string, programs: ReadonlySet<string>): Home {
  return { dataDir, programs, pidFile: readPidFile(dataDir) };
}

/**
 * Every process of the server of this data directory, orphans of a dead postmaster included. The
 * caller releases them.
 */
export function findServerProcesses(dataDir: string, programs: ReadonlySet<string> = usualPrograms): HeldProcess[] {
  const home = homeOf(dataDir, programs);
  const found: HeldProcess[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    if (pid === process.pid || !isServerProcess(pid, home)) continue;
    const held = HeldProcess.hold(pid);
    // Looked at again once held: between the two looks the pid may have changed hands.
    if (held && isServerProcess(pid, home)) found.push(held);
    else held?.release();
  }
  return found;
}

/** The postmaster that postmaster.pid names, if it is one. */
export function findPostmaster(dataDir: string, programs: ReadonlySet<string> = usualPrograms): HeldProcess | null {
  const home = homeOf(dataDir, programs);
  if (home.pidFile === null || home.pidFile.pid === process.pid) return null;
  const held = HeldProcess.hold(home.pidFile.pid);
  if (held === null) return null;
  // A child of a server process of this directory is a backend under a recycled pid.
  if (isServerProcess(held.pid, home) && !isServerProcess(held.ppid, home)) return held;
  held.release();
  return null;
}

/**
 * Finds the postmaster by its processes alone, in case somebody removed postmaster.pid. Orphans of
 * a dead postmaster do not count: they have no children.
 */
export function findPostmasterByScan(dataDir: string, programs: ReadonlySet<string> = usualPrograms): HeldProcess | null {
  const all = findServerProcesses(dataDir, programs);
  const parents = new Set(all.map((process) => process.ppid));
  const postmaster = all.find((process) => parents.has(process.pid)) ?? null;
  for (const process of all) if (process !== postmaster) process.release();
  return postmaster;
}

export interface PidFileOwner {
  readonly pid: number;
  readonly program: string;
  readonly verdict: 'server' | 'unrelated' | 'unexplained';
}

/**
 * The process with the pid that postmaster.pid names, because of which PostgreSQL would refuse to
 * start. Null: nobody.
 */
export function pidFileOwner(dataDir: string, programs: ReadonlySet<string> = usualPrograms): PidFileOwner | null {
  const home = homeOf(dataDir, programs);
  if (home.pidFile === null) return null;
  const { pid } = home.pidFile;
  const held = HeldProcess.hold(pid);
  if (held === null) return null;
  try {
    const verdict = pid === process.pid ? 'unrelated' : judgeOwner(pid, home);
    const program = describeProgram(pid);
    return held.state() === 'gone' ? null : { pid, program, verdict };
  } finally {
    held.release();
  }
}
