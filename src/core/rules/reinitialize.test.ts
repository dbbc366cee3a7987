/**
 * Reinitialize at the operator's request: on whatever lies there, unless it is another cluster's;
 * and what is said while nobody asks for it.
 */
import { describe, expect, it, test } from 'vitest';
import { memory, observation, pg, settings, view } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';
import type { PostgresFacts } from '../postgres-facts.ts';

const requests = { shutdown: false, restart: null, reinitialize: { fromLeader: false } };
const foreign: PostgresFacts = { ...pg.none, dataDir: 'foreign', dataDirTrouble: 'it has lost+found in it' };
const half: PostgresFacts = { ...foreign, dataDirTrouble: 'it has base, global, pg_wal and 12 more in it' };
const led = view({ leaderName: 'b' });
const paused = settings('a', { dynamic: { pause: true } });

const kinds = (scene: Parameters<typeof observation>[0]) => {
  const { rule, effects } = decide(observation(scene), memory());
  return [rule, ...effects.map((effect) => (effect.kind === 'start-job' ? effect.job.kind : effect.kind))];
};

describe('a request to reinitialize is carried out', () => {
  test.each<[string, PostgresFacts]>([
    ['over a half-emptied directory', half],
    ['over lost+found and .snapshot', foreign],
    ['over an interrupted clone', { ...pg.none, dataDir: 'incomplete', incompleteWork: 'clone' }],
    ['over an interrupted rewind', { ...pg.stopped(), dataDir: 'incomplete', incompleteWork: 'rewind' }],
    ['where there is nothing', pg.none],
    ['over good data', pg.standby()],
  ])('%s, in a pause as well', (_what, facts) => {
    expect(kinds({ view: led, pg: facts, requests })).toEqual(['request.reinitialize', 'reinitialize']);
    expect(kinds({ view: led, pg: facts, requests, settings: paused })).toEqual(['request.reinitialize', 'reinitialize']);
  });
});

describe('a request to reinitialize does nothing', () => {
  it('over the data of another cluster', () => {
    const theirs = { ...pg.stopped(), systemIdentifier: '1111111111111111111' };
    expect(kinds({ view: led, pg: theirs, requests })).toEqual(['data.other-cluster', 'exit']);
  });

  it('while no other member leads', () => {
    expect(kinds({ view: view(), pg: foreign, requests })).toEqual(['data.foreign']);
  });

  it('over a directory that cannot be read; the sentence gives the reason', () => {
    const unread: PostgresFacts = {
      ...pg.none,
      dataDir: 'inaccessible',
      dataDirTrouble: "EACCES: permission denied, open '/data/PG_VERSION'",
    };
    const decision = decide(observation({ view: led, pg: unread, requests }), memory());
    expect(decision.rule).toBe('data.inaccessible');
    expect(decision.because).toContain('data directory is not accessible: /data: EACCES: permission denied');
  });
});

it('names what is in the way, and the command, without a request', () => {
  const { because } = decide(observation({ view: led, pg: half }), memory());
  expect(because).toContain(
    'consider doing reinitialize: /data is not empty and no cluster: it has base, global, pg_wal and 12 more in it',
  );
  expect(because).toContain('run: regentctl reinit demo a');
});
