/**
 * Reads Linux's /proc: who is whose child, where a process works, whether a recorded process is
 * still the same one. A process that ends while being read is simply not there; a process that may
 * not be read shows only what is public.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  /** Clock ticks between boot and start: with the boot id, no two processes share pid and this. */
  readonly startTicks: number;
  /** One letter of proc(5); Z is dead already. */
  readonly state: string;
  /** The program's name, 15 characters at most. */
  readonly name: string;
}

/** A process as recorded in a file: what a pid alone is not. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
}

export interface ProcessTable {
  rows(): ProcessRow[];
  row(pid: number): ProcessRow | null;
  /** null when unreadable: gone, or somebody else's. */
  cwd(pid: number): string | null;
  /** Environment as of the last exec; [] when unreadable. */
  environment(pid: number): string[];
  bootId(): string;
}

/**
 * Field numbers are those of proc_pid_stat(5); the name in field 2 may hold blanks and parentheses.
 */
export function parseStat(text: string): ProcessRow | null {
  const close = text.lastIndexOf(')');
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(close + 2).split(' ');
  const parent = Number(fields[1]);
  const startTicks = Number(fields[19]);
  if (close < 0 || !Number.isInteger(pid) || !Number.isInteger(parent) || !Number.isInteger(startTicks)) return null;
  return { pid, parent, startTicks, state: fields[0] ?? '?', name: text.slice(text.indexOf('(') + 1, close) };
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

let bootId: string | null = null;

export const procTable: ProcessTable = {
  rows() {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => procTable.row(Number(name)) ?? []);
  },
  row: (pid) => parseStat(attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? ''),
  cwd: (pid) => attempt(() => readlinkSync(`/proc/${pid}/cwd`)),
  environment: (pid) => (attempt(() => readFileSync(`/proc/${pid}/environ`, 'utf8')) ?? '').split('\0').filter((entry) => entry !== ''),
  bootId() {
    bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return bootId;
  },
};

export function identify(pid: number, table: ProcessTable = procTable): ProcessIdentity | null {
  const row = table.row(pid);
  return row && row.state !== 'Z' ? { pid, startTicks: row.startTicks, bootId: table.bootId() } : null;
}

export function isAlive(identity: ProcessIdentity, table: ProcessTable = procTable): boolean {
  const now = identify(identity.pid, table);
  return now !== null && now.startTicks === identity.startTicks && now.bootId === identity.bootId;
}

/** How a node's processes are known even when their parents are gone. */
export interface NodeMarks {
  readonly dataDir: string;
  /** `NAME=value`, given to the agent and inherited by all it starts. */
  readonly environmentEntry: string;
  /** The agent, if it was recorded. */
  readonly agent: ProcessIdentity | null;
}

/**
 * A postmaster works in its data directory and so do its children; it writes its title over its
 * environment. A shell that stands there is none.
 */
function servesDirectory(row: ProcessRow, dataDir: string, table: ProcessTable): boolean {
  if (row.name !== 'postgres') return false;
  const cwd = table.cwd(row.pid);
  return cwd === dataDir || cwd === `${dataDir} (deleted)`;
}

/**
 * Every living process of a node: the agent, the PostgreSQL of its data directory, whatever carries
 * its mark, and all their descendants. Agents and orphans come first, so that nobody is left to
 * restart what is killed next.
 */
export function nodeProcesses(marks: NodeMarks, table: ProcessTable = procTable): ProcessIdentity[] {
  const rows = table.rows().filter((row) => row.state !== 'Z' && row.pid !== process.pid);
  const members = new Set<number>();
  for (const row of rows) {
    const isAgent = marks.agent !== null && row.pid === marks.agent.pid && row.startTicks === marks.agent.startTicks;
    if (isAgent || servesDirectory(row, marks.dataDir, table) || table.environment(row.pid).includes(marks.environmentEntry))
      members.add(row.pid);
  }
  for (let grown = true; grown; ) {
    grown = false;
    for (const row of rows) {
      if (members.has(row.pid) || !members.has(row.parent)) continue;
      members.add(row.pid);
      grown = true;
    }
  }
  const depth = (row: ProcessRow) => (members.has(row.parent) ? 1 : 0);
  return rows
    .filter((row) => members.has(row.pid))
    .sort((one, other) => depth(one) - depth(other) || one.startTicks - other.startTicks)
    .map((row) => ({ pid: row.pid, startTicks: row.startTicks, bootId: table.bootId() }));
}
