/** A postmaster that is there and lets nobody in. */
import { expect, it } from 'vitest';
import { memory, observation, pg, settings, view } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';

const closed = pg.starting({ closed: true });
const mine = view({ leaderName: 'a' });
const theirs = view({ leaderName: 'b' });
const limitMs = settings('a').postgresql.pgCtlTimeoutSeconds * 1000;
const decided = (leads: typeof mine, sinceMs: number | null, job = false) => {
  const running = { job: { kind: 'handover', action: 'switchover', candidate: 'b' }, startedAtMs: 1 } as const;
  const scene = observation({ view: leads, pg: closed, nowMs: 100_000, ...(job ? { job: running } : {}) });
  return decide(scene, memory({ notRunningSinceMs: sinceMs }));
};

it.each([
  ['is no danger to the member that leads now', theirs, null, 'starting.standby', []],
  ['is ended when it has had its time', theirs, 100_000 - limitMs, 'starting.closed', ['demote-now']],
  ['is ended at once where this node leads: nobody else will', mine, null, 'starting.closed', ['demote-now']],
] as const)('a server that is closed for writes and does not end %s', (_, leads, sinceMs, rule, effects) => {
  const decision = decided(leads, sinceMs);
  expect(decision.rule).toBe(rule);
  expect(decision.effects.map(({ kind }) => kind)).toEqual(effects);
});

it('the job that stops it has its own deadline', () => {
  expect(decided(theirs, 100_000 - limitMs, true).rule).toBe('job.running');
});
