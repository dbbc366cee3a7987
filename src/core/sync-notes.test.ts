import { describe, expect, it } from 'vitest';
import { lsn, memory, observation, pg, settings, view, walsender } from '../../test/support/build.ts';
import type { SyncKey } from './cluster.ts';
import { contextOf } from './context.ts';
import type { Effect } from './effects.ts';
import type { DynamicSettings } from './settings.ts';
import { type Noted, type SyncNote, syncNotes } from './sync-notes.ts';

interface Round {
  readonly names?: string;
  readonly connected?: readonly string[];
  readonly sync?: readonly [quorum: number, ...standbys: string[]];
  readonly leader?: string;
  readonly effects?: readonly Effect[];
  readonly promotedAtMs?: number;
  readonly readable?: boolean;
  readonly answers?: boolean;
  /** For how long PostgreSQL has not been seen to obey the names. */
  readonly unobeyedMs?: number;
}

class Log {
  noted: Noted | null = null;
  readonly dynamic: Partial<DynamicSettings>;

  constructor(dynamic: Partial<DynamicSettings> = { synchronousMode: 'quorum' }) {
    this.dynamic = dynamic;
  }

  /** The lines of a round, `WARNING` before those that are. */
  after(round: Round): readonly string[] {
    const [quorum, ...standbys] = round.sync ?? [0];
    const sync: SyncKey = { leader: 'a', quorum, standbys, modRevision: '7' };
    const primary = pg.primary({
      flushLsn: lsn(1000),
      synchronousStandbyNames: round.names ?? '',
      replication: (round.connected ?? []).map((name) => walsender(name)),
      obeysSyncNames: round.unobeyedMs === undefined,
    });
    const o = observation({
      view: round.readable === false ? null : { ...view({ leaderName: round.leader ?? 'a' }), sync },
      pg: round.answers === false ? { ...primary, state: 'unresponsive', sql: null } : primary,
      settings: settings('a', { dynamic: this.dynamic }),
    });
    const syncNamesSet = { value: round.names ?? '', atMs: o.nowMs - (round.unobeyedMs ?? 0), atLsn: null };
    const c = contextOf(o, memory({ promotedAtMs: round.promotedAtMs ?? null, syncNamesSet }));
    const { noted, notes } = syncNotes(c, round.effects ?? [], this.noted);
    this.noted = noted;
    return notes.map(({ level, text }: SyncNote) => (level === 'warning' ? `WARNING ${text}` : text));
  }
}

const both: Round = { names: 'ANY 1 (b,c)', connected: ['b', 'c'], sync: [1, 'b', 'c'] };
const alone: Round = { names: '', sync: [0] };
const setNames: Effect = { kind: 'set-sync-names', value: '' };
const writeSync: Effect = { kind: 'write-sync', leader: 'a', quorum: 0, standbys: [], expected: null, term: null };

describe('a leader in quorum mode', () => {
  it('logs once which standbys commits wait for and what the next leader needs', () => {
    const log = new Log();
    expect(log.after(both)).toEqual([
      "commits wait for any 1 of b, c now: synchronous_standby_names is 'ANY 1 (b,c)'",
      '/sync: the next leader needs 2 votes of b, c',
    ]);
    expect(log.after(both)).toEqual([]);
    expect(log.after({ names: 'ANY 1 (b)', connected: ['b'], sync: [0, 'b'] })).toEqual([
      "commits wait for b now: synchronous_standby_names is 'ANY 1 (b)'",
      '/sync: the next leader needs 1 vote of b',
    ]);
  });

  it('logs of /sync only what is settled', () => {
    const log = new Log();
    expect(log.after({ ...both, sync: [2, 'b', 'c'] })).toHaveLength(1);
    expect(log.after({ ...both, sync: [2, 'b', 'c'], effects: [writeSync] })).toEqual([]);
    expect(log.after(both)).toEqual(['/sync: the next leader needs 2 votes of b, c']);
  });

  it('warns when it goes on alone, and logs when there is a standby again', () => {
    const log = new Log();
    log.after(both);
    // Its standbys are gone, and it has not let go of them yet.
    expect(log.after({ ...both, connected: [] })).toEqual([]);
    expect(log.after({ ...both, connected: [], effects: [setNames] })).toEqual([]);
    const warned = log.after({ ...alone, effects: [writeSync] });
    expect(warned).toEqual([expect.stringMatching(/^WARNING there is no synchronous standby: commits do not wait, .*strict is off/)]);
    expect(log.after(alone)).toEqual([expect.stringContaining('none takes over by itself')]);
    expect(log.after(alone)).toEqual([]);
    const whole = "there is a synchronous standby again: commits wait for b, synchronous_standby_names is 'ANY 1 (b)'";
    expect(log.after({ names: 'ANY 1 (b)', connected: ['b'], sync: [1, 'b'] })).toEqual([whole]);
  });

  it('tells how many are missing', () => {
    const log = new Log({ synchronousMode: 'quorum', synchronousNodeCount: 2 });
    expect(log.after({ names: 'ANY 1 (b)', connected: ['b'] })[0]).toContain('wait for b (of 2 that are wanted) now');
    expect(log.after({ names: 'ANY 2 (b,c)', connected: ['b', 'c'] })[0]).toContain('wait for b and c now');
  });

  it('warns when commits wait in strict mode and no standby is there', () => {
    const log = new Log({ synchronousMode: 'quorum', synchronousModeStrict: true });
    log.after(both);
    const warned = [
      expect.stringMatching(/^WARNING No active replication connections from Patroni members and synchronous_mode_strict is requested: /),
    ];
    expect(log.after({ ...both, connected: [] })).toEqual(warned);
    expect(log.after({ ...both, connected: [] })).toEqual([]);
    expect(log.after(both)).toEqual([expect.stringContaining('there is a synchronous standby again')]);
    const fresh = new Log({ synchronousMode: 'quorum', synchronousModeStrict: true });
    expect(fresh.after({ names: 'ANY 1 (__patroni_strict_sync_replica_placeholder__)' })[0]).toEqual(warned[0]);
  });

  it('warns when PostgreSQL does not obey the names for long, and logs when it does', () => {
    const log = new Log();
    const looks: Effect = { kind: 'set-sync-names', value: 'ANY 1 (b,c)' };
    expect(log.after({ ...both, unobeyedMs: 0, effects: [looks] })).toEqual([]);
    expect(log.after({ ...both, unobeyedMs: 9_000 })).toEqual([]);
    const warned = log.after({ ...both, unobeyedMs: 10_000, effects: [looks] });
    expect(warned[0]).toMatch(/^WARNING commits may not wait for a standby: .*'ANY 1 \(b,c\)' for 10 s, because its checkpointer is busy/);
    expect(log.after({ ...both, unobeyedMs: 20_000 }).filter((line) => line.startsWith('WARNING'))).toEqual([]);
    expect(log.after(both)[0]).toMatch(/^there is a synchronous standby again: commits wait for any 1 of b, c/);
  });

  it('gives standbys time to connect after a promotion, and the setting time to take effect', () => {
    const log = new Log();
    expect(log.after({ names: 'ANY 1 (b,c)', promotedAtMs: 9000 })).toEqual([]);
    expect(new Log().after({ ...alone, effects: [writeSync] })).toEqual([]);
    expect(log.after({ ...both, promotedAtMs: 9000 })).toHaveLength(2);
  });
});

it('in mode on names the standbys of /sync', () => {
  const log = new Log({ synchronousMode: 'on' });
  expect(log.after({ names: 'b', connected: ['b', 'c'], sync: [0] })).toEqual(["commits wait for b now: synchronous_standby_names is 'b'"]);
  expect(log.after({ names: 'b', connected: ['b', 'c'], sync: [0, 'b'] })).toEqual(['/sync: only b may lead next']);
});

it('a round without etcd or without an answer of PostgreSQL changes nothing', () => {
  const log = new Log();
  log.after(both);
  expect(log.after({ ...alone, readable: false })).toEqual([]);
  expect(log.after({ ...both, answers: false })).toEqual([]);
  expect(log.after(both)).toEqual([]);
});

it('a node that does not lead, or not synchronously, logs nothing and begins again later', () => {
  const log = new Log();
  log.after(both);
  expect(log.after({ ...both, leader: 'b' })).toEqual([]);
  expect(log.after(both)).toHaveLength(2);
  expect(new Log({ synchronousMode: 'off' }).after(both)).toEqual([]);
});
