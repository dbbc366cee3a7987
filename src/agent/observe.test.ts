/** What a round asks, and how long it waits for that. */
import { describe, expect, it } from 'vitest';
import { lsn, memory, observation, pg, type Scene, SYSTEM_ID, settings, view } from '../../test/support/build.ts';
import { FOREIGN_ID, standbyClusters } from '../../test/support/random-standby-clusters.ts';
import type { Memory } from '../core/model.ts';
import type { WalEnd } from '../core/postgres-facts.ts';
import { AuthorityCell } from './authority-cell.ts';
import { observe } from './observe.ts';

const NOW_MS = 10_000;

const noLease = () => new AuthorityCell({ bootMs: () => NOW_MS }, 30);

/** What a round of `a` asked etcd and its source, and which lease it knew the key on by then. */
async function roundOf(scene: Scene, before: Partial<Memory>, authority = noLease()) {
  const asked: { dcsMs?: number; end?: WalEnd; keyAtCover?: string | null; peers?: true; refuses?: boolean } = {};
  const o = observation(scene);
  const ports = {
    clock: { bootMs: () => NOW_MS, wallMs: () => NOW_MS, timer: () => () => {} },
    log: { debug: () => {}, error: () => {}, warning: () => {} },
    settings: {
      adopt: (_key: unknown, refuses?: boolean) => {
        if (refuses !== undefined) asked.refuses = refuses;
        return false;
      },
      current: () => o.settings,
      preview: () => o.settings,
    },
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
        if (o.source !== null) return o.source;
        throw new Error('does not answer');
      },
    },
    peers: {
      prepare: () => undefined,
      ask: async () => {
        asked.peers = true;
        return new Map();
      },
    },
    watchdog: { active: false, healthy: () => true },
    authority,
    lease: { failedBefore: () => false, keep: async () => false, renew: async () => {} },
  };
  await observe(ports, {
    ...o,
    memory: memory(before),
    noteSettings: () => ({ configDirty: false, configVersion: 1 }),
    links: () => o.links,
    untilLeaderChanges: () => new AbortController().signal,
    cover: async () => {
      asked.keyAtCover = authority.now.key?.leaseId ?? null;
      return Number.POSITIVE_INFINITY;
    },
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

it('what etcd says of the leader key counts before the guard is told anything by it', async () => {
  const authority = noLease();
  authority.note({ kind: 'lease-asked' });
  authority.note({ kind: 'lease-granted', asked: 1, leaseId: 'lease-a', ttlSeconds: 30, sentAtMs: NOW_MS });
  authority.note({ kind: 'key-read', keyOn: 'lease-a' });
  const known = async (leaderLease: string) =>
    (await roundOf({ pg: pg.primary(), view: view({ leaderName: 'a', leaderLease }) }, {}, authority)).keyAtCover;
  expect(await known('lease-a')).toBe('lease-a');
  const gone = await roundOf({ pg: pg.primary(), view: view({ leaderName: 'b' }) }, {}, authority);
  expect(gone.keyAtCover).toBeNull();
});

it('a standby leader that does not stream asks the others, one of which may have to lead', async () => {
  const dynamic = { standbyCluster: standbyClusters[0]! };
  const asks = async (receiver: object | null) => {
    const scene = {
      pg: pg.standby({ receiver: receiver as never }),
      view: view({ leaderName: 'a' }),
      settings: settings('a', { dynamic }),
    };
    return (await roundOf(scene, { keyTaken: true })).peers;
  };
  expect(await asks(null)).toBe(true);
  expect(await asks({ status: 'streaming', latestEndLsn: null })).toBeUndefined();
});

describe('a leader asks the server of standby_cluster before the setting counts', () => {
  const scene = (systemIdentifier: string | null) => ({
    pg: pg.primary(),
    view: { ...view({ leaderName: 'a' }), config: { data: { standby_cluster: { host: '10.9.9.9' } }, modRevision: '3' } },
    settings: settings('a', { dynamic: { standbyCluster: standbyClusters[0]! } }),
    source: systemIdentifier === null ? null : { name: 'x', systemIdentifier, timeline: 1, lsn: lsn(1), history: [], inRecovery: false },
  });

  it.each([
    ['is refused where it is another cluster', FOREIGN_ID, true],
    ['counts where it has this cluster’s data', SYSTEM_ID, false],
    ['counts where it does not answer', null, false],
  ])('it %s', async (_, systemIdentifier, refuses) => {
    expect((await roundOf(scene(systemIdentifier), {})).refuses).toBe(refuses);
  });

  it('not in a round in which the guard would strike meanwhile', async () => {
    const guardedFor = (leftMs: number) => {
      const authority = noLease();
      const guard = { ...authority.now.guard, state: 'armed', deadlineMs: NOW_MS + leftMs + 1000, reliedUntilMs: NOW_MS + leftMs } as const;
      return (
        Object.assign(authority, { note: () => {} }) && Object.defineProperty(authority, 'now', { value: { ...authority.now, guard } })
      );
    };
    expect((await roundOf(scene(FOREIGN_ID), {}, guardedFor(50))).refuses).toBeUndefined();
    expect((await roundOf(scene(FOREIGN_ID), {}, guardedFor(5000))).refuses).toBe(true);
  });
});
