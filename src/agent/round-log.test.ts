/** How loud a round's sentence is: who loses the lead says so where people look. */
import { expect, it } from 'vitest';
import { keptLog } from '../../test/fixtures/operator-port.ts';
import { lsn, memory, observation, peer, peers, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { contextOf } from '../core/context.ts';
import { decide } from '../core/decide.ts';
import type { Memory } from '../core/model.ts';
import { RoundLog } from './round-log.ts';

const linesOf = (lines: readonly string[]) => lines.map((line) => line.replace(/ \{.*$/, ''));

function said(scene: Scene, over: Partial<Memory> = {}): readonly string[] {
  const log = keptLog();
  const rounds = new RoundLog({ log, settings: { current: () => settings('a') } });
  const seen = observation(scene);
  const decision = decide(seen, memory({ role: 'primary', ...over }));
  const c = contextOf(seen, decision.memory);
  rounds.say(c, decision);
  rounds.say(c, decision);
  return linesOf(log.lines).filter((line) => !line.startsWith('debug') && !line.startsWith('info Lock owner'));
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

it('says a heartbeat once a loop_wait, however often rounds come, and who holds the lock before each line', () => {
  const log = keptLog();
  const rounds = new RoundLog({ log, settings: { current: () => settings('a') } });
  const round = (atMs: number, leaderName?: string) => {
    const seen = observation({ view: view({ ...(leaderName && { leaderName }) }), pg: pg.standby(), nowMs: atMs });
    const decision = decide(seen, memory({}));
    rounds.say(contextOf(seen, decision.memory), decision);
  };
  for (let atMs = 0; atMs < 30_000; atMs += 2500) round(atMs, 'b');
  round(30_000);
  const info = linesOf(log.lines).filter((line) => line.startsWith('info'));
  const owner = 'info Lock owner: b; I am a';
  const heartbeat = 'info no action. I am (a), a secondary, and following a leader (b)';
  expect(info.slice(0, 6)).toEqual([owner, heartbeat, owner, heartbeat, owner, heartbeat]);
  expect(info.slice(6)).toEqual([
    'info Lock owner: None; I am a',
    expect.stringMatching(/^info following a different leader because i am not/),
  ]);
});

it('says nothing of the lock where etcd was not read', () => {
  const log = keptLog();
  const rounds = new RoundLog({ log, settings: { current: () => settings('a') } });
  const seen = observation({ view: null, pg: pg.standby() });
  const decision = decide(seen, memory({}));
  rounds.say(contextOf(seen, decision.memory), decision);
  expect(linesOf(log.lines)).toEqual(['info DCS is not accessible']);
});

it('warns of a round that takes longer than loop_wait when that begins', () => {
  const log = keptLog();
  const rounds = new RoundLog({ log, settings: { current: () => settings('a') } });
  const late = 'warning Loop time exceeded, rescheduling immediately.';
  for (const tookMs of [10_000, 10_001, 12_000, 9000, 11_000]) rounds.turned(tookMs);
  expect(linesOf(log.lines).filter((line) => !line.startsWith('debug'))).toEqual([late, late]);
});

it('says what was refused: the key that another took, a promotion while /sync was written by another', () => {
  const log = keptLog();
  const rounds = new RoundLog({ log, settings: { current: () => settings('a') } });
  const refused = (scene: Scene) => {
    const seen = observation(scene);
    const decision = decide(seen, memory({ role: 'replica' }));
    log.lines.length = 0;
    rounds.refused(contextOf(seen, decision.memory), decision);
    return linesOf(log.lines);
  };
  const others = peers(peer('b'), peer('c'));
  expect(refused({ peers: others })).toEqual(['info following new leader after trying and failing to obtain lock']);
  expect(refused({ pg: pg.primary() })).toEqual([]);
  const sync = { leader: 'b', quorum: 0, standbys: ['a'], modRevision: '8' };
  const on = settings('a', { dynamic: { synchronousMode: 'on' } });
  expect(refused({ view: view({ leaderName: 'a', sync }), settings: on, peers: others })).toEqual([
    'info Postponing promotion because synchronous replication state was updated by somebody else',
  ]);
});
