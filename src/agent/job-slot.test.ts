import { expect, it } from 'vitest';
import { keptLog } from '../../test/fixtures/operator-port.ts';
import { manualClock } from '../../test/support/manual-clock.ts';
import type { Job, JobOutcome } from '../core/effects.ts';
import { RegentError } from '../support/errors.ts';
import { type JobBody, type JobSigns, JobSlot } from './job-slot.ts';

it.each<[Job, RegExp]>([
  [{ kind: 'bootstrap' }, /^error Failed to bootstrap cluster: no room /],
  [{ kind: 'clone', source: null, fromLeader: false }, /^error bootstrap \(without leader\) failed: no room /],
])('logs why a job failed, in the words that people search for', async (job, line) => {
  const log = keptLog();
  const ended = await new Promise<JobOutcome>((resolve) => {
    const slot = new JobSlot({ clock: manualClock(), log }, { started: () => {}, ended: resolve, wake: () => {} });
    slot.start(job, 1, async () => {
      throw new RegentError('NO_ROOM', 'no room', { mend: 'make room' });
    });
  });
  expect(ended).toMatchObject({ ok: false, code: 'NO_ROOM', message: 'no room' });
  expect(log.lines).toEqual([expect.stringMatching(line)]);
});

it('does not call a copy of slots failed that is only put off', async () => {
  const log = keptLog();
  await new Promise<JobOutcome>((resolve) => {
    const slot = new JobSlot({ clock: manualClock(), log }, { started: () => {}, ended: resolve, wake: () => {} });
    slot.start({ kind: 'checkpoint' }, 1, () => Promise.reject(new RegentError('SLOT_COPY_POSTPONED', 'not now')));
  });
  expect(log.lines).toEqual(['info not now']);
});

it('tells which slots it has copied', async () => {
  const ended = await new Promise<JobOutcome>((resolve) => {
    const slot = new JobSlot({ clock: manualClock(), log: keptLog() }, { started: () => {}, ended: resolve, wake: () => {} });
    slot.start({ kind: 'checkpoint' }, 1, async ({ copied }) => copied(['app']));
  });
  expect(ended).toMatchObject({ ok: true, copied: ['app'] });
});

it('tells of a job that failed whether PostgreSQL was stopped for it', async () => {
  const outcome = (body: JobBody) =>
    new Promise<JobOutcome>((resolve) => {
      const slot = new JobSlot({ clock: manualClock(), log: keptLog() }, { started: () => {}, ended: resolve, wake: () => {} });
      slot.start({ kind: 'checkpoint' }, 1, body);
    });
  const fails = () => Promise.reject(new Error('no room'));
  expect(await outcome(fails)).not.toHaveProperty('stopped');
  const stops = ({ stopping }: JobSigns) => {
    stopping();
    return fails();
  };
  expect(await outcome(stops)).toMatchObject({ ok: false, stopped: true });
});

it('says of the running job that it takes PostgreSQL down, once it does', async () => {
  const jobs: JobSigns[] = [];
  const slot = new JobSlot({ clock: manualClock(), log: keptLog() }, { started: () => {}, ended: () => {}, wake: () => {} });
  expect(slot.running).toBeNull();
  slot.start({ kind: 'checkpoint' }, 1, (signs, signal) => {
    jobs.push(signs);
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  expect(slot.running).not.toHaveProperty('stopping');
  jobs[0]?.stopping();
  expect(slot.running).toMatchObject({ job: { kind: 'checkpoint' }, stopping: true });
});
