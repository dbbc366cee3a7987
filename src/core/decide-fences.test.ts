/** Who may go on taking writes when etcd, the leader key or the guard cannot be relied on. */
import { expect, it } from 'vitest';
import { memory, observation, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { decide } from './decide.ts';
import type { Memory } from './model.ts';

const paused = settings('a', { dynamic: { pause: true } });
const held = (leaseId: string, stepDownAtMs: number): Scene => ({ key: { leaseId, stepDownAtMs } });

const table: ReadonlyArray<readonly [name: string, scene: Scene, rule: string, effects: readonly string[], remembered?: Partial<Memory>]> =
  [
    [
      'etcd silent, the lease good, but it was not seen to hold the key',
      { view: null, pg: pg.primary() },
      'fence.lease-ended',
      ['cancel-job', 'demote-now'],
    ],
    [
      'etcd silent, and a lease granted in place of one that was gone',
      { view: null, pg: pg.primary(), ...held('gone', Number.NEGATIVE_INFINITY) },
      'fence.lease-ended',
      ['cancel-job', 'demote-now'],
    ],
    [
      'etcd silent, and the key still on the lease of the ttl before, which is good',
      { view: null, pg: pg.primary(), ...held('before', 10_001) },
      'fence.wait-for-etcd',
      [],
    ],
    [
      'etcd silent, and the key still on the lease of the ttl before, which is over',
      { view: null, pg: pg.primary(), ...held('before', 10_000) },
      'fence.lease-ended',
      ['cancel-job', 'demote-now'],
    ],
    [
      'etcd silent while a cluster is made',
      { view: null, pg: pg.primary(), job: { job: { kind: 'bootstrap' }, startedAtMs: 1 } },
      'fence.wait-for-etcd',
      [],
    ],
    [
      'the leader key names us on a lease from before, and the disk is a new one',
      { view: view({ leaderName: 'a', leaderLease: 'before' }), pg: pg.none },
      'data.released',
      ['release-leader'],
    ],
    [
      'primary, key gone a moment ago',
      { view: view(), pg: pg.primary() },
      'primary.acquire',
      ['acquire-leader'],
      { unlockedSinceMs: 8001 },
    ],
    [
      'primary, key gone and not to be had',
      { view: view(), pg: pg.primary() },
      'primary.not-acquired',
      ['demote-now'],
      { unlockedSinceMs: 8000 },
    ],
    [
      'primary, key gone, at the end of a pause',
      { view: view(), pg: pg.primary(), settings: paused },
      'paused.primary-unlocked',
      ['acquire-leader'],
      { unlockedSinceMs: 8000 },
    ],
    [
      'a guard that does not answer, while a switchover is scheduled',
      {
        view: view({
          leaderName: 'a',
          failover: { leader: 'a', candidate: 'b', scheduledAtMs: 9e12, scheduledAt: '2255-03-14T16:00:00Z', modRevision: '9' },
        }),
        pg: pg.primary(),
        guardHealthy: false,
      },
      'primary.guard',
      ['demote-now', 'release-leader'],
    ],
  ];

for (const [name, scene, rule, effects, remembered] of table)
  it(name, () => {
    const decision = decide(observation(scene), memory(remembered));
    expect([decision.rule, decision.effects.map(({ kind }) => kind)]).toEqual([rule, effects]);
  });
