/**
 * What `regent bench failover` and `regent bench idle` are asked to measure: their command lines,
 * and the plan that follows from them.
 */
import { parseArgs } from 'node:util';
import { RegentError } from '../src/support/errors.ts';

export const SYSTEMS = ['regent', 'patroni'] as const;
export type SystemId = (typeof SYSTEMS)[number];

export const SCENARIOS = [
  'start',
  'idle',
  'checks',
  'switchover',
  'postmaster',
  'node',
  'node-20',
  'node-5',
  'sync-idle',
  'sync-switchover',
  'sync-node',
  'sync-frozen',
  'sync-agent',
  'sync-etcd',
] as const;
export type ScenarioId = (typeof SCENARIOS)[number];

/** What `regent bench idle` measures. */
const IDLE_SCENARIOS: readonly ScenarioId[] = ['idle', 'checks', 'sync-idle'];

export const COMMANDS = ['failover', 'idle'] as const;
export type BenchCommand = (typeof COMMANDS)[number];

export interface BenchOptions {
  readonly runs: number;
  /** Over which the idle agents' CPU is counted, seconds. */
  readonly idleSeconds: number;
  readonly systems: readonly SystemId[];
  readonly scenarios: readonly ScenarioId[];
  /** Where all figures go as JSON. */
  readonly jsonFile: string | null;
}

const DEFAULT_RUNS = 3;
const RUNS_MAX = 100;
const IDLE_SECONDS = 60;
const QUICK_IDLE_SECONDS = 30;

export const USAGE = `usage: regent bench failover [--runs N] [--quick] [--only regent|patroni] [--scenario NAME ...] [--json FILE]
       regent bench idle [--runs N] [--quick] [--only regent|patroni] [--json FILE]

Builds clusters of three nodes, three etcd and HAProxy on loopback, in a temporary directory, breaks them under a client that writes
through HAProxy, and prints what the client saw; beside it the same for the Patroni that is installed on this machine, if any.
\`regent bench idle\` measures only what agents cost that have nothing to do, and what a health check costs them.

  --runs N         repetitions of each scenario (default ${DEFAULT_RUNS}); medians and ranges are printed
  --quick          one run, and ${QUICK_IDLE_SECONDS} s of idling instead of ${IDLE_SECONDS}
  --only SYSTEM    regent or patroni alone
  --scenario NAME  one of: ${SCENARIOS.join(', ')}; may be given several times (default: all)
                   start       from nothing to three healthy streaming nodes
                   idle        CPU and memory of agents that have nothing to do, without and with HAProxy's checks
                   checks      CPU of a single health check, at 1 and at 20 a second
                   switchover  by the REST API, to a named replica
                   postmaster  kill -9 of the primary's postmaster
                   node        kill -9 of all processes of the primary's node, at ttl 30; node-20, node-5: at smaller ones
                   sync-…      the same with synchronous replication, at ttl 30: idle (with beats, leader and voters apart), switchover, node;
                   the primary's node stands still (frozen),
                   its agent alone is killed (agent), all of etcd stands still for a minute (etcd). Regent runs in mode quorum, and so
                   does Patroni 4; an older Patroni has no such mode and runs in mode on
  --json FILE      writes every figure there
`;

function oneOf<T extends string>(kind: string, allowed: readonly T[], text: string): T {
  const found = allowed.find((one) => one === text);
  if (found !== undefined) return found;
  throw new RegentError('BENCH_OPTION', `${kind} ${text}: there is none of that name`, { mend: `give one of: ${allowed.join(', ')}` });
}

function runsOf(text: string | undefined, quick: boolean): number {
  if (text === undefined) return quick ? 1 : DEFAULT_RUNS;
  const runs = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (runs >= 1 && runs <= RUNS_MAX) return runs;
  throw new RegentError('BENCH_OPTION', `--runs ${text}: not a number of repetitions`, { mend: `give a number from 1 to ${RUNS_MAX}` });
}

/** null: help is wanted. Throws BENCH_OPTION. */
export function parseBenchOptions(args: readonly string[], command: BenchCommand = 'failover'): BenchOptions | null {
  const { values } = read(args);
  if (values.help) return null;
  if (command === 'idle' && values.scenario !== undefined) {
    throw new RegentError('BENCH_OPTION', '--scenario: idle has none', { mend: 'use: regent bench failover --scenario …' });
  }
  const quick = values.quick ?? false;
  return {
    runs: runsOf(values.runs, quick),
    idleSeconds: quick ? QUICK_IDLE_SECONDS : IDLE_SECONDS,
    systems: values.only === undefined ? SYSTEMS : [oneOf('--only', SYSTEMS, values.only)],
    scenarios:
      values.scenario === undefined
        ? command === 'idle'
          ? IDLE_SCENARIOS
          : SCENARIOS
        : [...new Set(values.scenario.map((name) => oneOf('--scenario', SCENARIOS, name)))],
    jsonFile: values.json ?? null,
  };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h' },
        runs: { type: 'string' },
        quick: { type: 'boolean' },
        only: { type: 'string' },
        scenario: { type: 'string', multiple: true },
        json: { type: 'string' },
      },
    });
  } catch (error) {
    throw new RegentError('BENCH_OPTION', error instanceof Error ? error.message : String(error), { mend: 'see: regent bench --help' });
  }
}
