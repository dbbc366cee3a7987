/**
 * Over random observations: every situation has a rule, and no decision breaks an invariant
 * (checkDecision throws). Every rule of the table is reachable, and the decision is a function of
 * its input.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { admissionMemory, admissionRound } from '../../test/support/random-admissions.ts';
import { mendMemory, mendRound } from '../../test/support/random-mends.ts';
import { anyMemory, anyRound, raceMemory, raceRound, switchoverRound } from '../../test/support/random-rounds.ts';
import { slotRound } from '../../test/support/random-slots.ts';
import { standbyClusterMemory, standbyClusterRound } from '../../test/support/random-standby-clusters.ts';
import {
  answeredLeaderRound,
  failsafeRound,
  missedLeaderMemory,
  missedLeaderRound,
  refusedRound,
  vouchedRaceRound,
} from '../../test/support/random-take-overs.ts';
import { admission } from './admission.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import { opensForWrites, stopsInOrder } from './effects.ts';
import type { Memory, Observation } from './model.ts';
import { fenceInForce } from './quorum/in-force.ts';
import { unheeded } from './quorum/refusal.ts';
import { watched } from './quorum/suspicion.ts';
import { raceFacts } from './race/facts.ts';
import { compareWith } from './race/peers.ts';
import { unfit } from './race/successors.ts';
import { remember } from './remember.ts';
import { allRules } from './rules/index.ts';
import { tablesBehindRules } from './rules/tables.ts';

describe('the rule table', () => {
  it('has unique ids and a sentence for each', () => {
    const rows = tablesBehindRules.flatMap((table) => table.rows);
    const ids = [...allRules, ...rows].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const row of rows) {
      expect(row.id).toMatch(/^[a-z-]+\.[a-z-]+$/);
      expect(row.situation.length).toBeGreaterThan(5);
    }
    for (const rule of allRules) {
      expect(rule.id).toMatch(/^[a-z-]+\.[a-z-]+$/);
      expect(rule.because.length).toBeGreaterThan(4);
      expect(rule.situation.length).toBeGreaterThan(5);
    }
  });

  it('decides every situation without breaking an invariant, and every rule is reachable', () => {
    const reached = new Set<string>();
    const play = (rounds: fc.Arbitrary<Observation>, memories: fc.Arbitrary<Memory>, numRuns: number) =>
      fc.assert(
        fc.property(rounds, memories, (o, m) => {
          const decision = decide(o, m);
          for (const id of [decision.rule, ...rowsOf(o, m)]) reached.add(id);
          expect(decide(o, m)).toEqual(decision);
          expect(decision.because.replace('standby_cluster=null', '')).not.toMatch(/[{}]|undefined|null/);
        }),
        { numRuns, seed: 20261122 },
      );
    play(anyRound, anyMemory, 40_000);
    play(raceRound, raceMemory, 20_000);
    play(switchoverRound, raceMemory, 20_000);
    play(mendRound, mendMemory, 5000);
    play(missedLeaderRound, missedLeaderMemory, 20_000);
    play(refusedRound, missedLeaderMemory, 10_000);
    play(answeredLeaderRound, raceMemory, 5000);
    play(vouchedRaceRound, raceMemory, 5000);
    play(admissionRound, admissionMemory, 3000);
    play(failsafeRound, raceMemory, 5000);
    play(
      slotRound.map(({ o }) => o),
      slotRound.map(({ m }) => m),
      3000,
    );
    play(standbyClusterRound, standbyClusterMemory, 20_000);
    const rows = tablesBehindRules.flatMap((table) => table.rows);
    const ids = [...allRules.filter((rule) => !rule.byTable), ...rows].map(({ id }) => id);
    expect(ids.filter((id) => !reached.has(id))).toEqual([]);
  }, 300_000);

  it('never keeps a node of a standby cluster writable while not paused, nor opens one', () => {
    fc.assert(
      fc.property(standbyClusterRound, standbyClusterMemory, (o, m) => {
        if (o.settings.dynamic.pause) return;
        const { effects } = decide(o, m);
        expect(effects.some((effect) => effect.kind === 'start-job' && opensForWrites(effect.job))).toBe(false);
        const c = contextOf(o, remember(o, m));
        if (!c.mayBeWritable || (stopsInOrder(o.job?.job) && c.mayLeadNow)) return;
        const ends = effects.some(
          (effect) => effect.kind === 'demote-now' || effect.kind === 'exit' || (effect.kind === 'start-job' && stopsInOrder(effect.job)),
        );
        // A job that must finish first is that of an agent that ends.
        expect(ends).toBe(true);
      }),
      { numRuns: 20_000 },
    );
  });

  it('never keeps a node writable without a confirmed lease while not paused', () => {
    fc.assert(
      fc.property(anyRound, anyMemory, (o, m) => {
        if (
          o.settings.dynamic.pause ||
          o.requests.shutdown ||
          !o.pg.postmaster ||
          o.pg.sql?.inRecovery ||
          o.pg.standbySignal ||
          o.pg.closed
        )
          return;
        const over = o.authority.lease.confirmedSentAtMs === null || o.nowMs >= o.authority.lease.confirmedSentAtMs + 24_000;
        const others = o.dcs.known && o.dcs.view.leader !== null && o.dcs.view.leader.name !== 'a';
        const ours = o.dcs.known && o.dcs.view.leader?.name === 'a' && o.dcs.view.leader.leaseId === o.authority.lease.leaseId;
        const silentAndOver = (!o.dcs.known || ours) && over;
        if (contextOf(o, remember(o, m)).unadopted) return;
        if (!silentAndOver && !(others && o.pg.dataDir === 'valid')) return;
        const decision = decide(o, m);
        expect(decision.effects.map((effect) => effect.kind)).toContain('demote-now');
      }),
      { numRuns: 10_000 },
    );
  });
});

/** Rows that decide about a member or a fence, so that no round carries their id. */
function rowsOf(o: Observation, m: Memory): string[] {
  const c = contextOf(o, remember(o, m));
  const { view } = c;
  if (view === null) return [];
  const fitness = view.members.flatMap(({ name }) => unfit(o.peers?.get(name), view, o.settings.dynamic)?.id ?? []);
  const fence = fenceInForce(view, o.settings.dynamic);
  const suspicion = watched(c)?.suspicion.id ?? [];
  const rows = [
    admission(c)?.id ?? [],
    ...fitness,
    ...(fence.kind === 'lease' ? [fence.answer.id] : []),
    suspicion,
    unheeded(view, o.settings.dynamic)?.id ?? [],
  ].flat();
  const facts = raceFacts(c);
  if (facts === null || facts.own === null) return rows;
  const f = { ...facts, own: facts.own };
  return [...rows, ...[...f.peers.values()].map((peer) => compareWith(f, peer).id)];
}
