/** S14, over random slots in random places. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { slotRound } from '../../../test/support/random-slots.ts';
import { contextOf } from '../context.ts';
import type { SlotFacts } from '../postgres-facts.ts';
import { slotPlan, slotRows } from './plan.ts';
import { wantedSlots } from './wanted.ts';

const nothing = { create: [], drop: [], renew: [], advance: {} };

function each(
  judge: (seen: { readonly c: ReturnType<typeof contextOf>; readonly plan: Touched; readonly of: (name: string) => SlotFacts }) => void,
) {
  fc.assert(
    fc.property(slotRound, ({ o, m }) => {
      const c = contextOf(o, m);
      const effect = slotPlan(c);
      const plan = effect?.kind === 'sync-slots' ? { ...nothing, ...effect } : nothing;
      judge({ c, plan, of: (name) => o.pg.sql!.slots.find((slot) => slot.name === name)! });
    }),
    { numRuns: 2000 },
  );
}

interface Touched {
  readonly create: readonly string[];
  readonly drop: readonly string[];
  readonly renew: readonly string[];
  readonly advance: Readonly<Record<string, bigint>>;
}

const touched = ({ drop, renew, advance }: Touched) => [...drop, ...renew, ...Object.keys(advance)];

describe('the slot decision', () => {
  it('never touches a slot that ignore_slots matches', () => {
    each(({ c, plan, of }) => {
      for (const name of touched(plan)) {
        const { type, plugin, database } = of(name);
        const matched = c.o.settings.dynamic.ignoreSlots.some(
          (matcher) =>
            (!matcher['name'] || matcher['name'] === name) &&
            (!matcher['type'] || matcher['type'] === type) &&
            (!matcher['plugin'] || matcher['plugin'] === plugin) &&
            (!matcher['database'] || matcher['database'] === database),
        );
        expect(matched).toBe(false);
      }
    });
  });

  it('never touches a slot in use, or one that PostgreSQL synchronizes', () => {
    each(({ c, plan, of }) => {
      for (const name of touched(plan)) {
        expect(of(name).active).toBe(false);
        expect(c.isStandby && of(name).synced === true).toBe(false);
      }
    });
  });

  it('drops in a pause only what an operator gave up, and what is in the place of a wanted slot', () => {
    each(({ c, plan, of }) => {
      if (!c.paused) return;
      const wanted = wantedSlots(c);
      for (const name of plan.drop) {
        const spec = wanted.get(name);
        const { type, plugin, database } = of(name);
        const differs =
          spec?.type === 'logical' ? type !== 'logical' || plugin !== spec.plugin || database !== spec.database : type === 'logical';
        const givenUp = name === 'away' && c.view?.status?.forgotten?.['away'] !== undefined;
        expect(givenUp || (spec !== undefined && differs)).toBe(true);
      }
      for (const name of plan.renew) expect(of(name).walStatus === 'lost' && of(name).xmin === null).toBe(false);
    });
  });

  it('never drops the slot of a member that needs it, and makes those that are missing', () => {
    each(({ c, plan, of }) => {
      const { dynamic, local } = c.o.settings;
      const needs = c.view!.members.filter(({ name, tags }) => name !== 'a' && !tags.nostream).map(({ name }) => name);
      const keeps = dynamic.memberSlotsTtlSeconds > 0 && local.tags.nofailover !== true;
      for (const name of keeps ? needs : []) {
        const slot = of(name);
        if (plan.drop.includes(name)) expect(slot.type).toBe('logical');
        if (plan.renew.includes(name)) expect(slot.walStatus === 'lost' || slot.restartLsn === null || slot.xmin !== null).toBe(true);
        if (slot === undefined) expect(plan.create).toContain(name);
      }
    });
  });

  it('moves a slot only forwards, on a standby, and never past what the leader or the member says', () => {
    each(({ c, plan, of }) => {
      for (const [name, to] of Object.entries(plan.advance)) {
        expect(c.isStandby && of(name).type === 'physical').toBe(true);
        expect(to > of(name).restartLsn!).toBe(true);
        const told = [c.view!.status!.slots[name], c.view!.members.find((one) => one.name === name)?.lsn].filter((at) => at != null);
        expect(told.some((at) => to <= at)).toBe(true);
      }
    });
  });

  it('has no row that never decides', () => {
    const decided = new Set<string>();
    fc.assert(
      fc.property(slotRound, ({ o, m }) => {
        const c = contextOf(o, m);
        const wanted = wantedSlots(c);
        const forgotten = new Set(Object.keys(c.view?.status?.forgotten ?? {}));
        for (const slot of o.pg.sql!.slots)
          decided.add(slotRows.find(({ when }) => when({ c, slot, wanted: wanted.get(slot.name), forgotten }))!.id);
      }),
      { numRuns: 5000, seed: 20261130 },
    );
    expect(slotRows.map(({ id }) => id).filter((id) => !decided.has(id))).toEqual([]);
  });
});
