/**
 * What callbacks are told: every role that lasts, once its script was started, in order and not
 * twice.
 */
import { describe, expect, it } from 'vitest';
import { authority, member, memory, observation, peer, peers, pg, view } from '../../test/support/build.ts';
import { type CallbackFacts, callbackFor, callbackRows, roleAtStop } from './callbacks.ts';
import { decide } from './decide.ts';
import type { Job } from './effects.ts';
import type { Announcement, Memory, Observation } from './model.ts';

const members = [member('a'), member('b', { role: 'primary' })];
const asPrimary = (over: Partial<Observation> = {}) =>
  observation({ view: view({ leaderName: 'a', members: [member('a', { role: 'primary' })] }), pg: pg.primary(), ...over });
/** Its PostgreSQL was started since. */
const again = (over: Partial<Observation> = {}) =>
  asPrimary({ pg: pg.primary({ postmasterStartTime: '2026-01-01 00:01:00+00:00' }), ...over });
const asReplica = (over: Partial<Observation> = {}) => observation({ view: view({ leaderName: 'b', members }), pg: pg.standby(), ...over });

/** Rounds one after the other; `starts`: whether a script that is asked for can be started. */
class Rounds {
  memory: Memory = memory();
  told: string[] = [];
  #announced: Announcement[] = [];
  #nowMs = 10_000;

  round(facts: (over: Partial<Observation>) => Observation, { starts = true, stopped = false, over = {} } = {}): this {
    const own = authority({ confirmedSentAtMs: this.#nowMs });
    const decision = decide(facts({ announced: this.#announced, nowMs: this.#nowMs, authority: own, ...over }), this.memory);
    this.memory = decision.memory;
    this.#announced = [];
    this.#nowMs += 60_000;
    for (const effect of decision.effects) {
      if (effect.kind !== 'run-callback' || !starts) continue;
      this.told.push(`${effect.action} ${effect.role}`);
      this.#announced.push(effect);
    }
    if (stopped) this.#announced.push({ action: 'on_stop', role: 'demoted' });
    return this;
  }
}

describe('a change of role', () => {
  it('is told once', () => {
    const rounds = new Rounds().round(asReplica).round(asReplica).round(asPrimary).round(asPrimary).round(asReplica).round(asReplica);
    expect(rounds.told).toEqual(['on_start replica', 'on_role_change primary', 'on_role_change replica']);
  });

  it('is told in a later round when its script could not be started, or the round came to nothing', () => {
    const rounds = new Rounds().round(asReplica).round(asPrimary, { starts: false }).round(asPrimary, { starts: false }).round(asPrimary);
    expect(rounds.told).toEqual(['on_start replica', 'on_role_change primary']);
  });

  it('that is over before it could be told is not told', () => {
    const rounds = new Rounds().round(asReplica).round(asPrimary, { starts: false }).round(asReplica).round(asReplica);
    expect(rounds.told).toEqual(['on_start replica']);
  });

  it('back to the same role after on_stop restores what on_stop removed', () => {
    const rounds = new Rounds().round(asPrimary).round(asPrimary, { stopped: true }).round(again).round(again);
    expect(rounds.told).toEqual(['on_start primary', 'on_start primary']);
    const changed = new Rounds().round(asPrimary, { stopped: true }).round(asReplica).round(asPrimary);
    expect(changed.told).toEqual(['on_start primary', 'on_role_change replica', 'on_role_change primary']);
  });
});

it('a restart is told once, unless another call comes before it', () => {
  const job = { kind: 'restart', role: { kind: 'primary' }, why: 'restart', timeoutMs: null } as const;
  const ended = [{ job, ok: true, code: null, message: null, endedAtMs: 1 }];
  const rounds = new Rounds().round(asPrimary).round(asPrimary, { starts: false, over: { ended } }).round(asPrimary).round(asPrimary);
  expect(rounds.told).toEqual(['on_start primary', 'on_restart primary']);
  const changed = new Rounds().round(asPrimary).round(asReplica, { over: { ended } }).round(asReplica);
  expect(changed.told).toEqual(['on_start primary', 'on_role_change replica']);
});

it('a restart of a server that was down is a restart, and one that goes on starting as well', () => {
  const start = { kind: 'start', role: { kind: 'standby', source: null }, why: 'restart' } as const;
  const restart = { kind: 'restart', role: { kind: 'standby', source: null }, why: 'restart', timeoutMs: null } as const;
  const ended = (job: Job, code: string | null) => ({ ended: [{ job, ok: code === null, code, message: null, endedAtMs: 1 }] });
  for (const over of [ended(start, null), ended(restart, 'PG_START_TIMEOUT')])
    expect(new Rounds().round(asReplica).round(asReplica, { over }).told).toEqual(['on_start replica', 'on_restart replica']);
  expect(new Rounds().round(asReplica).round(asReplica, { over: ended(restart, 'PG_START_FAILED') }).told).toEqual(['on_start replica']);
});

it('a server that has crashed and runs again, in its role, is told as started; once', () => {
  const rounds = new Rounds().round(asPrimary).round(again, { starts: false }).round(again);
  expect(rounds.round(again).told).toEqual(['on_start primary', 'on_start primary']);
});

describe('a former leader that is down', () => {
  type Facts = NonNullable<Parameters<typeof observation>[0]>;
  const down = (over: Facts = {}) =>
    observation({
      view: view({ leaderName: 'a', members: [member('a'), member('b')] }),
      pg: pg.stopped({ state: 'in production' }),
      peers: peers(peer('b')),
      ...over,
    });
  const failed = (over: Partial<Observation> = {}) => {
    const job = { kind: 'start', role: { kind: 'primary' }, why: 'starting primary after failure' } as const;
    const ended = [{ job, ok: false, code: 'PG_START_FAILED', message: 'no', endedAtMs: 1 }];
    return down({ ended, ...over });
  };
  const leaderless = (over: Partial<Observation> = {}) => down({ view: view({ members }), ...over });

  it('is told as demoted when it gives up, because it does not start; then as what it comes back as', () => {
    const rounds = new Rounds().round(asPrimary).round(down).round(failed).round(leaderless);
    expect(rounds.told).toEqual(['on_start primary', 'on_role_change demoted']);
    expect(rounds.round(asReplica).told.at(-1)).toBe('on_role_change replica');
  });

  it('is told so in a later round where the script could not be started', () => {
    const held = memory({ failures: { start: { count: 9, lastAtMs: 9e6, message: 'no' } } }).failures;
    const rounds = new Rounds().round(asPrimary).round(down).round(failed, { starts: false });
    rounds.memory = { ...rounds.memory, failures: held };
    expect(rounds.round(leaderless).told).toEqual(['on_start primary', 'on_role_change demoted']);
  });

  it('is told nothing more where on_stop was told, or the cluster is paused', () => {
    const stopped = new Rounds().round(asPrimary, { stopped: true }).round(failed).round(leaderless);
    expect(stopped.told).toEqual(['on_start primary']);
  });
});

/** Every row of the table, by the facts that lead to it. */
const quiet: CallbackFacts = { role: 'replica', told: 'replica', restarted: false, started: false, gaveUp: false };
const cases: readonly (readonly [string, Partial<CallbackFacts>, string])[] = [
  ['nothing has changed', {}, 'nothing'],
  ['the first call of an agent, whatever else', { told: null, restarted: true, started: true }, 'on_start replica'],
  ['a running server that the agent was started beside', { told: null, role: 'primary' }, 'on_start primary'],
  ['promoted', { role: 'primary' }, 'on_role_change primary'],
  ['a former primary that follows', { told: 'primary', started: true }, 'on_role_change replica'],
  ['… after it was told as demoted', { told: 'demoted', started: true }, 'on_role_change replica'],
  ['a replica that leads a standby cluster', { role: 'standby_leader' }, 'on_role_change standby_leader'],
  ['restarted at an operator’s request', { restarted: true, started: true }, 'on_restart replica'],
  ['started after a crash, a stop, a copy or a rewind', { started: true }, 'on_start replica'],
  ['a former leader of a standby cluster that gives up', { role: null, told: 'standby_leader', gaveUp: true }, 'on_role_change demoted'],
  ['a primary that gives up', { role: null, told: 'primary', gaveUp: true }, 'on_role_change demoted'],
  ['a replica that is down', { role: null, gaveUp: true, started: true }, 'nothing'],
  ['a role that does not last', { role: null, restarted: true }, 'nothing'],
];

it.each(cases)('%s', (_, facts, expected) => {
  const told = callbackFor({ ...quiet, ...facts });
  expect(told === null ? 'nothing' : `${told.action} ${told.role}`).toBe(expected);
});

it('every row of the table has its case', () => {
  const rowOf = (facts: Partial<CallbackFacts>) => callbackRows.find(({ when }) => when({ ...quiet, ...facts }));
  for (const row of callbackRows)
    expect(
      cases.some(([, facts]) => rowOf(facts) === row),
      row.situation,
    ).toBe(true);
});

it.each([
  ['primary', 'switchover', 'demoted'],
  ['primary', 'failover', 'demoted'],
  ['primary', 'shutdown', 'primary'],
  ['primary', null, 'primary'],
  ['promoted', null, 'primary'],
  ['demoted', null, 'demoted'],
  ['replica', 'shutdown', 'replica'],
  ['replica', null, 'replica'],
  ['standby_leader', 'shutdown', 'standby_leader'],
] as const)('on_stop of a %s that is stopped by %s is told %s', (role, action, expected) => {
  expect(roleAtStop(memory({ role }), action === null ? null : { kind: 'handover', action, candidate: null })).toBe(expected);
});
