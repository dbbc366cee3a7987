/** What a round asks, and how long it waits for that. */
import { expect, it } from 'vitest';
import { lsn, memory, observation, pg, type Scene, view } from '../../test/support/build.ts';
import type { Memory } from '../core/model.ts';
import type { WalEnd } from '../core/postgres-facts.ts';
import { AuthorityCell } from './authority-cell.ts';
import { observe } from './observe.ts';

const NOW_MS = 10_000;

/** What a round of `a` asked etcd and its source. */
async function roundOf(scene: Scene, before: Partial<Memory>) {
  const asked: { dcsMs?: number; end?: WalEnd } = {};
  const o = observation(scene);
  const ports = {
    clock: { bootMs: () => NOW_MS, wallMs: () => NOW_MS, timer: () => () => {} },
    log: { debug: () => {}, error: () => {}, warning: () => {} },
    settings: { adopt: () => false, current: () => o.settings },
    dcs: {
      bind: () => {},
      read: async ({ timeoutMs }: { timeoutMs: number }) => {
        asked.dcsMs = timeoutMs;
        if (!o.dcs.known) throw new Error(o.dcs.reason);
        return o.dcs.view;
      },
    },
    pg: {
      observe: async () => o.pg,
      sourceHistory: async (_source: unknown, options: { readonly end?: WalEnd }) => {
        if (options.end) asked.end = options.end;
        throw new Error('does not answer');
      },
    },
    peers: { prepare: () => undefined, ask: async () => new Map() },
    watchdog: { active: false, healthy: () => true },
    authority: new AuthorityCell({ bootMs: () => NOW_MS }, 30),
    lease: { failedBefore: () => false, keep: async () => false, renew: async () => {} },
  };
  await observe(ports, {
    ...o,
    memory: memory(before),
    configDirty: () => false,
    configVersion: () => 1,
    links: () => o.links,
    untilLeaderChanges: () => new AbortController().signal,
    cover: async () => Number.POSITIVE_INFINITY,
  });
  return asked;
}

it.each([
  ['has just lost it', 0, 1000],
  ['lost it a while ago', 1500, 500],
  ['was to have it by now', 2100, 200],
])('a primary without the leader key waits for etcd no longer than it may be without (it %s)', async (_, forMs, waitsMs) => {
  const { dcsMs } = await roundOf({ pg: pg.primary(), view: null }, { unlockedSinceMs: NOW_MS - forMs });
  expect(dcsMs).toBe(waitsMs);
  expect((await roundOf({ pg: pg.primary(), view: null }, {})).dcsMs).toBeGreaterThan(1000);
});

it('a new agent asks the leader about the last checkpoint of a standby that does not stream', async () => {
  const checkpoint = { timeline: 1, checkpointLsn: lsn(800) };
  const scene = { pg: pg.standby({ receiver: null, receiveLsn: null, checkpoint }), view: view({ leaderName: 'b' }) };
  expect((await roundOf(scene, {})).end).toEqual({ ...checkpoint, open: false });
  expect((await roundOf(scene, { streamed: true })).end).toBeUndefined();
});
