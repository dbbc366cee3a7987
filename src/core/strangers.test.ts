import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, slot, view, walsender } from '../../test/support/build.ts';
import { decide } from './decide.ts';
import type { Memory } from './model.ts';
import type { SlotFacts, WalsenderFacts } from './postgres-facts.ts';
import { noStrangers } from './stranger-memory.ts';
import { describeStranger, describeStrangers, strangerNotes } from './strangers.ts';

type Mode = 'on' | 'quorum';

interface Scene {
  readonly mode?: Mode;
  readonly strict?: boolean;
  readonly count?: number;
  readonly names?: string;
  readonly sync?: { readonly quorum: number; readonly standbys: readonly string[] };
  readonly senders: readonly WalsenderFacts[];
  readonly slots?: readonly SlotFacts[];
  readonly word?: number;
  readonly terminate?: boolean;
}

class Leader {
  memory: Memory = memory({ role: 'primary', state: 'running', announcedRole: 'primary' });
  now = 100_000;

  round(scene: Scene, afterMs = 1000) {
    this.now += afterMs;
    const mode = scene.mode ?? 'quorum';
    const members = ['a', 'b', 'c'].map((name) => member(name, { lsn: lsn(name === 'b' ? (scene.word ?? 1000) : 1000) }));
    const o = observation({
      me: 'a',
      nowMs: this.now,
      lease: { leaseId: 'lease-a', confirmedSentAtMs: this.now - 100, ttlSeconds: 30 },
      view: {
        ...view({ leaderName: 'a' }),
        members,
        sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'], ...scene.sync, modRevision: '7' },
      },
      pg: pg.primary({
        flushLsn: lsn(1000),
        synchronousStandbyNames: scene.names ?? 'ANY 1 (b,c)',
        replication: [...scene.senders],
        slots: [...(scene.slots ?? [])],
      }),
      settings: settings('a', {
        dynamic: {
          synchronousMode: mode,
          synchronousModeStrict: scene.strict ?? false,
          synchronousNodeCount: scene.count ?? 1,
          terminateStrangers: scene.terminate ?? false,
        },
      }),
    });
    const decision = decide(o, this.memory);
    this.memory = decision.memory;
    return decision.effects.filter(({ kind }) => kind === 'write-sync' || kind === 'set-sync-names' || kind === 'end-walsender');
  }

  /** A round in which PostgreSQL does not answer. */
  silence() {
    const o = observation({
      me: 'a',
      nowMs: this.now + 1000,
      view: view({ leaderName: 'a' }),
      pg: { ...pg.primary({}), state: 'unresponsive', sql: null },
    });
    this.memory = decide(o, this.memory).memory;
  }

  get present() {
    return this.memory.strangers.present;
  }
}

const real = walsender('b', { pid: 11, clientAddr: '10.0.0.2', syncState: 'quorum' });
const stranger = walsender('b', { pid: 66, clientAddr: '10.0.0.66', usename: 'replicator', syncState: 'quorum' });
const other = walsender('c', { pid: 12, clientAddr: '10.0.0.3', syncState: 'quorum' });
const held = slot('b', 1000, { active: true, activePid: 11 });

describe('a stranger under a member’s name', () => {
  it('is recognized at once by the member’s slot', () => {
    const leader = new Leader();
    leader.round({ senders: [stranger, real, other], slots: [held] });
    expect(leader.present).toMatchObject([{ name: 'b', pid: 66, address: '10.0.0.66', user: 'replicator', certain: true }]);
    expect(describeStranger(leader.present[0]!)).toContain('under the name of b: walsender 66, from 10.0.0.66, as replicator');
  });

  it('makes the election careful first, as if no standby had confirmed, and only then leaves the names', () => {
    const leader = new Leader();
    const scene = { senders: [stranger, real, other], slots: [held] };
    expect(leader.round(scene)).toMatchObject([{ kind: 'write-sync', quorum: 2, standbys: ['b', 'c'] }]);
    const written = { ...scene, sync: { quorum: 2, standbys: ['b', 'c'] } };
    expect(leader.round(written)).toMatchObject([{ kind: 'set-sync-names', value: 'ANY 1 (c)' }]);
  });

  it('counts no stranger’s confirmation afterwards: /sync is relaxed only once a member has caught up', () => {
    const leader = new Leader();
    const scene = { senders: [stranger, real, other], slots: [held], names: 'ANY 1 (c)', sync: { quorum: 2, standbys: ['b', 'c'] } };
    leader.round(scene);
    const behind = { ...scene, senders: [stranger, real, { ...other, flushLsn: lsn(500) }] };
    expect(leader.round(behind)).toEqual([]);
    expect(leader.round(scene)).toMatchObject([{ kind: 'write-sync', quorum: 0, standbys: ['c'] }]);
  });

  it('in mode on removes all standbys from /sync: PostgreSQL may have waited for the stranger in the place of another', () => {
    const leader = new Leader();
    const scene = { mode: 'on', count: 2, names: '2 (b,c)', sync: { quorum: 0, standbys: ['b', 'c'] }, slots: [held] } as const;
    expect(leader.round({ ...scene, senders: [stranger, real, other] })).toMatchObject([{ kind: 'write-sync', quorum: 0, standbys: [] }]);
  });

  it.each(['on', 'quorum'] as const)('in strict mode (%s) is not waited for when no other standby is there: commits wait', (mode) => {
    const leader = new Leader();
    const names = mode === 'on' ? 'b' : 'ANY 1 (b)';
    const senders = [stranger, real];
    const before = { mode, strict: true, names, senders, slots: [held], sync: { quorum: 0, standbys: ['b'] } };
    const [step] = leader.round(before);
    expect(step).toMatchObject({ kind: 'write-sync' });
    const sync = mode === 'on' ? { quorum: 0, standbys: [] } : { quorum: 1, standbys: ['b'] };
    const [next] = leader.round({ ...before, sync });
    expect(next).toMatchObject({ kind: 'set-sync-names', value: expect.stringContaining('placeholder') });
  });

  it.each([
    ['on', 'b', 0, []],
    ['quorum', 'ANY 1 (b)', 1, ['b']],
  ] as const)('not strict (%s), under the only name: the names stay in force and prove nothing', (mode, names, quorum, standbys) => {
    const leader = new Leader();
    const scene = { mode, names, senders: [stranger, real], slots: [held], sync: { quorum: 0, standbys: ['b'] } };
    expect(leader.round(scene)).toMatchObject([{ kind: 'write-sync', quorum, standbys }]);
    const careful = { ...scene, sync: { quorum, standbys } };
    for (let i = 0; i < 60; i++) expect(leader.round(careful)).toEqual([]);

    // It has gone: the name comes back as of a position that it has not confirmed.
    const alone = (i: number) => ({ ...careful, senders: [{ ...real, replyTime: String(i) }] });
    for (let i = 1; i < 30; i++) expect(leader.round(alone(i))).toEqual([]);
    expect(leader.round(alone(30))).toMatchObject([{ kind: 'set-sync-names', value: '' }]);
    const free = (i: number) => ({ ...alone(i), names: '', sync: { quorum: 0, standbys: [] } });
    if (mode === 'quorum') {
      expect(leader.round({ ...alone(31), names: '' })).toMatchObject([{ kind: 'write-sync', quorum: 0, standbys: [] }]);
      expect(leader.round(free(32))).toMatchObject([{ kind: 'write-sync', quorum: 1, standbys: ['b'] }]);
    } else expect(leader.round(free(31))).toMatchObject([{ kind: 'set-sync-names', value: 'b' }]);
  });

  it('is not waited for when no server streams under that name any more', () => {
    const leader = new Leader();
    const scene = { names: 'ANY 1 (b)', slots: [held], sync: { quorum: 1, standbys: ['b'] } };
    leader.round({ ...scene, senders: [stranger, real] });
    expect(leader.round({ ...scene, senders: [] })).toMatchObject([{ kind: 'set-sync-names', value: '' }]);
  });

  it('is ended only where the settings ask for it, and never the member’s own walsender', () => {
    const scene = { senders: [stranger, real, other], slots: [held] };
    const ended = (terminate: boolean) => new Leader().round({ ...scene, terminate }).filter(({ kind }) => kind === 'end-walsender');
    expect(ended(false)).toEqual([]);
    expect(ended(true)).toEqual([{ kind: 'end-walsender', pid: 66, name: 'b' }]);
  });

  it('is recognized by its walsender while the member is away, and after a time in which PostgreSQL did not answer', () => {
    const leader = new Leader();
    const free = { names: 'ANY 1 (c)', sync: { quorum: 0, standbys: ['c'] } };
    leader.round({ ...free, senders: [stranger, real, other], slots: [held] });
    const away = slot('b', 1000, { active: false, activePid: null });
    leader.silence();
    for (let i = 0; i < 50; i++) {
      const senders = [stranger, other].map((sender) => ({ ...sender, replyTime: String(i) }));
      expect(leader.round({ ...free, senders, slots: [away] })).toEqual([]);
      expect(leader.present.map(({ pid }) => pid)).toEqual([66]);
    }
  });

  it('without slots is one of two that both go on replying', () => {
    const leader = new Leader();
    const at = (n: number) => [stranger, real, other].map((sender) => ({ ...sender, replyTime: String(n) }));
    leader.round({ senders: at(1) });
    expect(leader.present).toEqual([]);
    leader.round({ senders: at(2) });
    expect(leader.present.map(({ pid, certain }) => [pid, certain])).toEqual([
      [66, false],
      [11, false],
    ]);
  });

  it('without slots, alone, is noticed by the position that the member publishes', () => {
    const leader = new Leader();
    const scene = { senders: [stranger, other], word: 400 };
    leader.round(scene);
    leader.round(scene, 20_000);
    expect(leader.present).toEqual([]);
    leader.round(scene, 20_000);
    expect(leader.present).toMatchObject([{ name: 'b', pid: 66, certain: false }]);
  });

  it('is remembered for a while after it has gone, and the log says when the name is free', () => {
    const leader = new Leader();
    const free = { names: 'ANY 1 (c)', sync: { quorum: 0, standbys: ['c'] }, slots: [held] };
    const before = leader.memory.strangers;
    leader.round({ ...free, senders: [stranger, real, other] });
    expect(strangerNotes(before, leader.memory.strangers)).toMatchObject([{ level: 'warning' }]);
    expect(leader.round({ ...free, senders: [real, other] }, 10_000)).toEqual([]);
    const seen = leader.memory.strangers;
    expect(leader.round({ ...free, senders: [real, other].map((sender) => ({ ...sender, replyTime: 'later' })) }, 30_000)).toMatchObject([
      { kind: 'write-sync', standbys: ['b', 'c'] },
    ]);
    expect(strangerNotes(seen, leader.memory.strangers)).toMatchObject([{ level: 'info' }]);
  });
});

describe('no stranger', () => {
  it('is a member whose old walsender lingers beside the new one', () => {
    const leader = new Leader();
    for (let i = 1; i < 50; i++) {
      leader.round({ senders: [real, { ...real, pid: 13, replyTime: String(i) }, other] });
      expect(leader.present).toEqual([]);
    }
  });

  it('is a member behind a proxy with another address', () => {
    const leader = new Leader();
    leader.round({ senders: [{ ...real, clientAddr: '172.16.0.1' }, other], slots: [held] });
    expect(leader.present).toEqual([]);
  });

  it('is a member whose published position is late, because its key is written once a round', () => {
    const leader = new Leader();
    for (let i = 0; i < 20; i++) {
      const flushLsn = lsn(1000 + i * 100);
      leader.round({ senders: [{ ...real, flushLsn }, other], word: 900 + i * 100 }, 10_000);
      expect(leader.present).toEqual([]);
    }
  });

  it('is a base backup under the member’s name', () => {
    const leader = new Leader();
    const backup = walsender('b', { pid: 14, state: 'streaming', flushLsn: null });
    leader.round({ senders: [backup, real, other], slots: [held] });
    expect(leader.present).toEqual([]);
  });
});

it('whose name does not count yet, although no other server is there any more, is logged', () => {
  const gone = { ...noStrangers, suspects: { b: { seenAtMs: 0, count: 1 } } };
  expect(describeStrangers(gone)).toEqual(['another server streamed under the name of b a moment ago; b counts again 30 s after that']);
  expect(describeStrangers(noStrangers)).toEqual([]);
});
