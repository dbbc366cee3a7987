/** What an agent costs that has nothing to do, read from Linux's /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { procTable } from '../src/demo/process-table.ts';
import type { Lab } from './lab.ts';
import { nowMs } from './now.ts';

const KIB = 1024;

export interface Memory {
  readonly rssBytes: number;
  /** Pages shared with other processes count by share. */
  readonly pssBytes: number;
}

export interface IdleCost {
  /** Which of the agents leads; -1: none. */
  readonly leader: number;
  /** Milliseconds of CPU a second, one figure an agent. */
  readonly cpuMsPerSecond: readonly number[];
  readonly agents: readonly Memory[];
  /** Processes that the agents keep beside them, but PostgreSQL: Regent's guard. */
  readonly helpers: readonly Memory[];
}

/** Time on a CPU, the first figure of a thread's schedstat, ns. */
export function cpuMs(schedstat: string): number {
  const ns = Number(/^(\d+) \d+ \d+$/.exec(schedstat.trim())?.[1] ?? Number.NaN);
  if (!Number.isFinite(ns)) throw new Error('this is not a line of /proc/PID/task/TID/schedstat');
  return ns / 1e6;
}

/**
 * User and system time of all threads that are there, in ms. /proc/PID/stat counts in steps of 10
 * ms, too coarse for what is idle. Throws when the process is gone.
 */
export function cpuOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => sum + cpuMs(readFileSync(`${tasks}/${task}/schedstat`, 'utf8')), 0);
}

/** The sums of smaps_rollup, kB. */
export function memoryOf(rollup: string): Memory {
  const read = (name: string) => {
    const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1];
    if (kilobytes === undefined) throw new Error(`/proc/PID/smaps_rollup has no ${name}`);
    return Number(kilobytes) * KIB;
  };
  return { rssBytes: read('Rss'), pssBytes: read('Pss') };
}

const memoryOfProcess = (pid: number) => memoryOf(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));

/**
 * Nobody else may use the cluster meanwhile, but HAProxy where it runs. The rest before is for the
 * last of what the cluster's making set off.
 */
export async function measureIdle(lab: Lab, restSeconds: number, seconds: number, signal: AbortSignal): Promise<IdleCost> {
  await sleep(restSeconds * 1000, undefined, { signal });
  const pids = lab.plan.nodes.map((node) => lab.process(node.name)!.identity!.pid);
  const before = pids.map(cpuOf);
  const begun = nowMs();
  await sleep(seconds * 1000, undefined, { signal });
  const after = pids.map(cpuOf);
  const tookSeconds = (nowMs() - begun) / 1000;
  const leader = await lab.leader();
  return {
    leader: lab.plan.nodes.findIndex((node) => node.name === leader),
    cpuMsPerSecond: pids.map((_, index) => (after[index]! - before[index]!) / tookSeconds),
    agents: pids.map(memoryOfProcess),
    helpers: helpersOf(pids).map(memoryOfProcess),
  };
}

/**
 * A guard leads a session of its own, but its parent stays the agent that started it; PostgreSQL's
 * parent may be the agent too.
 */
function helpersOf(agents: readonly number[]): number[] {
  return procTable
    .rows()
    .filter((row) => agents.includes(row.parent) && row.name !== 'postgres')
    .map((row) => row.pid);
}
