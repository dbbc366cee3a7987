/** How loud a round's sentence is: who loses the lead says so where people look. */
import { expect, it } from 'vitest';
import { keptLog } from '../../test/fixtures/operator-port.ts';
import { lsn, memory, observation, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { decide } from '../core/decide.ts';
import type { Memory } from '../core/model.ts';
import { RoundLog } from './round-log.ts';

function said(scene: Scene, over: Partial<Memory> = {}): readonly string[] {
  const log = keptLog();
  const rounds = new RoundLog({ log, settings: { current: () => settings('a') } });
  const decision = decide(observation(scene), memory({ role: 'primary', ...over }));
  rounds.say(decision);
  rounds.say(decision);
  return log.lines.filter((line) => !line.startsWith('debug')).map((line) => line.replace(/ \{.*$/, ''));
}

const key = { leaseId: 'lease-a', stepDownAtMs: 11_000 };

it.each<[string, Scene, Partial<Memory>, RegExp]>([
  [
    'etcd is away',
    { view: null, pg: pg.primary(), nowMs: 33_001, key },
    {},
    /^warning demoted self because DCS is not accessible and I was a leader: test$/,
  ],
  [
    'another leads',
    { view: view({ leaderName: 'b' }), pg: pg.primary() },
    {},
    /^warning demoting self because I do not have the lock .*: b has it$/,
  ],
  [
    'the guard does not answer',
    { view: view({ leaderName: 'a' }), pg: pg.primary(), guardHealthy: false },
    {},
    /^warning demoting self because the guard/,
  ],
  [
    'the promotion failed',
    { view: view({ leaderName: 'a' }) },
    { failures: { promote: { count: 1, lastAtMs: 9_990, message: 'x' } } },
    /^warning Promotion cancelled/,
  ],
  [
    'the cluster is on a later timeline',
    {
      view: view({ history: [{ timeline: 4, switchLsn: lsn(1), reason: 'x' }] }),
      pg: pg.primary({ timeline: 3 }),
    },
    {},
    /^warning demoting self because i am not the healthiest node: the cluster is on timeline 5, this node on 3$/,
  ],
])('it is a warning, logged once, with its cause: %s', (_, scene, over, line) => {
  expect(said(scene, over)).toEqual([expect.stringMatching(line)]);
});

it.each<[string, Scene]>([
  ['it leads on', { view: view({ leaderName: 'a' }), pg: pg.primary() }],
  [
    'it was told to end',
    { view: view({ leaderName: 'a' }), pg: pg.stopped(), requests: { shutdown: true, restart: null, reinitialize: null } },
  ],
])('it is no warning where %s', (_, scene) => {
  expect(said(scene)).toEqual([expect.stringMatching(/^info /)]);
});
