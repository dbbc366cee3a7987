/**
 * What failed by a setting is tried at once when that was mended; what fails again waits as long as
 * before.
 */
import { expect, it } from 'vitest';
import { memory, observation, pg, view } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';
import type { Job, JobOutcome } from '../effects.ts';
import type { Memory } from '../model.ts';

const start: Job = { kind: 'start', role: { kind: 'standby', source: null }, why: 'restarting after failure' };
const clone: Job = { kind: 'clone', source: { name: 'b', host: 'b', port: 5432 }, fromLeader: false };
const failed = (job: Job, configVersion: number): JobOutcome => ({
  job,
  ok: false,
  code: 'PG_START_FAILED',
  message: 'FATAL:  could not map anonymous shared memory',
  endedAtMs: 9_999,
  configVersion,
});
const jobs = (decision: ReturnType<typeof decide>) =>
  decision.effects.flatMap((effect) => (effect.kind === 'start-job' ? [effect.job.kind] : []));
const down = (configVersion: number, ended: readonly JobOutcome[], before: Memory = memory()) =>
  decide(
    observation({
      view: view({ leaderName: 'b' }),
      pg: pg.stopped({ state: 'shut down in recovery' }, { standbySignal: true }),
      configVersion,
      ended,
    }),
    before,
  );

it('a start', () => {
  const held = down(5, [failed(start, 5)]);
  expect([held.rule, jobs(held)]).toEqual(['stopped.start-failed', []]);
  const mended = down(6, [], held.memory);
  expect([mended.rule, jobs(mended)]).toEqual(['stopped.start-standby', ['start']]);
  const again = down(6, [failed(start, 6)], held.memory);
  expect(jobs(again)).toEqual([]);
  expect(again.memory.failures.start?.count).toBe(2);
});

it('a start during which the setting was mended', () => {
  expect(jobs(down(6, [failed(start, 5)]))).toEqual(['start']);
});

it('a clone', () => {
  const missing = (configVersion: number, ended: readonly JobOutcome[], before: Memory) =>
    decide(observation({ view: view({ leaderName: 'b' }), pg: pg.none, configVersion, ended }), before);
  const held = missing(5, [failed(clone, 5)], memory());
  expect(jobs(held)).toEqual([]);
  expect(jobs(missing(6, [], held.memory))).toEqual(['clone']);
});

it('but not a promotion: the other members have their turn first', () => {
  const leads = view({ leaderName: 'a' });
  const ended = [failed({ kind: 'promote', syncNames: null }, 5)];
  const held = decide(observation({ view: leads, pg: pg.standby(), configVersion: 5, ended }), memory());
  const changed = decide(observation({ view: leads, pg: pg.standby(), configVersion: 6 }), held.memory);
  expect([held.rule, changed.rule]).toEqual(['standby.promotion-failed', 'standby.promotion-failed']);
});
