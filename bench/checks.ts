/**
 * What one health check costs an agent: HAProxy's `OPTIONS /primary`, each on a connection of its
 * own. The agent's rest is subtracted. Rest and checks take turns, and medians count: a garbage
 * collection costs as much as a hundred checks.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { RegentError } from '../src/support/errors.ts';
import { summarize } from './figures.ts';
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

/** As long as the agents' loop_wait, so that each turn has one round. */
const TURN_SECONDS = 10;
const REQUEST = 'OPTIONS /primary HTTP/1.0\r\n\r\n';
const ANSWER_MS = 2000;

/** One figure for each rate, of the agent of one node. */
export async function measureChecks(lab: Lab, leader: string, seconds: number, signal: AbortSignal): Promise<CheckCost[]> {
  const { restPort } = lab.node(leader);
  const { pid } = lab.process(leader)!.identity!;
  const rates = [0, ...RATES];
  const turns: number[][] = rates.map(() => []);
  for (let left = seconds; left > 0; left -= TURN_SECONDS) {
    for (const [index, rate] of rates.entries()) turns[index]!.push(await perSecondOf(pid, () => ask(restPort, rate, signal)));
  }
  const [rest = 0, ...asked] = turns.map((figures) => summarize(figures)!.median);
  return RATES.map((perSecond, index) => ({ perSecond, cpuMs: (asked[index]! - rest) / perSecond }));
}

/** Milliseconds of CPU a second. */
async function perSecondOf(pid: number, during: () => Promise<void>): Promise<number> {
  const [before, begun] = [cpuOf(pid), nowMs()];
  await during();
  return ((cpuOf(pid) - before) * 1000) / (nowMs() - begun);
}

/** For one turn. */
async function ask(port: number, perSecond: number, signal: AbortSignal): Promise<void> {
  const begun = nowMs();
  const until = (ms: number) => sleep(Math.max(0, begun + ms - nowMs()), undefined, { signal });
  for (let asked = 0; asked < perSecond * TURN_SECONDS; asked += 1) {
    await until((asked * 1000) / perSecond);
    await askOnce(port);
  }
  await until(TURN_SECONDS * 1000);
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
