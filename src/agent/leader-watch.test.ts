import { describe, expect, it } from 'vitest';
import { member, settings } from '../../test/support/build.ts';
import { manualClock } from '../../test/support/manual-clock.ts';
import type { Knock } from '../core/quorum/link-facts.ts';
import type { Links } from '../ports/links.ts';
import { LeaderWatch } from './leader-watch.ts';

const BEGIN_MS = 10_000;
const [b, c] = [member('b'), member('c')];

interface KnockedAt {
  readonly port: 'agent' | 'postgres';
  readonly name: string;
  readonly atMs: number;
  readonly timeoutMs: number;
}

/** A member that watches b since ten seconds after boot; both ports of b answer at once. */
function watching(leader = b) {
  const clock = manualClock(BEGIN_MS);
  const knocked: KnockedAt[] = [];
  const doors: { agent: Knock; postgres: Knock; hang: boolean } = { agent: 'answered', postgres: 'answered', hang: false };
  const knock = (port: 'agent' | 'postgres') =>
    ((to, { timeoutMs }) => {
      knocked.push({ port, name: to.name, atMs: clock.bootMs() - BEGIN_MS, timeoutMs });
      const told = doors[port];
      const waits = told === 'silent' || doors.hang;
      return waits ? new Promise((resolve) => clock.timer(timeoutMs, () => resolve(told))) : Promise.resolve(told);
    }) satisfies Links['knockAgent'];
  const woken: number[] = [];
  const ports = {
    clock,
    links: { knockAgent: knock('agent'), knockPostgres: knock('postgres') },
    settings: { current: () => settings('a', { dynamic: { suspectAfterMs: 1000 } }) },
  };
  const watch = new LeaderWatch(ports, BEGIN_MS, () => woken.push(clock.bootMs() - BEGIN_MS));
  watch.watch(leader, '5');
  const beat = async (times: number, everyMs = 200) => {
    for (let i = 0; i < times; i += 1) {
      watch.heardFrom('b');
      await clock.advance(everyMs);
    }
  };
  return { clock, knocked, doors, woken, watch, beat };
}
const rounds = (knocked: readonly KnockedAt[]) => knocked.filter(({ port }) => port === 'postgres').map(({ atMs }) => atMs);

describe('while the beats come', () => {
  it('nobody knocks and nobody is woken', async () => {
    const { watch, knocked, woken, beat } = watching();
    await beat(100);
    expect([knocked, woken]).toEqual([[], []]);
    expect(watch.heard).toMatchObject({ leader: 'b', lost: false });
    expect(watch.knocks).toBeNull();
  });

  it('a single lost one makes no difference', async () => {
    const { knocked, woken, beat } = watching();
    for (let i = 0; i < 10; i += 1) await beat(2, 400);
    expect([knocked, woken]).toEqual([[], []]);
  });
});

describe('what the beats tell', () => {
  it('that the leader resigns, or no longer does, wakes at once', async () => {
    const { watch, woken, beat } = watching();
    await beat(2);
    watch.heardFrom('b', '5');
    expect(watch.heard).toMatchObject({ resignedTerm: '5' });
    watch.heardFrom('b', '5');
    expect(woken).toEqual([400]);
    watch.heardFrom('b');
    expect(woken).toEqual([400, 400]);
    expect(watch.heard?.resignedTerm).toBeUndefined();
  });

  it('nothing of the leader, where another says it', async () => {
    const { watch, woken, beat } = watching();
    await beat(1);
    watch.heardFrom('c', '5');
    expect([woken, watch.heard?.resignedTerm]).toEqual([[], undefined]);
  });

  it('that the leader is back after a silence of two suspect_after, which is remembered', async () => {
    const { clock, watch, woken, beat } = watching();
    await beat(1, 2000);
    const before = woken.length;
    watch.heardFrom('b');
    expect(woken).toHaveLength(before + 1);
    const silence = { fromMs: BEGIN_MS, untilMs: BEGIN_MS + 2000 };
    expect(watch.heard?.silence).toEqual(silence);
    await clock.advance(200);
    watch.heardFrom('b');
    expect(watch.heard?.silence).toEqual(silence);
  });

  it('that it is back, also where it was never heard before', async () => {
    const { clock, watch } = watching();
    await clock.advance(2500);
    watch.heardFrom('b');
    expect(watch.heard?.silence).toEqual({ fromMs: BEGIN_MS, untilMs: BEGIN_MS + 2500 });
  });
});

describe('when the beats cease', () => {
  it('it knocks at both ports after half of suspect_after, and has the answers when that is over', async () => {
    const { clock, watch, doors, knocked, woken } = watching();
    Object.assign(doors, { agent: 'silent', postgres: 'silent' });
    watch.heardFrom('b');
    await clock.advance(499);
    expect(knocked).toEqual([]);
    await clock.advance(1);
    expect(knocked.map(({ port, timeoutMs }) => [port, timeoutMs])).toEqual([
      ['agent', 500],
      ['postgres', 500],
    ]);
    expect(watch.knocks).toBeNull();
    await clock.advance(500);
    expect(watch.knocks).toEqual({ agent: 'silent', postgres: 'silent', refusedTwice: false });
    expect(woken).toEqual([1000]);
  });

  it('it wakes once more when suspect_after is over, if the answers came before', async () => {
    const { clock, doors, woken, watch } = watching();
    doors.postgres = 'refused';
    watch.heardFrom('b');
    await clock.advance(999);
    expect(woken).toEqual([500]);
    await clock.advance(1);
    expect(woken).toEqual([500, 1000]);
  });

  it('it counts from when it began to watch, where no beat ever came', async () => {
    const { clock, watch, knocked } = watching();
    await clock.advance(500);
    expect(rounds(knocked)).toEqual([500]);
    expect(watch.heard).toBeNull();
  });

  it('it goes on knocking, and wakes only when an answer is another', async () => {
    const { clock, doors, knocked, woken, watch } = watching();
    await clock.advance(2000);
    expect(rounds(knocked)).toEqual([500, 1000, 1300, 1600, 1900]);
    expect(woken).toEqual([500, 1000]);
    doors.postgres = 'refused';
    await clock.advance(300);
    expect(woken).toEqual([500, 1000, 2200]);
    expect(watch.knocks?.postgres).toBe('refused');
  });

  it('it knocks less often at a leader that is well and does not reach it, but at no other', async () => {
    const well = watching();
    const dead = watching();
    dead.doors.postgres = 'refused';
    for (const { clock } of [well, dead]) await clock.advance(20_000);
    const late = ({ knocked }: typeof well) => rounds(knocked).filter((atMs) => atMs >= 11_000).length;
    expect(late(well)).toBe(9);
    expect(late(dead)).toBe(30);
  });
});

describe('where both ports refuse', () => {
  it('it knocks a second time at once, and only two refusals count', async () => {
    const { clock, doors, knocked, woken, watch } = watching();
    Object.assign(doors, { agent: 'refused', postgres: 'refused' });
    watch.heardFrom('b');
    watch.lost('b');
    expect(watch.heard?.lost).toBe(true);
    await clock.advance(29);
    expect([rounds(knocked), watch.knocks]).toEqual([[0], null]);
    await clock.advance(1);
    expect(rounds(knocked)).toEqual([0, 30]);
    expect(watch.knocks).toEqual({ agent: 'refused', postgres: 'refused', refusedTwice: true });
    expect(woken).toEqual([30]);
  });

  it('the second answer is the one that counts', async () => {
    const { clock, doors, watch } = watching();
    Object.assign(doors, { agent: 'refused', postgres: 'refused' });
    watch.heardFrom('b');
    watch.lost('b');
    await clock.advance(10);
    doors.agent = 'answered';
    await clock.advance(20);
    expect(watch.knocks).toEqual({ agent: 'answered', postgres: 'refused', refusedTwice: false });
  });

  it('an agent that refuses alone is knocked at again soon, for its PostgreSQL may follow', async () => {
    const { clock, doors, knocked, watch } = watching();
    doors.agent = 'refused';
    watch.heardFrom('b');
    watch.lost('b');
    await clock.advance(100);
    expect([rounds(knocked), watch.knocks?.refusedTwice]).toEqual([[0, 100], false]);
    doors.postgres = 'refused';
    await clock.advance(150);
    expect(watch.knocks?.refusedTwice).toBe(true);
  });
});

describe('when a beat comes again', () => {
  it('what the knocks told is over, and a round is wanted', async () => {
    const { clock, doors, watch, woken } = watching();
    Object.assign(doors, { agent: 'refused', postgres: 'refused' });
    await clock.advance(1500);
    expect(watch.knocks?.refusedTwice).toBe(true);
    const before = woken.length;
    watch.heardFrom('b');
    expect([watch.knocks, watch.heard?.lost, woken.length - before]).toEqual([null, false, 1]);
  });

  it('nothing wakes at the moment when suspect_after would have been over', async () => {
    const { clock, woken, beat } = watching();
    await clock.advance(600);
    expect(woken).toEqual([500]);
    await beat(10);
    expect(woken).toEqual([500, 600]);
  });

  it('while it knocks, the answers are thrown away', async () => {
    const { clock, doors, watch, woken, beat } = watching();
    Object.assign(doors, { agent: 'refused', postgres: 'silent' });
    await clock.advance(700);
    await beat(5);
    expect([watch.knocks, woken]).toEqual([null, []]);
  });

  it('it stops knocking, until the beats cease once more', async () => {
    const { clock, knocked, beat } = watching();
    await clock.advance(3000);
    const before = knocked.length;
    await beat(50);
    expect(knocked.length).toBe(before);
    await clock.advance(500);
    expect(knocked.length).toBeGreaterThan(before);
  });

  it('a beat of another is none', async () => {
    const { clock, knocked, watch } = watching();
    for (let i = 0; i < 4; i += 1) {
      watch.heardFrom('c');
      await clock.advance(200);
    }
    expect(rounds(knocked)).toEqual([500]);
    expect(watch.heard).toBeNull();
  });
});

describe('who is watched', () => {
  it('a connection that ends is a reason to knock only where it was the leader’s', async () => {
    const { clock, knocked, watch } = watching();
    watch.heardFrom('b');
    watch.heardFrom('c');
    watch.lost('c');
    watch.lost('d');
    await clock.advance(400);
    expect(knocked).toEqual([]);
    watch.lost('b');
    await clock.advance(0);
    expect(rounds(knocked)).toEqual([400]);
  });

  it('with another leader, everything begins anew', async () => {
    const { clock, doors, knocked, watch } = watching();
    doors.postgres = 'refused';
    await clock.advance(2000);
    watch.watch(c, '5');
    expect([watch.knocks, watch.heard, watch.sinceMs]).toEqual([null, null, BEGIN_MS + 2000]);
    knocked.length = 0;
    await clock.advance(500);
    expect(knocked.map(({ name, atMs }) => [name, atMs])).toEqual([
      ['c', 2500],
      ['c', 2500],
    ]);
  });

  it('in a new term of the same leader, what was found before does not count: its agent was there', async () => {
    const { clock, doors, knocked, watch } = watching();
    Object.assign(doors, { agent: 'refused', postgres: 'refused' });
    await clock.advance(600);
    expect(watch.knocks?.refusedTwice).toBe(true);
    watch.watch(b, '6');
    expect([watch.knocks, watch.sinceMs]).toEqual([null, BEGIN_MS]);
    await clock.advance(1000);
    expect(watch.knocks?.refusedTwice).toBe(true);
    doors.hang = true;
    knocked.length = 0;
    await clock.advance(300);
    expect(knocked.length).toBeGreaterThan(0);
    watch.watch(b, '7');
    doors.hang = false;
    Object.assign(doors, { agent: 'answered', postgres: 'answered' });
    await clock.advance(1500);
    expect(watch.knocks).toEqual({ agent: 'answered', postgres: 'answered', refusedTwice: false });
  });

  it('the same leader under another address goes on being watched', async () => {
    const { clock, watch, knocked } = watching();
    await clock.advance(400);
    watch.watch(member('B', { apiUrl: 'http://elsewhere:8008/patroni' }), '5');
    expect(watch.sinceMs).toBe(BEGIN_MS);
    await clock.advance(100);
    expect(knocked[0]?.name).toBe('B');
  });

  it('what is told of a former leader, at whose port it still knocked, does not count', async () => {
    const { clock, doors, watch, woken } = watching();
    Object.assign(doors, { agent: 'refused', postgres: 'refused', hang: true });
    await clock.advance(600);
    watch.watch(c, '5');
    Object.assign(doors, { agent: 'answered', postgres: 'answered', hang: false });
    await clock.advance(450);
    expect([watch.knocks, woken]).toEqual([null, []]);
    await clock.advance(1000);
    expect(watch.knocks).toEqual({ agent: 'answered', postgres: 'answered', refusedTwice: false });
  });

  it('nobody: then no timer is left', async () => {
    for (const end of ['watch', 'stop'] as const) {
      const { clock, watch, knocked } = watching();
      await clock.advance(400);
      if (end === 'stop') watch.stop();
      else watch.watch(null, '5');
      expect(clock.pending).toBe(0);
      watch.lost('b');
      await clock.advance(5000);
      expect(knocked).toEqual([]);
    }
  });

  it('nobody, once it is stopped while it knocks', async () => {
    const { clock, doors, watch, woken } = watching();
    doors.postgres = 'silent';
    await clock.advance(600);
    watch.stop();
    await clock.advance(5000);
    expect([watch.knocks, woken, clock.pending]).toEqual([null, [], 0]);
  });
});
