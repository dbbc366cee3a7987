/**
 * The sentences of rules in situations of which another sentence was told: what an operator reads
 * is what has happened.
 */
import { describe, expect, it } from 'vitest';
import { memory, observation, peer, peers, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { decide } from './decide.ts';
import type { Memory } from './model.ts';

const because = (scene: Scene, remembered: Partial<Memory> = {}) => decide(observation(scene), memory(remembered)).because;
const mine = view({ leaderName: 'a' });

describe('a start as a standby', () => {
  const label = (remembered: Partial<Memory>, scene: Scene = { view: view(), pg: pg.stopped() }) => {
    const [job] = decide(observation(scene), memory(remembered)).effects.flatMap((effect) =>
      effect.kind === 'start-job' && effect.job.kind === 'start' ? [effect.job.why] : [],
    );
    return job;
  };
  const failure = { start: { count: 1, lastAtMs: 0, message: 'no' } };

  it('of a replica whose server has died is called by its name', () => {
    const died: Scene = { view: view(), pg: pg.stopped({ state: 'in archive recovery' }) };
    expect(label({ role: 'replica', state: 'running' }, died)).toBe('restarting after failure');
  });

  it.each<[string, Partial<Memory>, string]>([
    ['after a switchover', { role: 'primary', state: 'stopped' }, 'starting after demotion'],
    ['that was tried in vain', { role: 'replica', state: 'stopped', failures: failure }, 'restarting after failure'],
    [
      'after a restart that failed',
      { role: 'replica', state: 'stopped', failures: { restart: failure.start } },
      'restarting after failure',
    ],
    ['when the machine has started', { role: 'replica', state: 'stopped' }, 'starting as a secondary'],
  ])('%s is called by its name', (_what, remembered, expected) => {
    expect(label(remembered)).toBe(expected);
  });
});

describe('a server that hangs', () => {
  const silent: Scene = { view: mine, pg: { ...pg.primary(), state: 'unresponsive', sql: null } };
  const since = { notRunningSinceMs: -30_000 };

  it('is not said to have taken too long to start', () => {
    expect(because({ ...silent, peers: peers(peer('b')) }, since)).toBe('stopped PostgreSQL because it has not answered for 40 seconds');
    expect(because(silent, since)).toBe(
      'PostgreSQL has not answered for longer than postgresql_unresponsive_after, but continuing to wait because failover is not possible',
    );
  });
});

it('a candidate that is no member is not said to be silent', () => {
  const request = { leader: 'a', candidate: 'nobody', scheduledAtMs: null, scheduledAt: null, modRevision: '9' };
  const said = because({ view: { ...mine, failover: request }, pg: pg.primary(), peers: peers(peer('b')) });
  expect(said).toBe('switchover is not possible: nobody is not a member of this cluster');
});

it.each([false, true])('data of another cluster: the sentence names both clusters and the remedy (paused: %s)', (pause) => {
  const scene = {
    view: view({ leaderName: 'b', initialize: '9999999999999' }),
    pg: pg.standby(),
    settings: settings('a', { dynamic: { pause } }),
  };
  const said = because(scene);
  expect(said).toContain('system ID mismatch, node a belongs to a different cluster: 9999999999999 != 7301234567890123456. ');
  expect(said).toMatch(
    /correct scope, namespace or data_dir; if they are not needed, move them away, and this node is cloned from the leader$/,
  );
});
