/**
 * Over random observations: every situation has a rule, no decision breaks an invariant
 * (checkDecision throws), every rule of the table is reachable, and the decision is a function of
 * its input.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyMemory, anyRound } from '../../test/support/random-rounds.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import { remember } from './remember.ts';
import { allRules } from './rules/index.ts';

describe('the rule table', () => {
  it('has unique ids and a sentence for each', () => {
    const ids = allRules.map((rule) => rule.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const rule of allRules) {
      expect(rule.id).toMatch(/^[a-z-]+\.[a-z-]+$/);
      expect(rule.because.length).toBeGreaterThan(4);
      expect(rule.situation.length).toBeGreaterThan(5);
    }
  });

  it('decides every situation without breaking an invariant, and every rule is reachable', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(anyRound, anyMemory, (o, m) => {
        const decision = decide(o, m);
        reached.add(decision.rule);
        expect(decide(o, m)).toEqual(decision);
        expect(decision.because).not.toMatch(/[{}]|undefined|null/);
      }),
      { numRuns: 40_000, seed: 20261122 },
    );
    expect(allRules.map((rule) => rule.id).filter((id) => !reached.has(id))).toEqual([]);
  }, 300_000);

  it('never keeps a node writable without a confirmed lease while not paused', () => {
    fc.assert(
      fc.property(anyRound, anyMemory, (o, m) => {
        if (o.settings.dynamic.pause || o.wishes.shutdown || !o.pg.postmaster || o.pg.sql?.inRecovery || o.pg.standbySignal || o.pg.closed)
          return;
        const over = o.lease.confirmedSentAtMs === null || o.nowMs >= o.lease.confirmedSentAtMs + 24_000;
        const others = o.dcs.known && o.dcs.view.leader !== null && o.dcs.view.leader.name !== 'a';
        const ours = o.dcs.known && o.dcs.view.leader?.name === 'a' && o.dcs.view.leader.leaseId === o.lease.leaseId;
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
