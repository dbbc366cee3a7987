/**
 * Timelines of one number, one history and one fingerprint (M13): what is done about a node that is
 * on the wrong one.
 */
import { expect, it } from 'vitest';
import { lsn, memory, observation, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { decide } from './decide.ts';

const history = [{ timeline: 1, switchLsn: lsn(1100), reason: 'x' }];
const ours = { localHistory: history, timelineFingerprint: 'aa' };
const stopped = pg.stopped({ state: 'shut down', timeline: 2, checkpointLsn: lsn(1500) }, ours);
const standby = { ...pg.standby({ timeline: 2, receiveLsn: lsn(1500), replayLsn: lsn(1500), receiver: null }), ...ours };
/**
 * The leader has left timeline 2 since, past our position: by numbers and positions we could
 * follow.
 */
const source = (timelineFingerprint: string) => ({
  name: 'b',
  systemIdentifier: '7301234567890123456',
  timeline: 3,
  lsn: lsn(2000),
  inRecovery: false,
  history: [...history, { timeline: 2, switchLsn: lsn(1900), reason: 'x' }],
  timelineFingerprint,
});
const leader = view({ leaderName: 'b' });
const mayRemove = settings('a', { postgresql: { removeDataDirectoryOnRewindFailure: true } });

const asked = (scene: Scene) => {
  const { rule, effects, because } = decide(observation({ view: leader, ...scene }), memory());
  return { rule, because, kinds: effects.map((effect) => (effect.kind === 'start-job' ? effect.job.kind : effect.kind)) };
};

it('a node that is down is cloned where that is allowed, and not rewound', () => {
  expect(asked({ pg: stopped, source: source('bb'), settings: mayRemove })).toMatchObject({
    rule: 'mend.copy',
    kinds: ['reinitialize'],
  });
  expect(asked({ pg: stopped, source: source('aa'), settings: mayRemove })).toMatchObject({
    rule: 'stopped.start-standby',
    kinds: ['start'],
  });
});

it('where it is not allowed, the log names the command to type', () => {
  const { rule, because, kinds } = asked({ pg: stopped, source: source('bb') });
  expect([rule, kinds]).toEqual(['mend.rewind-blind', ['mark-strayed']]);
  expect(because).toMatch(/both have a timeline 2, each its own\); run: regentctl reinit/);
});

it('a running standby does not go on waiting for WAL that will never fit', () => {
  expect(asked({ pg: standby, source: source('bb'), settings: mayRemove })).toMatchObject({
    rule: 'mend.copy',
    kinds: ['reinitialize'],
  });
  expect(asked({ pg: standby, source: source('aa'), settings: mayRemove }).rule).toBe('standby.follow');
});
