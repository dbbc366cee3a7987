/** The log says why a slot is dropped: truly, in each kind of cluster and of member. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, settings, slot, view } from '../../../test/support/build.ts';
import { standbyClusters } from '../../../test/support/random-standby-clusters.ts';
import { contextOf } from '../context.ts';
import type { PermanentSlot, Settings } from '../settings.ts';
import { doubtsOfPromotion, lossesOfDemotion } from './logical.ts';
import { slotPlan } from './plan.ts';

const LOGICAL = { type: 'logical', database: 'shop', plugin: 'pgoutput' } as const;
const app = slot('app', 1, { ...LOGICAL, confirmedFlushLsn: lsn(0x500) });
const follows = { standbyCluster: standbyClusters[0]! };

interface Scene {
  readonly dynamic?: Partial<Settings['dynamic']>;
  readonly tags?: Settings['local']['tags'];
  readonly primary?: boolean;
  readonly theirs?: Parameters<typeof member>[1];
  readonly followed?: string;
}

/** Member a; b leads unless a does. */
function scene({ dynamic = {}, tags = {}, primary = false, theirs = {}, followed }: Scene, given = app) {
  const leader = primary ? 'a' : 'b';
  const members = [member('a'), member('b', primary ? {} : { role: 'primary' }), member('c', theirs)];
  const facts = { slots: [slot('b', 1, { active: true }), ...(given.name === 'c' ? [] : [slot('c', 1000, { active: true })]), given] };
  const o = observation({
    view: view({ leaderName: leader, members, status: { optime: lsn(900), slots: {}, retainSlots: [] } }),
    settings: settings('a', { dynamic: { useSlots: true, ...dynamic }, local: { tags } }),
    pg: primary ? pg.primary(facts) : pg.standby(facts),
    ...(primary && { lease: { leaseId: 'lease-a', confirmedSentAtMs: 9000, ttlSeconds: 30 } }),
    nowMs: 11_000,
  });
  return contextOf(o, memory({ strangeSlots: { [given.name]: 0 }, ...(followed !== undefined && { followed }) }));
}

function reason(how: Scene, given = app): string | undefined {
  const effect = slotPlan(scene(how, given));
  return effect?.kind === 'sync-slots' ? effect.reasons?.[given.name] : undefined;
}
const named = (name: string, spec: PermanentSlot) => ({ [name]: spec });

describe('an unused slot is dropped, and the log says', () => {
  it('that nothing names it, where nothing does', () => {
    const nobody = "it is unused, and neither a member nor 'slots' nor 'ignore_slots' names it";
    for (const primary of [true, false]) expect(reason({ primary })).toBe(nobody);
    expect(reason({ dynamic: follows })).toBe(nobody);
  });

  it.each<[string, string, Scene, ReturnType<typeof slot>]>([
    [
      'a standby cluster keeps no logical slots',
      'a standby cluster keeps no logical slots; its consumer has all up to 0/500',
      { dynamic: { ...follows, slotsElsewhere: named('app', LOGICAL) } },
      app,
    ],
    [
      'slots has it for primary clusters',
      "by 'slots' it is for the other type of cluster (this is a standby cluster)",
      { dynamic: { ...follows, slotsElsewhere: named('dr', { type: 'physical' }) } },
      slot('dr', 1),
    ],
    [
      'slots has it for standby clusters',
      "by 'slots' it is for the other type of cluster (this is a primary cluster)",
      { primary: true, dynamic: { slotsElsewhere: named('dr', { type: 'physical' }) } },
      slot('dr', 1),
    ],
    [
      'a member that may not lead keeps no permanent slots',
      'this member may not lead, and has no use for permanent slots',
      { dynamic: { slots: named('dr', { type: 'physical' }) }, tags: { nofailover: true } },
      slot('dr', 1),
    ],
    [
      'nor has one that does not stream use for logical ones',
      'this member does not stream (nostream), and has no use for logical slots',
      { dynamic: { slots: named('app', LOGICAL) }, tags: { nostream: true } },
      app,
    ],
    ['it has the name of this node’s own', 'its name is that of the slot by which this node itself streams', {}, slot('a', 1)],
    ['its member does not stream', 'its member c does not stream (nostream)', { theirs: { tags: { nostream: true } } }, slot('c', 1)],
    [
      'its member streams from another, and no slots are kept for that',
      'its member c does not stream from this node, and member_slots_ttl is 0',
      { dynamic: { memberSlotsTtlSeconds: 0 } },
      slot('c', 1),
    ],
    [
      'its member streams from another, and this one may not lead',
      'its member c does not stream from this node, which may not lead',
      { tags: { nofailover: true } },
      slot('c', 1),
    ],
  ])('%s', (_, text, how, given) => {
    expect(reason(how, given)).toBe(`it is unused, and ${text}`);
  });
});

describe('what the consumer of a permanent logical slot misses', () => {
  it('is told when the primary becomes a standby leader', () => {
    const how = { primary: true, dynamic: { ...follows, slotsElsewhere: named('app', LOGICAL) } };
    expect(lossesOfDemotion(scene(how))).toEqual([
      expect.stringMatching(
        /^logical replication slot app is given up: .* until the cluster is promoted; its consumer has all up to 0\/500; /,
      ),
    ]);
    expect(lossesOfDemotion(scene({ ...how, primary: false }))).toEqual([]);
    expect(lossesOfDemotion(scene({ primary: true, dynamic: { slots: named('app', LOGICAL) } }))).toEqual([]);
    expect(lossesOfDemotion(scene({ ...how, dynamic: { ...how.dynamic, ignoreSlots: [{ name: 'app' }] } }))).toEqual([]);
    expect(lossesOfDemotion(scene(how, slot('app', 1)))).toEqual([]);
  });

  it('is told again when that is promoted, though nobody publishes the slot any more', () => {
    const how = { dynamic: { slots: named('app', LOGICAL) }, followed: '10.9.9.9:5432' };
    expect(doubtsOfPromotion(scene(how, slot('c', 1)))).toEqual([
      expect.stringContaining('slot app is created again: this cluster followed 10.9.9.9:5432 and kept no logical slots'),
    ]);
    expect(doubtsOfPromotion(scene({ dynamic: how.dynamic }, slot('c', 1)))).toEqual([]);
  });
});
