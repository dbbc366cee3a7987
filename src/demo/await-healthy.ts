/**
 * Waits, step by step and bounded in time, until a demo is what it should be, and says meanwhile
 * what is missing.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RegentError } from '../support/errors.ts';
import { lastLines } from '../support/exec.ts';
import {
  findHead,
  type Head,
  haproxyPools,
  healthyEtcd,
  isPaused,
  missingBehindLeader,
  tryWrite,
  viewNode,
  writesGoTo,
} from './observe.ts';
import type { DemoPlan } from './plan.ts';
import type { Progress } from './progress.ts';
import type { DemoState } from './state.ts';

const POLL_MS = 100;
/**
 * What a paused cluster does by itself (its primary takes the leader key again) it has done by
 * then.
 */
const PAUSE_SHOWS_MS = 3000;
const LOG_LINES = 15;

/** Tells what is still missing; null when nothing is. */
type Check = () => Promise<string | null>;

interface Step {
  readonly title: string;
  readonly timeoutMs: number;
  readonly check: Check;
  readonly result: () => string;
  /** Whose log explains a failure. */
  readonly culprits: () => readonly string[];
}

export interface HealthWatch {
  readonly plan: DemoPlan;
  readonly progress: Progress;
  /** The supervisor's word; throws when there is no supervisor any more. */
  readonly state: () => Promise<DemoState>;
  readonly isCancelled: () => boolean;
}

function missingOf(all: readonly string[], present: readonly string[]): string[] {
  return all.filter((name) => !present.includes(name));
}

function steps(plan: DemoPlan): Step[] {
  const etcdNames = plan.etcd.map((member) => member.name);
  const nodeNames = plan.nodes.map((node) => node.name);
  let absent: readonly string[] = etcdNames;
  let leader: Head | null = null;
  let late: readonly string[] = nodeNames;
  const describeNodes = async (): Promise<ReadonlyArray<readonly [name: string, state: string]>> =>
    Promise.all(plan.nodes.map(async (node) => [node.name, (await viewNode(node))?.state ?? 'starting'] as const));
  const inWords = (states: ReadonlyArray<readonly [string, string]>) => states.map(([name, state]) => `${name} ${state}`).join(' · ');
  return [
    {
      title: 'etcd',
      timeoutMs: 30_000,
      culprits: () => absent,
      result: () => `etcd: ${etcdNames.length} members agree`,
      check: async () => {
        absent = missingOf(etcdNames, await healthyEtcd(plan));
        return absent.length === 0 ? null : `waiting for ${absent.join(', ')}`;
      },
    },
    {
      title: 'leader',
      timeoutMs: 90_000,
      culprits: () => nodeNames,
      result: () =>
        leader?.isStandby
          ? `leader: ${leader.name} leads a standby cluster, which takes no writes`
          : `leader: ${leader?.name} takes writes`,
      check: async () => {
        leader = await findHead(plan);
        return leader === null ? inWords(await describeNodes()) : null;
      },
    },
    {
      title: 'replicas',
      timeoutMs: 180_000,
      culprits: () => late,
      result: () => (nodeNames.length === 1 ? 'replicas: none asked for' : `replicas: ${nodeNames.length - 1} streaming`),
      check: async () => {
        const states = await describeNodes();
        leader = (await findHead(plan)) ?? leader;
        const waiting = states.filter(([name, state]) => name !== leader?.name && state !== 'streaming');
        late = waiting.map(([name]) => name);
        if (waiting.length > 0) return inWords(waiting);
        return nodeNames.length === 1 || leader === null ? null : missingBehindLeader(leader.node);
      },
    },
    {
      title: 'HAProxy',
      timeoutMs: 30_000,
      culprits: () => ['haproxy', 'router'],
      result: () => `HAProxy: ${leader?.isStandby ? 'writes go nowhere' : `writes go to ${leader?.name}`}, reads to all`,
      check: async () => {
        const pools = await haproxyPools(plan);
        leader = (await findHead(plan)) ?? leader;
        const unread = missingOf(nodeNames, pools.read);
        if (leader !== null && !writesGoTo(pools, leader))
          return `writes go to ${pools.write.join(', ') || 'nobody'}, not yet to ${leader.isStandby ? 'nobody' : `${leader.name} alone`}`;
        if (unread.length > 0) return `reads do not go to ${unread.join(', ')} yet`;
        return leader?.isStandby ? null : tryWrite(plan);
      },
    },
  ];
}

async function logTails(plan: DemoPlan, names: readonly string[]): Promise<string> {
  const tails: string[] = [];
  for (const name of names) {
    const text = await readFile(`${plan.logDir}/${name}.log`, 'utf8').catch(() => '');
    if (text.trim() !== '') tails.push(`--- the end of ${plan.logDir}/${name}.log\n${lastLines(text, LOG_LINES)}`);
  }
  return tails.join('\n');
}

async function failStep(watch: HealthWatch, code: string, message: string, names: readonly string[]): Promise<never> {
  watch.progress.end();
  const tails = await logTails(watch.plan, names);
  throw new RegentError(code, tails === '' ? message : `${message}\n${tails}`, { mend: `the whole logs are in ${watch.plan.logDir}` });
}

/**
 * A process that nobody will start again stops the wait; so does one whose program cannot be run.
 */
async function checkProcesses(watch: HealthWatch): Promise<void> {
  const state = await watch.state();
  const lost = state.processes.filter((entry) => entry.identity === null && entry.wanted !== 'running');
  if (lost.length === 0) return;
  const names = lost.map((entry) => entry.name);
  const how = lost.map((entry) => `${entry.name} ${entry.ended ?? 'is not running'}`).join('; ');
  await failStep(watch, 'DEMO_PROCESS_LOST', how, names);
}

/**
 * paused: it is up as it was left, and the agents start and promote nothing until somebody resumes
 * it.
 */
export type Awaited = 'healthy' | 'paused' | 'cancelled';

/** Throws DEMO_NOT_HEALTHY, with the ends of the logs, when a step takes too long. */
export async function awaitHealthy(watch: HealthWatch): Promise<Awaited> {
  for (const step of steps(watch.plan)) {
    watch.progress.begin(step.title);
    const begun = Date.now();
    const end = begun + step.timeoutMs;
    for (;;) {
      if (watch.isCancelled()) {
        watch.progress.end();
        return 'cancelled';
      }
      const missing = await step.check();
      if (missing === null) break;
      watch.progress.waitingFor(missing);
      await checkProcesses(watch);
      if (Date.now() - begun >= PAUSE_SHOWS_MS && (await isPaused(watch.plan))) {
        watch.progress.end();
        return 'paused';
      }
      if (Date.now() >= end) {
        await failStep(watch, 'DEMO_NOT_HEALTHY', `${step.title} not ready after ${step.timeoutMs / 1000} s: ${missing}`, step.culprits());
      }
      await sleep(POLL_MS);
    }
    watch.progress.done(step.result());
  }
  return 'healthy';
}
