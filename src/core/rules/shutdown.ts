/** SIGTERM: hand over and leave. */
import { jobLabel } from '../effects.ts';
import type { Rule } from './table.ts';
import { nothing } from './table.ts';

const endsByItself = (kind: string | undefined) => kind === 'handover' || kind === 'promote';

export const shutdownRules: readonly Rule[] = [
  {
    id: 'shutdown.paused',
    situation: 'asked to end while paused',
    when: (c) => c.o.wishes.shutdown && c.paused,
    ask: () => ({ effects: [{ kind: 'exit', code: 0, message: 'paused: PostgreSQL goes on without the agent' }] }),
    because: 'ending; PostgreSQL is left as it is because the cluster is paused',
  },
  {
    id: 'shutdown.cancel-job',
    situation: 'asked to end while a job that can be cancelled is running',
    when: (c) => c.o.wishes.shutdown && c.o.job !== null && !endsByItself(c.o.job.job.kind),
    ask: () => ({ effects: [{ kind: 'cancel-job', reason: 'the agent is ending' }], wakeInMs: 100 }),
    because: 'ending: cancelling the running job',
  },
  {
    id: 'shutdown.wait-job',
    situation: 'asked to end while a job that must finish is running',
    when: (c) => c.o.wishes.shutdown && c.o.job !== null,
    ask: () => ({ wakeInMs: 500 }),
    because: 'ending: waiting for the running job',
  },
  {
    id: 'shutdown.not-ours',
    situation: 'asked to end, and the server that runs here has not been taken over',
    when: (c) => c.o.wishes.shutdown && c.unadopted,
    ask: () => ({ effects: [{ kind: 'exit', code: 0, message: 'PostgreSQL, which was not taken over, goes on without the agent' }] }),
    because: 'ending; PostgreSQL is left as it is because it was not taken over',
  },
  {
    id: 'shutdown.stop',
    situation: 'asked to end, PostgreSQL is up',
    when: (c) => c.o.wishes.shutdown && c.o.pg.postmaster !== null,
    ask: () => ({ effects: [{ kind: 'start-job', job: { kind: 'handover', action: 'shutdown', candidate: null } }] }),
    because: 'ending: stopping PostgreSQL in good order',
  },
  {
    id: 'shutdown.release',
    situation: 'asked to end, PostgreSQL is down, the leader key is still ours',
    when: (c) => c.o.wishes.shutdown && c.lockMine,
    ask: () => ({ effects: [{ kind: 'release-leader', optime: null }], wakeInMs: 0 }),
    because: 'ending: releasing the leader key',
  },
  {
    id: 'shutdown.exit',
    situation: 'asked to end, nothing is left to do',
    when: (c) => c.o.wishes.shutdown,
    ask: () => ({ effects: [{ kind: 'exit', code: 0, message: 'ended in good order' }] }),
    because: 'ended',
  },
];

export const jobRules: readonly Rule[] = [
  {
    id: 'job.running',
    situation: 'a job is running',
    when: (c) => c.o.job !== null,
    ask: (c) => (c.o.job === null ? nothing : { because: `${jobLabel(c.o.job.job)} in progress` }),
    because: 'a job is in progress',
  },
];
