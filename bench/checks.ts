/**
 * What one health check costs an agent: HAProxy's `OPTIONS /primary`, each on a connection of its
 * own. The agent's rest is subtracted, as it was just before.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { RegentError } from '../src/support/errors.ts';
import { cpuOf } from './idle.ts';
import type { Lab } from './lab.ts';
import { nowMs } from './now.ts';

/** As a balancer asks, and as several of them and a monitoring do. */
export const RATES = [1, 20] as const;
export type Rate = (typeof RATES)[number];

export interface CheckCost {
  readonly perSecond: Rate;
  /** Milliseconds of CPU a check. */
  readonly cpuMs: number;
}

const REQUEST = 'OPTIONS /primary HTTP/1.0\r\n\r\n';
const ANSWER_MS = 2000;

/** One figure for each rate, of the agent of one node. */
export async function measureChecks(lab: Lab, leader: string, seconds: number, signal: AbortSignal): Promise<CheckCost[]> {
  const { restPort } = lab.node(leader);
  const { pid } = lab.process(leader)!.identity!;
  const costs: CheckCost[] = [];
  for (const perSecond of RATES) {
    const rest = await spent(pid, () => sleep(seconds * 1000, undefined, { signal }));
    const checked = await spent(pid, () => ask(restPort, perSecond, seconds, signal));
    const cpuMs = (checked.cpuMs - (rest.cpuMs * checked.tookMs) / rest.tookMs) / (perSecond * seconds);
    costs.push({ perSecond, cpuMs });
  }
  return costs;
}

async function spent(pid: number, during: () => Promise<void>): Promise<{ readonly cpuMs: number; readonly tookMs: number }> {
  const [before, begun] = [cpuOf(pid), nowMs()];
  await during();
  return { cpuMs: cpuOf(pid) - before, tookMs: nowMs() - begun };
}

async function ask(port: number, perSecond: number, seconds: number, signal: AbortSignal): Promise<void> {
  const begun = nowMs();
  for (let asked = 1; asked <= perSecond * seconds; asked += 1) {
    await askOnce(port);
    const dueMs = begun + (asked * 1000) / perSecond;
    await sleep(Math.max(0, dueMs - nowMs()), undefined, { signal });
  }
}

/** Throws BENCH_CHECK where no answer comes. */
function askOnce(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let answered = false;
    const failed = (why: string) => reject(new RegentError('BENCH_CHECK', `a health check failed: ${why}`, { policy: 'transient' }));
    const socket = connect(port, '127.0.0.1', () => socket.write(REQUEST));
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('no answer')));
    socket.on('data', () => {
      answered = true;
    });
    socket.on('error', (error) => failed(error.message));
    socket.on('close', () => (answered ? resolve() : failed('closed without an answer')));
  });
}
