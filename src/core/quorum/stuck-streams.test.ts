import { describe, expect, it } from 'vitest';
import { memory, observation, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { chores } from '../housekeeping.ts';
import type { ReceiverFacts, SqlFacts, WalsenderFacts } from '../postgres-facts.ts';
import { type LinkFacts, noLinks, type Silence, silenceAsOf } from './link-facts.ts';
import { stuckStreams } from './stuck-streams.ts';

const NOW_MS = 60_000;
/** Nothing was heard for eight seconds, until 300 ms ago. */
const silence = { fromMs: NOW_MS - 8300, untilMs: NOW_MS - 300 };

describe('a silence', () => {
  it('is remembered when it lasted for two suspect_after, until there is another', () => {
    expect(silenceAsOf(NOW_MS, undefined, 1000)).toBeUndefined();
    expect(silenceAsOf(NOW_MS, { atMs: NOW_MS - 1999 }, 1000)).toBeUndefined();
    expect(silenceAsOf(NOW_MS, { atMs: NOW_MS - 2000 }, 1000)).toEqual({ fromMs: NOW_MS - 2000, untilMs: NOW_MS });
    expect(silenceAsOf(NOW_MS, { atMs: NOW_MS - 200, silence }, 1000)).toBe(silence);
    expect(silenceAsOf(NOW_MS, { atMs: NOW_MS - 3000, silence }, 1000)).toEqual({ fromMs: NOW_MS - 3000, untilMs: NOW_MS });
  });
});

describe('a standby that hears its leader again', () => {
  const streaming = (silentMs: number): Partial<SqlFacts> => ({
    receiver: { ...(pg.standby().sql?.receiver as ReceiverFacts), pid: 7, silentMs },
  });
  const connecting = (ageMs: number): Partial<SqlFacts> => ({ receiver: null, connecting: { pid: 8, ageMs } });
  const heard = { leader: 'b', atMs: NOW_MS - 10, lost: false, silence };

  function standby(sql: Partial<SqlFacts>, links: Partial<LinkFacts> = {}, scene: Scene = {}) {
    return contextOf(
      observation({
        nowMs: NOW_MS,
        view: view({ leaderName: 'b' }),
        pg: pg.standby(sql),
        links: { ...noLinks(0), heard, ...links },
        ...scene,
      }),
      memory({ role: 'replica' }),
    );
  }
  const ended = (...scene: Parameters<typeof standby>) => stuckStreams(standby(...scene));

  it('ends a walreceiver to which nothing has come since then', () => {
    expect(ended(streaming(8500))).toEqual([{ kind: 'end-receiver', pid: 7 }]);
    expect(ended(streaming(301))).toEqual([{ kind: 'end-receiver', pid: 7 }]);
    expect(chores(standby(streaming(8500))).wanted).toContainEqual({ kind: 'stuck', effects: [{ kind: 'end-receiver', pid: 7 }] });
  });

  it('not one that has heard from its source since, or is another', () => {
    expect(ended(streaming(300))).toEqual([]);
    expect(ended(streaming(0))).toEqual([]);
  });

  it('ends one that has been waiting for a connection since before', () => {
    expect(ended(connecting(301))).toEqual([{ kind: 'end-receiver', pid: 8 }]);
    expect(ended(connecting(299))).toEqual([]);
  });

  it('not where there was no silence, or it was another member’s', () => {
    expect(ended(streaming(8500), { heard: { ...heard, silence: undefined } })).toEqual([]);
    expect(ended(streaming(8500), { heard: { ...heard, leader: 'c' } })).toEqual([]);
    expect(ended(streaming(8500), { heard: null })).toEqual([]);
  });

  it('not where nobody else leads', () => {
    expect(ended(streaming(8500), {}, { view: view({ leader: null }) })).toEqual([]);
  });
});

describe('a leader whose standby answers again', () => {
  const sender = (pid: number, name: string): WalsenderFacts => ({
    pid,
    usename: 'replicator',
    applicationName: name,
    clientAddr: null,
    state: 'streaming',
    syncState: 'quorum',
    syncPriority: 1,
    writeLsn: null,
    flushLsn: null,
    replayLsn: null,
    replyTime: null,
  });
  function ended(seen: { readonly sinceMs: number; readonly seenAtMs: number } | null, silences: Readonly<Record<string, Silence>>) {
    const c = contextOf(
      observation({
        nowMs: NOW_MS,
        view: view({ leaderName: 'a' }),
        pg: pg.primary({ replication: [sender(5, 'B')] }),
        settings: settings('a', { dynamic: { synchronousMode: 'quorum' } }),
        links: { ...noLinks(0), silences: new Map(Object.entries(silences)) },
      }),
      memory({ role: 'primary', replies: seen === null ? {} : { 5: { replyTime: null, owesSinceMs: null, ...seen } } }),
    );
    return stuckStreams(c);
  }
  const old = { sinceMs: 0, seenAtMs: NOW_MS - 9000 };

  it('ends the walsender that has not heard from it since', () => {
    expect(ended(old, { b: silence })).toEqual([{ kind: 'end-walsender', pid: 5, name: 'B' }]);
  });

  it('not one that has, nor a new one, nor one of which nothing is known', () => {
    expect(ended({ ...old, seenAtMs: NOW_MS - 300 }, { b: silence })).toEqual([]);
    expect(ended({ sinceMs: NOW_MS - 200, seenAtMs: NOW_MS - 200 }, { b: silence })).toEqual([]);
    expect(ended(null, { b: silence })).toEqual([]);
  });

  it('not where there was no silence, or it was another’s', () => {
    expect(ended(old, { c: silence })).toEqual([]);
    expect(ended(old, {})).toEqual([]);
  });
});
