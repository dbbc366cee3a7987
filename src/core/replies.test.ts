import { describe, expect, it } from 'vitest';
import { lsn, memory, observation, pg, settings, view, walsender } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { chores } from './housekeeping.ts';
import type { Memory } from './model.ts';
import type { WalsenderFacts } from './postgres-facts.ts';
import { remember } from './remember.ts';
import { syncStep } from './sync.ts';

const sync = { leader: 'a', quorum: 0, standbys: [], modRevision: '7' };

/** The leader `a` alone, and what its walsenders look like at one moment after another. */
class Leader {
  memory: Memory = memory();
  names = '';
  readonly mode: 'on' | 'quorum';
  readonly parameters: Readonly<Record<string, string>>;
  c = contextOf(observation(), this.memory);

  constructor(mode: 'on' | 'quorum' = 'quorum', parameters: Record<string, string> = {}) {
    this.mode = mode;
    this.parameters = parameters;
  }

  sees(nowMs: number, ...replication: WalsenderFacts[]): this {
    const o = observation({
      nowMs,
      lease: { leaseId: 'lease-a', confirmedSentAtMs: nowMs - 100, ttlSeconds: 30 },
      view: { ...view({ leaderName: 'a' }), sync },
      pg: pg.primary({ flushLsn: lsn(1000), synchronousStandbyNames: this.names, replication }),
      settings: { ...settings('a', { dynamic: { synchronousMode: this.mode } }), parameters: this.parameters },
    });
    this.memory = remember(o, this.memory);
    this.c = contextOf(o, this.memory);
    return this;
  }

  /** Asked next: a change of /sync or of the names that includes this standby. */
  wants(name: string): boolean {
    return JSON.stringify(syncStep(this.c).effects).includes(name);
  }
}

const b = (replyTime: string, over: Partial<WalsenderFacts> = {}) => walsender('b', { replyTime, ...over });
const behind = { flushLsn: lsn(999) };

describe.each(['quorum', 'on'] as const)('a standby that is not waited for, mode %s', (mode) => {
  it('comes in while it is heard: every 10 s when there is nothing to do', () => {
    expect(new Leader(mode).sees(50_000, b('x')).wants('b')).toBe(true);
    expect(new Leader(mode).sees(50_000, b('x')).sees(60_500, b('x')).wants('b')).toBe(true);
  });

  it('does not while it is silent, and does with its next reply', () => {
    const leader = new Leader(mode).sees(50_000, b('x')).sees(60_000, b('x')).sees(65_001, b('x'));
    expect(leader.wants('b')).toBe(false);
    expect(chores(leader.c).wakeInMs).toBe(1000);
    expect(leader.sees(66_000, b('y')).wants('b')).toBe(true);
  });

  it('does not when it owes a reply for longer than a living one would', () => {
    const leader = new Leader(mode).sees(50_000, b('x')).sees(55_000, b('x', behind));
    expect(leader.wants('b')).toBe(true);
    expect(leader.sees(58_001, b('x', behind)).wants('b')).toBe(false);
    expect(leader.sees(58_100, b('y', behind)).wants('b')).toBe(true);
  });

  it('is not silent for being behind whenever the leader looks', () => {
    const leader = new Leader(mode);
    for (let at = 50_000; at < 100_000; at += 10_000) expect(leader.sees(at, b(`reply at ${at}`, behind)).wants('b')).toBe(true);
  });

  it('may be quiet for longer where it was told another interval', () => {
    const leader = new Leader(mode, { wal_receiver_status_interval: '1min' }).sees(50_000, b('x')).sees(90_000, b('x'));
    expect(leader.wants('b')).toBe(true);
    expect(leader.sees(91_000, b('x', behind)).sees(95_000, b('x', behind)).wants('b')).toBe(false);
  });

  it('counts by the connection that is alive, where the one before has not ended', () => {
    const leader = new Leader(mode).sees(50_000, b('x')).sees(80_000, b('x'), b('y', { pid: 2 }));
    expect(leader.wants('b')).toBe(true);
  });
});

it('a standby that commits wait for stays although it is silent', () => {
  const leader = new Leader();
  leader.names = 'ANY 1 (b)';
  leader.sees(50_000, b('x')).sees(80_000, b('x'));
  expect(syncStep(leader.c).effects).not.toContainEqual({ kind: 'set-sync-names', value: '' });
  expect(leader.wants('b')).toBe(true);
});

it('the leader does not look again for one that may not be synchronous, or is no member', () => {
  const leader = new Leader().sees(50_000, walsender('stranger')).sees(80_000, walsender('stranger'));
  expect(chores(leader.c).wakeInMs).toBeNull();
});
