/** primary_race_backoff: how long a standby leaves the key to a primary that still writes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, type Scene, settings, view, walreceiver } from '../../../test/support/build.ts';
import { decide } from '../decide.ts';
import type { Memory } from '../model.ts';

const BACKOFF_MS = 45_000;
const LOOP_MS = 10_000;
const others = peers(peer('b'), peer('c'));
const inForce = (over: Parameters<typeof settings>[1] = {}) =>
  settings('a', { ...over, dynamic: { primaryRaceBackoffSeconds: BACKOFF_MS / 1000, ...over.dynamic } });
const receiver = walreceiver({ slotName: 'a' });

/** A standby that streamed, of a cluster that nobody leads since `sinceMs`. */
const at = (nowMs: number, sinceMs: number, { scene, over }: { scene?: Scene; over?: Partial<Memory> } = {}) =>
  decide(
    observation({ nowMs, peers: others, settings: inForce(), pg: pg.standby({ receiver }), ...scene }),
    memory({ keyTaken: false, streamed: true, leaderlessSinceMs: sinceMs, ...over }),
  );

/** WAL moved at that time. */
const moved = (movedAtMs: number | null): Partial<Memory> => ({ walSeen: { lsn: lsn(1000), movedAtMs } });

const led: Partial<Memory> = { formerLeader: 'b' };

describe('the race of a cluster that nobody leads', () => {
  it('waits one loop_wait, and on while WAL comes, in the words of Patroni, and lets go of nobody meanwhile', () => {
    const scene: Scene = {
      settings: inForce({ dynamic: { synchronousMode: 'quorum' } }),
      pg: pg.standby({ receiver, primaryConninfo: 'host=b' }),
      view: view({ sync: { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8' } }),
      peers: peers(peer('c', { attached: true, receiving: true })),
    };
    const first = at(10_000, 10_000, { scene });
    expect([first.rule, first.because]).toEqual([
      'race.backoff',
      'My (a) wal position moved since last heart beat loop, 45 seconds until leader race',
    ]);
    expect(first.chores.map(({ kind }) => kind)).not.toContain('let-go');
    expect(
      at(10_000, 10_000, { scene: { ...scene, settings: settings('a', { dynamic: { synchronousMode: 'quorum' } }) } }).chores,
    ).toContainEqual(expect.objectContaining({ kind: 'let-go' }));
    const later = at(35_000, 10_000, { over: moved(30_000) });
    expect([later.rule, later.because]).toEqual(['race.backoff', expect.stringContaining(', 25 seconds until leader race')]);
  });

  it.each<[string, number, Parameters<typeof at>[2]]>([
    ['the time is over, although WAL comes', 10_000 + BACKOFF_MS, { over: moved(10_000 + BACKOFF_MS) }],
    ['no WAL has come for one loop_wait', 20_000, { over: moved(9_999) }],
    ['nothing streams', 20_000, { over: moved(19_000), scene: { pg: pg.standby() } }],
    [
      'an operator asked for it',
      10_000,
      { scene: { view: view({ failover: { leader: 'b', candidate: null, scheduledAt: null, scheduledAtMs: null, modRevision: '7' } }) } },
    ],
    ['this agent has never seen its standby stream', 10_000, { over: { streamed: false }, scene: { pg: pg.standby() } }],
    [
      'the last leader answers that its PostgreSQL is down',
      10_000,
      { over: led, scene: { peers: peers(peer('b', { state: 'crashed', lsn: null }), peer('c')) } },
    ],
    [
      'the agent of the last leader has ended in good order, and left that in its member key',
      10_000,
      {
        over: led,
        scene: { peers: peers(peer('c')), view: view({ members: [member('a'), member('b', { state: 'stopped' }), member('c')] }) },
      },
    ],
    ['it is not set', 10_000, { scene: { settings: settings('a') } }],
  ])('does not wait where %s', (_, nowMs, what) => {
    expect(at(nowMs, 10_000, what).effects).toContainEqual(expect.objectContaining({ kind: 'acquire-leader' }));
  });

  it.each<[string, Scene]>([
    ['it answers that its PostgreSQL runs', { peers: peers(peer('b', { inRecovery: false }), peer('c')) }],
    ['it does not answer, and its member key says that it ran', { peers: peers(peer('c')) }],
    ['its member key is from before it started again', { view: view({ members: [member('a'), member('b', { state: 'stopped' })] }) }],
    ['another member is down', { peers: peers(peer('c', { state: 'stopped' })) }],
  ])('waits for the last leader where %s', (_, scene) => {
    expect(at(10_000, 10_000, { over: led, scene }).rule).toBe('race.backoff');
  });

  it('property: it never waits longer than the setting, never less than one loop_wait within it, and never without it', () => {
    const round = fc.record({
      setMs: fc.constantFrom(0, 3000, 45_000, 600_000),
      waitedMs: fc.nat(700_000),
      movedAgoMs: fc.option(fc.nat(30_000)),
      streams: fc.boolean(),
      paused: fc.boolean(),
      streamed: fc.boolean(),
    });
    fc.assert(
      fc.property(round, ({ setMs, waitedMs, movedAgoMs, streams, paused, streamed }) => {
        const nowMs = 1_000_000;
        const { rule } = at(nowMs, nowMs - waitedMs, {
          scene: {
            settings: settings('a', { dynamic: { primaryRaceBackoffSeconds: setMs / 1000, pause: paused } }),
            pg: pg.standby(streams ? { receiver } : {}),
          },
          over: { ...moved(movedAgoMs === null ? null : nowMs - movedAgoMs), streamed },
        });
        const moves = streams && movedAgoMs !== null && movedAgoMs < LOOP_MS;
        const waits = (streamed || streams) && !paused && waitedMs < setMs && (waitedMs < LOOP_MS || moves);
        expect(rule === 'race.backoff').toBe(waits);
      }),
    );
  });
});

describe('the end of the WAL', () => {
  const seen = (before: Memory['walSeen'], received: number, nowMs = 10_000) =>
    at(nowMs, nowMs, { scene: { pg: pg.standby({ receiver, receiveLsn: lsn(received) }) }, over: { walSeen: before } }).memory.walSeen;

  it('has not moved when it is seen first, and moves when it is seen elsewhere', () => {
    expect(seen(null, 1000)).toEqual({ lsn: lsn(1000), movedAtMs: null });
    expect(seen({ lsn: lsn(1000), movedAtMs: null }, 1000)).toEqual({ lsn: lsn(1000), movedAtMs: null });
    expect(seen({ lsn: lsn(1000), movedAtMs: null }, 1100)).toEqual({ lsn: lsn(1100), movedAtMs: 10_000 });
    expect(seen({ lsn: lsn(1100), movedAtMs: 10_000 }, 1100, 15_000)).toEqual({ lsn: lsn(1100), movedAtMs: 10_000 });
  });
});
