/**
 * A standby that cannot write that it lets go of the former primary, and when its word still
 * counts.
 */
import { describe, expect, it } from 'vitest';
import { memory, observation, pg, settings, view, walreceiver } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import { isLetGo } from './let-go.ts';
import type { Memory } from './model.ts';

const connected = { primaryConninfo: 'host=c port=5432' };
const receiver = walreceiver({ senderHost: 'c' });
const since: Partial<Memory> = { receiverGoneSinceMs: 4000, leaderlessSinceMs: 8500 };
const letGo = (over: Partial<Memory> = {}, scene = observation({ pg: pg.standby(connected) })) =>
  isLetGo(contextOf(scene, memory({ ...since, ...over })));

describe('the former primary is let go without a file', () => {
  it('once it has been gone longer than PostgreSQL waits for a retry, and etcd says that no member leads', () => {
    expect(letGo()).toBe(true);
  });
  it.each([
    ['the file may still be written', { leaderlessSinceMs: 8501 }],
    ['it was there a moment ago', { receiverGoneSinceMs: 4001 }],
    ['it is not known since when it is gone', { receiverGoneSinceMs: null }],
    ['somebody led until just now', { leaderlessSinceMs: null }],
  ])('not while %s', (_, over) => {
    expect(letGo(over)).toBe(false);
  });
  it('not while it is there, another member leads, or etcd does not answer', () => {
    expect(letGo({}, observation({ pg: pg.standby({ ...connected, receiver }) }))).toBe(false);
    expect(letGo({}, observation({ pg: pg.standby(connected), view: view({ leaderName: 'b' }) }))).toBe(false);
    expect(letGo({}, observation({ pg: pg.standby(connected), view: null }))).toBe(false);
    expect(isLetGo(null)).toBe(false);
  });
});

it('the time it has been gone is counted from round to round, and restarts once it was there', () => {
  const sync = { leader: 'c', quorum: 1, standbys: ['a', 'b'], modRevision: '3' };
  const quorum = settings('a', { dynamic: { synchronousMode: 'quorum' } });
  const round = (nowMs: number, before: Memory, there: boolean | 'unknown') => {
    const running = pg.standby(there === true ? { ...connected, receiver } : connected);
    const facts = there === 'unknown' ? { ...running, state: 'unresponsive' as const, sql: null } : running;
    return decide(observation({ nowMs, view: view({ sync }), settings: quorum, pg: facts }), before).memory;
  };
  const first = round(10_000, memory(), false);
  const second = round(12_000, first, false);
  expect([first.receiverGoneSinceMs, second.receiverGoneSinceMs]).toEqual([10_000, 10_000]);
  expect(round(12_500, second, 'unknown').receiverGoneSinceMs).toBe(10_000);
  expect(round(13_000, second, true).receiverGoneSinceMs).toBeNull();
});

it('replay that PostgreSQL paused for a limit is resumed, so that it is started with what the leader has', () => {
  const paused = pg.standby({ replayPaused: true, pausedByLimits: true });
  const resumes = (scene: Parameters<typeof observation>[0]) => {
    const { chores } = decide(observation({ view: view({ leaderName: 'b' }), pg: paused, ...scene }), memory());
    return chores.some(({ effects }) => effects.some(({ kind }) => kind === 'resume-replay'));
  };
  expect(resumes({})).toBe(true);
  expect(resumes({ pg: pg.standby({ replayPaused: true }) })).toBe(false);
  expect(resumes({ settings: settings('a', { dynamic: { pause: true } }) })).toBe(false);
});
