import { describe, expect, it } from 'vitest';
import { member, memory, observation, peer, peers, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import type { Memory } from '../model.ts';
import { resigningSince } from './resigning.ts';

const NOW_MS = 20_000;
const members = ['a', 'b', 'c'].map((name) => member(name, { raw: { beats: 1 } }));
const cluster = view({ leaderName: 'a', members, sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '8' } });
const quorumMode = settings('a', { dynamic: { synchronousMode: 'quorum', suspectAfterMs: 1000, unresponsiveAfterSeconds: 5 } });
const good = peers(peer('b'), peer('c'));

const hanging = (diskWaitsMs: number) => ({ ...pg.primary(), diskWaitsMs });
const silent = { ...pg.primary(), state: 'unresponsive' as const, sql: null };

function seen(scene: Scene) {
  return observation({
    nowMs: NOW_MS,
    view: cluster,
    settings: quorumMode,
    peers: good,
    lease: { leaseId: 'lease-a', confirmedSentAtMs: NOW_MS - 1000, ttlSeconds: 30 },
    key: { leaseId: 'lease-a', stepDownAtMs: NOW_MS + 23_000 },
    ...scene,
  });
}
const since = (scene: Scene, before: Partial<Memory> = {}) =>
  resigningSince(contextOf(seen(scene), memory({ role: 'primary', ...before })));

describe('a leader resigns', () => {
  it('when its disk has finished no write for postgresql_unresponsive_after', () => {
    expect(since({ pg: hanging(4999) })).toBeNull();
    expect(since({ pg: hanging(5000) })).toBe(NOW_MS);
    expect(since({ pg: pg.primary() })).toBeNull();
  });

  it('when its PostgreSQL has not answered for so long', () => {
    expect(since({ pg: silent }, { notRunningSinceMs: NOW_MS - 4999 })).toBeNull();
    expect(since({ pg: silent }, { notRunningSinceMs: NOW_MS - 5000 })).toBe(NOW_MS);
    expect(since({ pg: { ...silent, state: 'starting' } }, { notRunningSinceMs: NOW_MS - 5000 })).toBeNull();
  });

  it('only if enough voters can lead, and then for as long as the cause lasts', () => {
    expect(since({ pg: hanging(5000), peers: peers(peer('b')) })).toBeNull();
    expect(since({ pg: hanging(5000), peers: null })).toBeNull();
    const before = { resigningSinceMs: NOW_MS - 700 };
    expect(since({ pg: hanging(5700), peers: peers(peer('b')) }, before)).toBe(NOW_MS - 700);
    expect(since({ pg: hanging(10) }, before)).toBeNull();
  });

  it.each(['handover', 'restart'])('while a %s waits for a checkpoint that the disk does not finish', (kind) => {
    const job = { job: { kind }, startedAtMs: NOW_MS - 9000 } as unknown as NonNullable<Scene['job']>;
    expect(since({ pg: hanging(5000), job })).toBe(NOW_MS);
    expect(since({ pg: hanging(4999), job })).toBeNull();
  });

  it.each<[string, Scene]>([
    ['where the lease is the fence', { settings: settings('a') }],
    ['in a pause', { settings: settings('a', { dynamic: { synchronousMode: 'quorum', pause: true } }) }],
    ['while etcd does not answer', { view: null }],
    ['when another leads', { view: { ...cluster, leader: { name: 'b', leaseId: 'lease-b', modRevision: '9' } } }],
  ])('not %s', (_when, scene) => {
    expect(since({ pg: hanging(60_000), ...scene }, { resigningSinceMs: NOW_MS - 700 })).toBeNull();
  });

  it('and leaves /sync alone, so that the promises stand, and says so', () => {
    const links = { ...seen({}).links, answers: new Map([['b', { atMs: NOW_MS - 10, fence: '5/8', leader: null }]]) };
    const { rule, because, effects } = decide(seen({ pg: hanging(6000), links }), memory({ role: 'primary', keyTaken: true }));
    expect(rule).toBe('primary.disk-hangs');
    expect(because).toContain('the disk has finished no write for 6 seconds: asking the voters for another leader');
    expect(effects.filter(({ kind }) => kind === 'write-sync')).toEqual([]);
    const well = decide(seen({ pg: pg.primary(), links }), memory({ role: 'primary', keyTaken: true }));
    expect(well.effects.map(({ kind }) => kind)).toContain('write-sync');
  });

  it('not where nobody else can lead: it goes on, and says that too', () => {
    const { rule, because } = decide(seen({ pg: hanging(6000), peers: peers() }), memory({ role: 'primary', keyTaken: true }));
    expect(rule).toBe('primary.disk-hangs');
    expect(because).toContain('failover is not possible');
  });
});
