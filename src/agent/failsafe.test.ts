import { describe, expect, it } from 'vitest';
import { restSettings } from '../../test/fixtures/agent.ts';
import { lsn, member, memory, observation, pg, type Scene, settings, view } from '../../test/support/build.ts';
import { fake } from '../../test/support/fake.ts';
import { manualClock } from '../../test/support/manual-clock.ts';
import { stepDownAtMs } from '../core/authority.ts';
import { contextOf } from '../core/context.ts';
import type { Effect } from '../core/effects.ts';
import { noLinks } from '../core/quorum/link-facts.ts';
import type { DynamicSettings } from '../core/settings.ts';
import type { FailsafeQuestion, FailsafeReply } from '../ports/peers.ts';
import type { Postgres } from '../ports/postgres.ts';
import { AuthorityCell } from './authority-cell.ts';
import { Failsafe } from './failsafe.ts';

const BEGIN_MS = 100_000;
const TTL_MS = 30_000;
const own = (dynamic: Partial<DynamicSettings>) => settings('a', { dynamic, local: { restapi: restSettings() } });
const on = own({ failsafeMode: true });
const url = (name: string) => member(name).apiUrl ?? '';
const mapOf = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, url(name)]));
const key = (...names: readonly string[]) => ({ map: mapOf(...names), modRevision: '7' });

interface Asked {
  readonly atMs: number;
  readonly names: readonly string[];
  readonly question: FailsafeQuestion;
  /** Who refuses; the others agree. */
  readonly answer: (...refusing: readonly string[]) => void;
}

function failsafe(inForce = on) {
  const clock = manualClock(BEGIN_MS);
  const asked: Asked[] = [];
  const log: string[] = [];
  let server = pg.standby({ receiveLsn: lsn(1234) });
  const authority = new AuthorityCell(clock, 30);
  let moved = 0;
  const one = new Failsafe(
    {
      clock,
      settings: { current: () => inForce, local: () => inForce.local },
      log: { info: (text) => log.push(text), warning: (text) => log.push(text) },
      pg: fake<Postgres>({ observe: async () => server }),
      peers: {
        agree: (members, question) =>
          new Promise<readonly FailsafeReply[]>((resolve) => {
            const names = Object.keys(members);
            const answer = (...refusing: readonly string[]) =>
              resolve(names.map((name) => ({ name, refusal: refusing.includes(name) ? '500 Running as a leader' : null })));
            asked.push({ atMs: clock.bootMs() - BEGIN_MS, names, question, answer });
          }),
      },
    },
    authority,
    () => {
      moved += 1;
    },
  );
  const see = (scene: Scene) => {
    const links = { ...noLinks(0), agreed: one.word };
    const o = observation({ nowMs: clock.bootMs(), settings: inForce, links, ...scene });
    one.observed(contextOf({ ...o, authority: authority.now }, memory()));
  };
  const decide = (...effects: readonly Effect[]) => one.decided({ effects });
  return {
    clock,
    authority,
    asked,
    log,
    see,
    decide,
    failsafe: one,
    moved: () => moved,
    runs: (facts: typeof server) => {
      server = facts;
    },
  };
}

/** It leads by a lease that was renewed just now, and etcd has been silent since. */
function leading(given: { readonly failsafe?: ReturnType<typeof key> | null; readonly settings?: typeof on } = {}) {
  const all = failsafe(given.settings);
  const { authority } = all;
  authority.note({ kind: 'lease-asked' });
  authority.note({ kind: 'lease-granted', asked: 1, leaseId: 'lease-a', ttlSeconds: 30, sentAtMs: BEGIN_MS });
  authority.note({ kind: 'key-read', keyOn: 'lease-a' });
  all.see({
    view: view({ leaderName: 'a', failsafe: given.failsafe === undefined ? key('a', 'b', 'c') : given.failsafe }),
    pg: pg.primary(),
  });
  all.see({ view: null, pg: pg.primary() });
  return all;
}

describe('a leader that cannot renew', () => {
  it('asks all others that the map names from half of its lease on, and goes on by their word as from when it asked', async () => {
    const { clock, asked, authority, moved } = leading();
    await clock.advance(11_750);
    expect(asked).toEqual([]);
    await clock.advance(500);
    expect(asked.map(({ names }) => names)).toEqual([['b', 'c']]);
    expect(asked[0]?.question).toMatchObject({ name: 'a', ttlSeconds: 30 });
    const { atMs = 0, answer } = asked[0] ?? {};
    await clock.advance(1500);
    expect(authority.now.agreed).toBeNull();
    answer?.();
    await clock.advance(0);
    expect(authority.now.agreed).toEqual({ sentAtMs: BEGIN_MS + atMs, ttlSeconds: 30, by: ['b', 'c'] });
    expect(moved()).toBe(1);
  });

  it('asks again when a quarter of that is over, or soon after a refusal, one at a time', async () => {
    const { clock, asked, authority } = leading();
    await clock.advance(12_250);
    await clock.advance(3000);
    expect(asked).toHaveLength(1);
    asked[0]?.answer('c');
    await clock.advance(250);
    expect(asked).toHaveLength(2);
    expect(authority.now.agreed).toBeNull();
    asked[1]?.answer();
    await clock.advance(7250);
    expect(asked).toHaveLength(2);
    await clock.advance(500);
    expect(asked).toHaveLength(3);
  });

  it('says once who does not agree, and what was said', async () => {
    const { clock, asked, log } = leading();
    await clock.advance(12_250);
    asked[0]?.answer('c');
    await clock.advance(1000);
    asked[1]?.answer('c');
    await clock.advance(1000);
    expect(log).toEqual(['failsafe mode: not every member agrees that this leader goes on without etcd: c: 500 Running as a leader']);
  });

  it('asks nobody once its time is over, in a pause, with failsafe mode off, or where the map does not name it', async () => {
    const late = leading();
    await late.clock.advance(12_250);
    late.asked[0]?.answer('b');
    await late.clock.advance(20_000);
    const { length } = late.asked;
    await late.clock.advance(20_000);
    expect(late.asked).toHaveLength(length);
    const off = own({});
    const paused = own({ failsafeMode: true, pause: true });
    for (const given of [{ settings: off }, { settings: paused }, { failsafe: null }, { failsafe: key('b', 'c') }]) {
      const { clock, asked } = leading(given);
      await clock.advance(23_000);
      expect(asked).toEqual([]);
    }
  });

  it('goes on by itself where the map names nobody else', async () => {
    const { clock, asked, authority } = leading({ failsafe: key('a') });
    await clock.advance(12_250);
    expect(asked[0]?.names).toEqual([]);
    asked[0]?.answer();
    await clock.advance(0);
    expect(authority.now.agreed).toMatchObject({ by: [] });
  });

  it('also asks members that a write of the map may have added, until it knows what became of the write', async () => {
    const names = async (written: boolean | null) => {
      const { clock, asked, failsafe: one } = leading({ failsafe: key('a', 'b') });
      one.writes(mapOf('a', 'b', 'c'), null);
      if (written !== null) one.writes(mapOf('a', 'b', 'c'), written);
      await clock.advance(12_250);
      return asked[0]?.names;
    };
    expect(await names(null)).toEqual(['b', 'c']);
    expect(await names(true)).toEqual(['b', 'c']);
    expect(await names(false)).toEqual(['b']);
  });
});

describe('voters that vouch', () => {
  const kept = async () => {
    const all = leading();
    const { clock, authority } = all;
    const vouch = () => authority.note({ kind: 'vouched', sentAtMs: clock.bootMs(), by: ['b'] });
    while (clock.bootMs() < BEGIN_MS + 60_000) {
      vouch();
      await clock.advance(200);
    }
    return { ...all, vouch };
  };

  it('spare all members the question, long after the lease has ended', async () => {
    const { asked } = await kept();
    expect(asked).toEqual([]);
  });

  it('fall silent: all members are asked while their word still lasts', async () => {
    const { clock, asked, authority } = await kept();
    await clock.advance(1500);
    asked[0]?.answer();
    await clock.advance(0);
    expect(authority.now.agreed?.sentAtMs).toBeLessThan(clock.bootMs());
    expect(stepDownAtMs(authority.now)).toBeGreaterThan(clock.bootMs() + 20_000);
  });
});

it('an agreement does not count once the map names somebody who was not asked', async () => {
  const agreedAfter = async (map: ReturnType<typeof mapOf>) => {
    const { clock, asked, authority, failsafe: one } = leading({ failsafe: key('a', 'b') });
    await clock.advance(12_250);
    one.writes(map, null);
    asked[0]?.answer();
    await clock.advance(0);
    return authority.now.agreed;
  };
  expect(await agreedAfter(mapOf('a', 'b', 'c'))).toBeNull();
  expect(await agreedAfter(mapOf('a'))).toMatchObject({ by: ['b'] });
});

describe('a member that is asked', () => {
  const asks = (name = 'c', more = {}) => ({ name, conn_url: 'x', api_url: 'y', slots: {}, ...more });
  const refused = { kind: 'refused', because: 'Running as a leader' };

  it('agrees for one ttl from now on, and tells its position', async () => {
    const { see, failsafe: one } = failsafe();
    see({ pg: pg.standby({ receiveLsn: lsn(1234), replayLsn: lsn(1200) }) });
    expect(await one.asked(asks())).toEqual({ kind: 'accepted', lsn: lsn(1234) });
    expect(one.word).toEqual({ leader: 'c', untilMs: BEGIN_MS + TTL_MS });
  });

  it('for as long as a leader with a longer ttl counts on it', async () => {
    const { see, failsafe: one } = failsafe();
    see({ pg: pg.standby() });
    await one.asked(asks('c', { ttl: 60 }));
    expect(one.word?.untilMs).toBe(BEGIN_MS + 60_000);
    await one.asked(asks('c', { ttl: 5 }));
    expect(one.word?.untilMs).toBe(BEGIN_MS + 60_000);
  });

  it('refuses as a leader, and from a decision that may make it one to the next look', async () => {
    const { see, decide, failsafe: one } = failsafe();
    see({ pg: pg.primary() });
    expect(await one.asked(asks())).toEqual(refused);
    see({ pg: pg.standby() });
    decide({ kind: 'acquire-leader' });
    expect(await one.asked(asks())).toEqual(refused);
    see({ view: view({ leaderName: 'a' }), pg: pg.standby() });
    expect(await one.asked(asks())).toEqual(refused);
    see({ pg: pg.standby() });
    expect(await one.asked(asks())).toMatchObject({ kind: 'accepted' });
  });

  const takes: readonly Effect[] = [
    { kind: 'acquire-leader' },
    { kind: 'take-refused', term: '5' },
    { kind: 'take-over', term: '5', expected: { leader: 'b', quorum: 0, standbys: ['a'], modRevision: '6' }, quorum: 0, standbys: [] },
  ];

  it.each(takes)('forgets its word when it was decided that the leader does not go on: $kind', async (take) => {
    const { see, decide, failsafe: one } = failsafe();
    see({ pg: pg.standby() });
    await one.asked(asks());
    decide({ kind: 'apply-config', role: { kind: 'standby', source: null } });
    expect(one.word).not.toBeNull();
    decide(take);
    expect(one.word).toBeNull();
  });

  it('looks at PostgreSQL before its first round, which may have to wait for etcd', async () => {
    const { runs, failsafe: one } = failsafe();
    runs(pg.primary());
    expect(await one.asked(asks())).toMatchObject({ kind: 'refused' });
    runs(pg.standby());
    expect(await one.asked(asks())).toMatchObject({ kind: 'accepted' });
  });

  it('says nothing of the kind with failsafe mode off, to itself, or to nobody in particular', async () => {
    const off = failsafe(own({}));
    off.see({ pg: pg.standby() });
    expect(await off.failsafe.asked(asks())).toEqual({ kind: 'off' });
    const { see, failsafe: one } = failsafe();
    see({ pg: pg.standby() });
    for (const body of [asks('a'), asks(''), {}]) expect(await one.asked(body)).toMatchObject({ kind: 'refused' });
    expect(one.word).toBeNull();
  });

  it('keeps the map while etcd does not answer', () => {
    const { see, failsafe: one } = failsafe();
    expect(one.map).toBeNull();
    see({ view: view({ leaderName: 'b', failsafe: key('a', 'b') }) });
    see({ view: null });
    expect(one.map).toEqual(mapOf('a', 'b'));
  });
});
