/** SIGTERM: hand over and end. */
import type { Context } from '../context.ts';
import { type Job, jobLabel, stopsInOrder } from '../effects.ts';
import { isRefused } from '../quorum/refusal.ts';
import { missesLeader } from '../quorum/suspicion.ts';
import { always, nothing, type Section } from './table.ts';

const endsByItself = (job: Job) => stopsInOrder(job) || job.kind === 'promote';

export const ending: Section = {
  title: 'Ending',
  situation: 'the agent was asked to end',
  when: (c) => c.o.requests.shutdown,
  rules: [
    {
      id: 'shutdown.paused',
      situation: 'the cluster is paused',
      when: (c) => c.paused,
      ask: () => ({ effects: [{ kind: 'exit', code: 0, message: 'paused: PostgreSQL goes on without the agent' }] }),
      because: 'ending; PostgreSQL is left as it is because the cluster is paused',
    },
    {
      id: 'shutdown.cancel-job',
      situation: 'a job that can be cancelled is running',
      when: (c) => c.o.job !== null && !endsByItself(c.o.job.job),
      ask: () => ({ effects: [{ kind: 'cancel-job', reason: 'the agent is ending' }], wakeInMs: 100 }),
      because: 'ending: cancelling the running job',
    },
    {
      id: 'shutdown.without-key',
      situation: 'PostgreSQL may take writes, and nobody holds the leader key: there is no lead to hand over, and its guard strikes soon',
      when: (c) => c.mayBeWritable && c.unlocked,
      ask: (c) => ({
        effects: [
          ...(c.o.job === null ? [] : [{ kind: 'cancel-job', reason: 'the leader key is gone' } as const]),
          { kind: 'demote-now', mode: 'fast' },
        ],
      }),
      because: 'ending: stopping PostgreSQL, a primary without the leader key',
    },
    {
      id: 'shutdown.wait-job',
      situation: 'a job that must finish is running',
      when: (c) => c.o.job !== null,
      ask: () => ({ wakeInMs: 500 }),
      because: 'ending: waiting for the running job',
    },
    {
      id: 'shutdown.not-ours',
      situation: 'this agent has not taken over the server that runs here',
      when: (c) => c.unadopted,
      ask: () => ({ effects: [{ kind: 'exit', code: 0, message: 'PostgreSQL, which was not taken over, goes on without the agent' }] }),
      because: 'ending; PostgreSQL is left as it is because it was not taken over',
    },
    {
      id: 'shutdown.stop',
      situation: 'PostgreSQL is up',
      when: (c) => c.o.pg.postmaster !== null,
      ask: () => ({ effects: [{ kind: 'start-job', job: { kind: 'handover', action: 'shutdown', candidate: null } }] }),
      because: 'ending: stopping PostgreSQL in good order',
    },
    {
      id: 'shutdown.release',
      situation: 'PostgreSQL is down, and the leader key still names this node',
      when: (c) => c.lockMine,
      ask: () => ({ effects: [{ kind: 'release-leader', optime: null }], wakeInMs: 0 }),
      because: 'ending: releasing the leader key',
    },
    {
      id: 'shutdown.exit',
      situation: 'nothing is left to do',
      when: always,
      ask: () => ({ effects: [{ kind: 'exit', code: 0, message: 'ended in good order' }] }),
      because: 'ended',
    },
  ],
};

/** If the lease was not renewed in this round, the rules before have said so. */
const duringJob = (c: Context, label: string) =>
  c.lockMine && c.mayLeadNow ? `updated leader lock during ${label}` : `${label} in progress`;

/**
 * The copy waits for others, longer than a failover takes. Once PostgreSQL stops for it, the
 * shortest way back is to let it end.
 */
function isCopyToPutOff(c: Context): boolean {
  const { job } = c.o;
  if (job === null || job.job.kind !== 'copy-slots' || job.stopping === true) return false;
  return c.unlocked || missesLeader(c) || isRefused(c);
}

export const jobRunning: Section = {
  title: 'A job is running',
  situation: 'a job is running',
  when: (c) => c.o.job !== null,
  rules: [
    {
      id: 'job.put-off-copy',
      situation:
        'logical slots are being copied, PostgreSQL is not stopped for it yet, and nobody leads, or the leader is missed or refuses connections',
      when: (c) => isCopyToPutOff(c),
      ask: () => ({ effects: [{ kind: 'cancel-job', reason: 'the leader is gone or missed; a failover comes first' }], wakeInMs: 100 }),
      because: 'putting off the copy of logical slots: nobody leads, or the leader is missed; a failover comes first',
    },
    {
      id: 'job.running',
      situation: 'always',
      when: always,
      ask: (c) => (c.o.job === null ? nothing : { because: duringJob(c, jobLabel(c.o.job.job)) }),
      because: 'a job is in progress',
    },
  ],
};
