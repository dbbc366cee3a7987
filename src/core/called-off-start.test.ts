/** A start that this agent called off itself says nothing against the node. */
import { expect, it } from 'vitest';
import { memory, observation, pg, view } from '../../test/support/build.ts';
import type { Job, JobOutcome } from './effects.ts';
import { remember } from './remember.ts';

const START: Job = { kind: 'start', role: { kind: 'standby', source: null }, why: 'starting as a secondary' };
const REINIT: Job = { kind: 'reinitialize', source: { name: 'b', host: 'b', port: 5432 }, fromLeader: false };
const ended = (job: Job, code: string | null): JobOutcome => ({ job, ok: code === null, code, message: code, endedAtMs: 9000 });
const abstains = (...outcomes: readonly JobOutcome[]) =>
  remember(observation({ view: view({ leaderName: 'b' }), pg: pg.standby(), ended: outcomes }), memory()).abstainUntilMs;

it('leaves the race open to the node, where one that failed keeps it out for ten seconds', () => {
  expect(abstains(ended(START, 'PG_START_FAILED'))).toBe(19_000);
  expect(abstains(ended(START, 'PG_START_ABORTED'))).toBeNull();
});

it('and a new copy of the data ends what was held against the old ones', () => {
  expect(abstains(ended(START, 'PG_START_FAILED'), ended(REINIT, null))).toBeNull();
});
