/** A live process in postmaster.pid that nobody knows is not a server that is down. */
import { expect, it } from 'vitest';
import { memory, observation, peer, peers, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';

const scene = (over: Scene = {}): Scene => ({ pg: pg.unexplained(), nowMs: 10_000, ...over });
const lease = { leaseId: 'lease-a', confirmedSentAtMs: 9000, ttlSeconds: 30 };
const decided = (over: Scene = {}, m = memory()) => decide(observation(scene(over)), m);

it.each<[string, Scene]>([
  ['another leads', { view: view({ leaderName: 'b' }) }],
  ['nobody leads', { view: view(), peers: peers(peer('b'), peer('c')) }],
  ['the key is ours, on a lease from before', { view: view({ leaderName: 'a', leaderLease: 'before' }), lease }],
  ['the key is ours', { view: view({ leaderName: 'a' }), lease }],
  ['etcd does not answer', { view: null }],
  ['the cluster was never initialized', { view: { ...view(), initialize: null } }],
  [
    'a rewind was interrupted',
    { view: view({ leaderName: 'b' }), pg: pg.unexplained({ dataDir: 'incomplete', incompleteWork: 'rewind' }) },
  ],
  ['a clone was interrupted', { view: view({ leaderName: 'b' }), pg: pg.unexplained({ dataDir: 'incomplete', incompleteWork: 'clone' }) }],
  [
    'the operator wants it cloned anew',
    { view: view({ leaderName: 'b' }), requests: { shutdown: false, restart: null, reinitialize: { fromLeader: false } } },
  ],
  ['paused, the key is ours', { view: view({ leaderName: 'a' }), lease, settings: settings('a', { dynamic: { pause: true } }) }],
])('nothing is started, led, replaced or given back: %s', (_, over) => {
  const { rule, effects, because, memory: after } = decided(over);
  expect(rule).toBe('unexplained.wait');
  expect(effects).toEqual([]);
  expect(because).toContain('process 77 (sleep 60) is named in postmaster.pid');
  expect(after.state).toBe('unknown');
});

it('an agent that is told to end leaves the process, the key and, where it may lead, the guard', () => {
  const requests = { shutdown: true, restart: null, reinitialize: null };
  const exit = (over: Scene) => decided({ ...over, requests }).effects;
  expect(exit({ view: view({ leaderName: 'b' }) })).toMatchObject([{ kind: 'exit', code: 0 }]);
  expect(exit({ view: view({ leaderName: 'a' }), lease })).toMatchObject([{ kind: 'exit', code: 1 }]);
});

it('a former primary is not shown as one', () => {
  expect(decided({ view: view({ leaderName: 'a' }), lease }, memory({ role: 'primary', state: 'running' })).memory.role).toBe('demoted');
});
