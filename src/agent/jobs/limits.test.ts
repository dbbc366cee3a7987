/** A limit that the operator set holds, whatever a job waits for inside it. */
import { describe, expect, it } from 'vitest';
import { authority, pg, settings, view } from '../../../test/support/build.ts';
import { fake } from '../../../test/support/fake.ts';
import type { Job, ServerRole } from '../../core/effects.ts';
import type { DynamicSettings } from '../../core/settings.ts';
import type { StopOptions } from '../../ports/postgres.ts';
import { type JobPorts, runJob } from './run-job.ts';

interface Done {
  readonly what: string;
  readonly timeoutMs?: number;
}

/** Every step of a job with the time it was given; what the stop does is the test's. */
function scene(dynamic: Partial<DynamicSettings>, stop: (options: StopOptions) => void = () => {}) {
  const done: Done[] = [];
  const step =
    <T>(what: string, answer: T) =>
    async (...args: unknown[]): Promise<T> => {
      const timeoutMs = (args.at(-1) as { timeoutMs?: number } | undefined)?.timeoutMs;
      done.push({ what, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
      return answer;
    };
  const states = [pg.primary(), pg.primary(), pg.primary(), pg.stopped()];
  const ports: JobPorts = {
    settings: { current: () => settings('a', { dynamic }), local: () => settings('a').local, bootstrapConfig: () => ({}) },
    log: { info: () => {}, warning: () => {} },
    clock: fake<JobPorts['clock']>({ bootMs: () => 0 }),
    dcs: fake<JobPorts['dcs']>({ read: async () => view({ leaderName: 'a' }) }),
    watchdog: { disable: step('watchdog', undefined) },
    pg: fake<JobPorts['pg']>({
      observe: async () => (states.length > 1 ? states.shift()! : states[0]!),
      checkpoint: step('checkpoint', undefined),
      prePromote: step('pre_promote', true),
      setSyncNames: step('names', undefined),
      promote: step('promote', undefined),
      start: step('start', { notWritten: [] }),
      stop: async (_mode, options) => {
        done.push({ what: 'stop', timeoutMs: options.timeoutMs });
        stop(options);
        await new Promise((resolve) => setImmediate(resolve));
        done.push({ what: 'stopped' });
      },
    }),
    authority: { now: authority() },
    lease: fake<JobPorts['lease']>({ release: step('release', true) }),
    fence: { arm: step('arm', undefined), disarm: step('disarm', undefined) },
    watchdogKeeper: { activate: async () => true },
    configApplied: () => {},
    stopping: () => {},
    leaving: () => {},
    copied: () => {},
    announceStop: async () => {},
  };
  const run = (job: Job) => runJob(ports, job, new AbortController().signal);
  const limitOf = (what: string) => done.find((one) => one.what === what)?.timeoutMs;
  return { done, run, limitOf, ports };
}

const primary: ServerRole = { kind: 'primary', syncNames: null };
const standby: ServerRole = { kind: 'standby', source: null };
const names = (done: readonly Done[]) => done.map(({ what }) => what);

describe('primary_start_timeout', () => {
  it.each([
    ['bounds the start of a primary', primary, 15, 15_000],
    ['of 0 leaves it pg_ctl_timeout, as nobody else can lead', primary, 0, 60_000],
    ['does not hurry a standby', standby, 15, 60_000],
  ] as const)('%s', async (_, role, seconds, expectedMs) => {
    const { run, limitOf } = scene({ primaryStartTimeoutSeconds: seconds });
    await run({ kind: 'start', role, why: 'x' });
    expect(limitOf('start')).toBe(expectedMs);
  });

  it('bounds a restart that has no timeout of its own', async () => {
    for (const [timeoutMs, expectedMs] of [
      [null, 15_000],
      [5000, 5000],
    ] as const) {
      const { run, limitOf } = scene({ primaryStartTimeoutSeconds: 15 });
      await run({ kind: 'restart', role: primary, why: 'x', timeoutMs });
      expect(limitOf('start')).toBe(expectedMs);
    }
  });

  it('bounds pre_promote, because a script that hangs keeps the leader key from every member', async () => {
    const { run, limitOf } = scene({ primaryStartTimeoutSeconds: 15 });
    await run({ kind: 'promote', syncNames: null });
    expect(limitOf('pre_promote')).toBe(15_000);
  });
});

describe('primary_stop_timeout', () => {
  it.each([
    ['bounds a switchover in synchronous mode', 'quorum', { kind: 'handover', action: 'switchover', candidate: 'b' }, 7000],
    ['and a restart', 'quorum', { kind: 'restart', role: primary, why: 'x', timeoutMs: null }, 7000],
    ['but not asynchronously', 'off', { kind: 'handover', action: 'switchover', candidate: 'b' }, 60_000],
  ] as const)('%s', async (_, synchronousMode, job, expectedMs) => {
    const { run, limitOf } = scene({ synchronousMode, primaryStopTimeoutSeconds: 7 });
    await run(job);
    expect(limitOf('stop')).toBe(expectedMs);
  });
});

describe('the checkpoint before a stop', () => {
  it.each([
    [
      'may take its time in a switchover: clients lose nothing by it',
      { kind: 'handover', action: 'switchover', candidate: 'b' },
      {},
      86_400_000,
    ],
    ['is bounded where a standby cluster must take no more writes', { kind: 'demote-cluster' }, {}, 60_000],
    [
      'and as short there as the stop itself',
      { kind: 'demote-cluster' },
      { synchronousMode: 'quorum', primaryStopTimeoutSeconds: 7 },
      7000,
    ],
  ] as [string, Job, Partial<DynamicSettings>, number][])('%s', async (_, job, dynamic, expectedMs) => {
    const { run, limitOf } = scene(dynamic);
    await run(job);
    expect(limitOf('checkpoint')).toBe(expectedMs);
  });

  it('does not keep the stop from being made when it takes too long', async () => {
    const { run, done, ports } = scene({});
    ports.pg.checkpoint = async () => {
      throw new Error('too slow');
    };
    await run({ kind: 'demote-cluster' });
    expect(names(done)).toEqual(['stop', 'stopped', 'watchdog', 'disarm']);
  });
});

describe('the leader key in a handover', () => {
  const job: Job = { kind: 'handover', action: 'switchover', candidate: 'b' };

  it('is released once, when PostgreSQL is closed for writes and before its processes have ended', async () => {
    const { run, done } = scene({}, ({ onClosed }) => onClosed?.());
    await run(job);
    expect(names(done)).toEqual(['checkpoint', 'stop', 'watchdog', 'disarm', 'release', 'stopped']);
  });

  it('is released after a stop that closed and ended at once', async () => {
    const { run, done } = scene({});
    await run(job);
    expect(names(done)).toEqual(['checkpoint', 'stop', 'stopped', 'watchdog', 'disarm', 'release']);
  });
});
