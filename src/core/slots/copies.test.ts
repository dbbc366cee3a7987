/** When a copy of logical slots is put off for a failover, and when it is tried again. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, type Scene, settings, view, walreceiver } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import type { JobOutcome, RunningJob } from '../effects.ts';
import { type Knocks, noLinks } from '../quorum/link-facts.ts';
import { remember } from '../remember.ts';
import { copyJob } from './copies.ts';
import { noLogicalMemory } from './logical-work.ts';

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

const receiver = walreceiver({ slotName: 'a', latestEndLsn: lsn(1000) });

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

describe('a copy that failed', () => {
  /** What keeps it from being tried again at 10 s + `afterMs`. */
  const again = (afterMs: number, over: Partial<JobOutcome>) => {
    const scene = {
      view: view({ leaderName: 'b', members, status: { optime: lsn(1000), slots: { app: lsn(900) }, retainSlots: [] } }),
      settings: settings('a', {
        dynamic: { useSlots: true, slots: { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' } } },
      }),
      pg: pg.standby({ slots: [], receiver }),
    };
    const before = memory({ logical: { ...noLogicalMemory, leader: 'b', missingSinceMs: 1000 } });
    const outcome = { job, ok: false, code: 'PG_START_FAILED', message: 'why', endedAtMs: NOW_MS, ...over };
    const after = remember(observation({ nowMs: NOW_MS, ...scene, ended: [outcome] }), before);
    const o = observation({ nowMs: NOW_MS + afterMs, ...scene });
    return copyJob(contextOf(o, remember(o, after))) !== null;
  };
  const seconds = [1, 60, 299, 300, 601];

  it('before PostgreSQL was stopped for it is tried again soon', () => {
    expect(seconds.map((s) => again(s * 1000, {}))).toEqual([false, true, true, true, true]);
  });

  it('after that is not, as each try is a restart', () => {
    expect(seconds.map((s) => again(s * 1000, { stopped: true }))).toEqual([false, false, false, true, true]);
    // Of two, PostgreSQL started with the other.
    expect(seconds.map((s) => again(s * 1000, { ok: true, code: null, stopped: true, copied: ['other'] }))[2]).toBe(false);
  });
});

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
