/** A copy of logical slots that runs: a failover does not wait for it. */
import { describe, expect, it } from 'vitest';
import { member, memory, observation, peer, peers, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';
import type { RunningJob } from '../effects.ts';
import { type Knocks, noLinks } from '../quorum/link-facts.ts';

const NOW_MS = 10_000;
const job = {
  kind: 'copy-slots',
  source: { name: 'b', host: 'b', port: 5432 },
  slots: ['app'],
  role: { kind: 'standby', source: null },
} as const;
const members = ['a', 'b', 'c'].map((name) => member(name, { raw: { beats: 1 }, ...(name === 'b' && { role: 'primary' }) }));
const led = view({ leaderName: 'b', members, sync: { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8' } });
const refused: Knocks = { agent: 'refused', postgres: 'refused', refusedTwice: true };

/** Member a copies slots from b, which leads a cluster in quorum mode. */
function during(scene: Scene, running: Partial<RunningJob> = {}) {
  const o = observation({
    nowMs: NOW_MS,
    view: led,
    settings: settings('a', { dynamic: { synchronousMode: 'quorum' } }),
    pg: pg.standby(),
    job: { job, startedAtMs: 1, ...running },
    peers: peers(peer('c')),
    links: { ...noLinks(-60_000), heard: { leader: 'b', atMs: NOW_MS - 50, lost: false } },
    ...scene,
  });
  const { rule, effects } = decide(o, memory());
  return [rule, ...effects.map(({ kind }) => kind)];
}
const missed: Scene = { links: { ...noLinks(-60_000), knocks: refused } };
const unheard: Scene = {
  ...missed,
  view: { ...led, sync: null },
  settings: settings('a', { dynamic: { failoverOnRefusal: true } }),
};

describe('a copy of logical slots', () => {
  it.each<[string, Scene]>([
    ['nobody leads', { view: { ...led, leader: null } }],
    ['this voter misses the leader', missed],
    ['the leader refuses connections, and that counts', unheard],
  ])('is put off where %s', (_, scene) => {
    expect(during(scene)).toEqual(['job.put-off-copy', 'cancel-job']);
    expect(during(scene, { stopping: true })[0]).toBe('job.running');
    expect(during(scene, { job: { kind: 'restart', role: job.role, why: 'restart', timeoutMs: null } })[0]).toBe('job.running');
  });

  it('goes on while the leader is heard', () => {
    expect(during({})[0]).toBe('job.running');
  });
});
