import { expect, test } from 'vitest';
import { lsn, memory, observation, pg, settings, view } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';

const source = {
  name: 'b',
  systemIdentifier: '7301234567890123456',
  timeline: 2,
  lsn: lsn(2000),
  inRecovery: false,
  history: [{ timeline: 1, switchLsn: lsn(1000), reason: 'x' }],
};

test.each([
  [{ removeDataDirectoryOnDivergedTimelines: true }, 'mend.copy'],
  [{ removeDataDirectoryOnRewindFailure: true }, 'mend.rewind-later'],
  [{}, 'mend.rewind-later'],
])('without a pg_rewind, the setting for histories that left counts: %j', (postgresql, rule) => {
  const crashed = pg.stopped({ state: 'in production', timeline: 1, checkpointLsn: lsn(1200) });
  const scene = { view: view({ leaderName: 'b' }), pg: crashed, source, settings: settings('a', { postgresql }) };
  const rewind = { count: 5, lastAtMs: 9_900, message: 'why', code: 'REWIND_NO_PROGRAM' };
  expect(decide(observation(scene), memory({ failures: { rewind } })).rule).toBe(rule);
});
