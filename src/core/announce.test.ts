/**
 * What callbacks are told: every role that lasts, once its script was started, in order and not
 * twice.
 */
import { describe, expect, it } from 'vitest';
import { authority, member, memory, observation, pg, view } from '../../test/support/build.ts';
import { decide } from './decide.ts';
import type { Announcement, Memory, Observation } from './model.ts';

const members = [member('a'), member('b', { role: 'primary' })];
const asPrimary = (over: Partial<Observation> = {}) =>
  observation({ view: view({ leaderName: 'a', members: [member('a', { role: 'primary' })] }), pg: pg.primary(), ...over });
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
      this.#announced.push({ action: effect.action, role: effect.role });
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
    const rounds = new Rounds().round(asPrimary).round(asPrimary, { stopped: true }).round(asPrimary).round(asPrimary);
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
