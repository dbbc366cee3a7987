/**
 * The synchronous set and the election, together: a primary `a` with three standbys, random
 * commits, connects, losses and rounds. After every step the primary is imagined dead, with every
 * set of survivors. A member that raceVerdict lets lead must hold every acknowledged commit.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, settings, view, walsender } from '../../test/support/build.ts';
import type { SyncKey } from './cluster.ts';
import { contextOf } from './context.ts';
import type { Memory } from './model.ts';
import { raceVerdict } from './race/race.ts';
import { remember } from './remember.ts';
import { syncStep, takeover } from './sync.ts';
import { formatSyncNames, parseSyncNames } from './sync-names.ts';

const others = ['b', 'c', 'd'] as const;
type Name = (typeof others)[number];
type Mode = 'on' | 'quorum';

/** PostgreSQL's processes take a reloaded setting over within this, each at its own moment. */
const RELOAD_MS = 150;

class World {
  now = 10_000;
  written = 1000;
  acked = 1000;
  names = '';
  namesBefore = '';
  changedAt = -1_000_000;
  /** The checkpointer has taken up that there are names: only then commits wait at all. */
  waits = false;
  busyUntil = 0;
  /** The agent has seen that it did. */
  known = false;
  sync: SyncKey | null = null;
  revision = 1;
  memory: Memory = memory();
  readonly connected = new Set<Name>();
  readonly flushed: Record<Name, number> = { b: 1000, c: 1000, d: 1000 };
  readonly repliedAt: Record<Name, number> = { b: 0, c: 0, d: 0 };
  readonly mode: Mode;
  readonly nodeCount: number;
  readonly strict: boolean;

  constructor(mode: Mode, nodeCount: number, strict: boolean) {
    this.mode = mode;
    this.nodeCount = nodeCount;
    this.strict = strict;
  }

  settings(me: string) {
    return settings(me, {
      dynamic: { synchronousMode: this.mode, synchronousNodeCount: this.nodeCount, synchronousModeStrict: this.strict },
    });
  }

  satisfied(setting: string, position: number): boolean {
    const { method, count, names } = parseSyncNames(setting);
    if (method === 'off') return true;
    const confirming = names.filter((name) => this.flushed[name as Name] >= position && this.connected.has(name as Name));
    if (method === 'quorum') return confirming.length >= count;
    const chosen = names.filter((name) => this.connected.has(name as Name)).slice(0, count);
    return chosen.length >= count && chosen.every((name) => this.flushed[name as Name] >= position);
  }

  obeying() {
    return { synchronousStandbyNames: this.names, obeysSyncNames: this.names === '' || this.known };
  }

  takeUp(): void {
    if (this.now >= this.busyUntil) this.waits = this.names !== '';
  }

  set(names: string): void {
    if (names !== this.names) {
      this.namesBefore = this.names;
      this.names = names;
      this.changedAt = this.now;
    }
    if (names === '') this.waits = false;
    this.takeUp();
    this.known = names !== '' && (this.known || this.now >= this.busyUntil);
  }

  acknowledge(): void {
    const settings = !this.waits ? [''] : this.now - this.changedAt < RELOAD_MS ? [this.names, this.namesBefore] : [this.names];
    for (let position = this.acked + 1; position <= this.written; position++)
      if (settings.some((setting) => this.satisfied(setting, position))) this.acked = position;
  }

  view(leaderName?: string) {
    return {
      ...view(leaderName === undefined ? {} : { leaderName }),
      sync: this.sync,
      members: ['a', ...others].map((name) => member(name)),
    };
  }

  round(): void {
    const senders = [...this.connected].map((name) => {
      const named = parseSyncNames(this.names);
      const syncState = !named.names.includes(name)
        ? 'async'
        : named.method === 'quorum'
          ? 'quorum'
          : named.names.indexOf(name) < named.count
            ? 'sync'
            : 'potential';
      const pid = others.indexOf(name) + 1;
      return walsender(name, { pid, flushLsn: lsn(this.flushed[name]), syncState, replyTime: String(this.repliedAt[name]) });
    });
    const o = observation({
      me: 'a',
      nowMs: this.now,
      lease: { leaseId: 'lease-a', confirmedSentAtMs: this.now - 100, ttlSeconds: 30 },
      view: this.view('a'),
      pg: pg.primary({ flushLsn: lsn(this.written), ...this.obeying(), replication: senders }),
      settings: this.settings('a'),
    });
    this.memory = remember(o, this.memory);
    const step = syncStep(contextOf(o, this.memory));
    for (const effect of step.effects) {
      if (effect.kind === 'write-sync')
        this.sync = { leader: effect.leader, quorum: effect.quorum, standbys: effect.standbys, modRevision: String(++this.revision) };
      else if (effect.kind === 'set-sync-names') this.set(effect.value);
      else throw new Error(`unexpected ${effect.kind}`);
    }
  }

  /**
   * The primary is gone; exactly these survive. Nobody who may lead misses anything acknowledged.
   */
  check(): void {
    for (let set = 1; set < 8; set++) {
      const alive = others.filter((_, i) => set & (1 << i));
      for (const me of alive) {
        const o = observation({
          me,
          view: this.view(),
          pg: pg.standby({ receiveLsn: lsn(this.flushed[me]), replayLsn: lsn(this.flushed[me]) }),
          peers: peers(...alive.filter((name) => name !== me).map((name) => peer(name, { lsn: lsn(this.flushed[name]) }))),
          settings: this.settings(me),
        });
        const verdict = raceVerdict(contextOf(o, memory()));
        if (verdict.verdict === 'take' && this.sync !== null) {
          expect(
            this.flushed[me],
            `${me} of ${alive} may lead; ${JSON.stringify(this.sync)} names=${this.names} acked=${this.acked}`,
          ).toBeGreaterThanOrEqual(this.acked);
        }
      }
    }
  }
}

type Step =
  | { do: 'write'; n: number }
  | { do: 'flush' | 'connect' | 'reply' | 'lose'; who: Name }
  | { do: 'round' | 'restart' }
  | { do: 'busy'; ms: number }
  | { do: 'wait'; ms: number };
const who = fc.constantFrom(...others);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('write' as const), n: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('flush' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('connect' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reply' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), who }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('round' as const) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('busy' as const), ms: fc.constantFrom(200, 2000, 20_000) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(20, 100, 250, 4000, 16_000) }) },
);

function play(world: World, one: Step): void {
  if (one.do === 'flush' || one.do === 'connect' || one.do === 'reply') world.repliedAt[one.who] = world.now;
  if (one.do === 'write') world.written += one.n;
  else if (one.do === 'flush' && world.connected.has(one.who)) world.flushed[one.who] = world.written;
  else if (one.do === 'connect') world.connected.add(one.who);
  else if (one.do === 'lose') world.connected.delete(one.who);
  else if (one.do === 'round') world.round();
  else if (one.do === 'restart') Object.assign(world, { memory: memory(), known: false });
  else if (one.do === 'busy') world.busyUntil = world.now + one.ms;
  else if (one.do === 'wait') world.now += one.ms;
  world.takeUp();
  world.acknowledge();
  world.check();
}

describe.each(['quorum', 'on'] as const)('synchronous_mode %s', (mode) => {
  it('lets no member lead that misses an acknowledged commit', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 2 }), fc.boolean(), (steps, nodeCount, strict) => {
        const world = new World(mode, nodeCount, strict);
        world.round();
        for (const one of steps) play(world, one);
      }),
      { numRuns: 3000 },
    );
  });

  it('settles: with all connected and caught up, the wanted set is in force and nothing more is written', () => {
    const world = new World(mode, 1, false);
    for (const name of others) play(world, { do: 'connect', who: name });
    for (let i = 0; i < 20; i++) {
      world.round();
      world.now += 250;
    }
    const { revision, names } = world;
    world.round();
    expect(world.revision).toBe(revision);
    expect(world.names).toBe(names);
    expect(names).toBe(mode === 'quorum' ? 'ANY 1 (b,c,d)' : 'b');
    expect(world.sync).toMatchObject(mode === 'quorum' ? { quorum: 2, standbys: ['b', 'c', 'd'] } : { quorum: 0, standbys: ['b'] });
  });

  it('lets the survivor lead when two of three nodes are left', () => {
    const world = new World(mode, 1, false);
    play(world, { do: 'connect', who: 'b' });
    for (let i = 0; i < 10; i++) {
      world.round();
      world.now += 250;
    }
    const o = observation({ me: 'b', view: world.view(), peers: peers(), settings: world.settings('b') });
    expect(raceVerdict(contextOf(o, memory()))).toMatchObject({ verdict: 'take' });
  });
});

describe('takeover', () => {
  it('with the mode off removes an older /sync first, because the mode may be on again before the next round', () => {
    const sync = { leader: 'b', quorum: 0, standbys: ['c'], modRevision: '7' };
    const off = settings('b', { dynamic: { synchronousMode: 'off' } });
    const at = (stands: typeof sync | null) => contextOf(observation({ me: 'b', view: view({ sync: stands }), settings: off }), memory());
    expect(takeover(at(sync))).toEqual({ names: null, effect: { kind: 'delete-sync', expected: sync, term: null } });
    expect(takeover(at(null))).toEqual({ names: null, effect: null });
  });

  it('names the new leader, and keeps as many confirmations as the policy wants', () => {
    const sync = { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '3' };
    const o = observation({ me: 'b', view: { ...view({ leaderName: 'b' }), sync }, settings: new World('quorum', 1, false).settings('b') });
    expect(takeover(contextOf(o, memory()))).toEqual({
      names: 'ANY 1 (a,c)',
      effect: { kind: 'write-sync', leader: 'b', quorum: 1, standbys: ['a', 'c'], expected: sync, term: '5' },
    });
  });

  it.each([
    ['a', 2, 2],
    ['a', 1, 1],
    ['a', 0, 0],
    ['b', 2, 2],
    ['b', 1, 1],
  ] as const)('of %s with quorum %i asks for no fewer votes, though more standbys will confirm from now on', (leader, quorum, expected) => {
    const sync = { leader, quorum, standbys: leader === 'a' ? ['b', 'c'] : ['a', 'c'], modRevision: '3' };
    const two = new World('quorum', 2, false).settings('b');
    const o = observation({ me: 'b', view: { ...view({ leaderName: 'b' }), sync }, settings: two, syncUnsettled: true });
    expect(takeover(contextOf(o, memory()))).toMatchObject({ names: 'ANY 2 (a,c)', effect: { leader: 'b', quorum: expected } });
  });

  it.each(['on', 'quorum'] as const)('rewrites /sync as it is, mode %s, while an earlier write may still arrive', (mode) => {
    const sync = mode === 'on' ? { quorum: 0, standbys: [] } : { quorum: 1, standbys: ['a', 'c'] };
    const stands = { leader: 'b', ...sync, modRevision: '3' };
    const scene = (syncUnsettled: boolean) =>
      observation({
        me: 'b',
        view: { ...view({ leaderName: 'b' }), sync: stands },
        settings: new World(mode, 1, false).settings('b'),
        syncUnsettled,
      });
    const effect = (unsettled: boolean) => takeover(contextOf(scene(unsettled), memory())).effect;
    expect(effect(false)).toBe(null);
    expect(effect(true)).toEqual({ kind: 'write-sync', leader: 'b', ...sync, expected: stands, term: '5' });
  });
});

describe('synchronous_standby_names', () => {
  it('reads back what it writes', () => {
    const names = fc.uniqueArray(
      fc.stringMatching(/^[A-Za-z0-9_"\- ]{1,8}$/).filter((text) => text.trim() === text),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 3 }), fc.constantFrom('priority' as const, 'quorum' as const), (list, count, method) => {
        const read = parseSyncNames(formatSyncNames({ method, count, names: list }));
        expect(read).toEqual({ method, count, names: [...list].sort() });
      }),
    );
  });
});
