import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dynamic, member, memory, observation, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import { byLease } from '../authority.ts';
import { contextOf } from '../context.ts';
import type { Effect } from '../effects.ts';
import type { PostgresFacts } from '../postgres-facts.ts';
import { VOUCH_MS, VOUCH_SECONDS } from '../settings.ts';
import { includes } from '../voters.ts';
import { type QuorumFence, quorumFence } from './in-force.ts';
import { noLinks } from './link-facts.ts';
import { boundUntilMs, isBound, leavesLeader, mayVouch, vouchedSince } from './vouching.ts';

const NAMES = ['b', 'c', 'd', 'e', 'f', 'g'];
const quorumMode = dynamic({ synchronousMode: 'quorum' });

/** Any synchronous set of the leader a that commits wait for. */
const anyFence = fc.integer({ min: 1, max: NAMES.length }).chain((size) =>
  fc.integer({ min: 0, max: size - 1 }).map((quorum): QuorumFence => {
    const standbys = NAMES.slice(0, size);
    const members = ['a', ...NAMES].map((name) => member(name, { raw: { beats: 1 } }));
    const fence = quorumFence(view({ leaderName: 'a', members, sync: { leader: 'a', quorum, standbys, modRevision: '8' } }), quorumMode);
    if (fence === null) throw new Error('the lease is not the fence here');
    return fence;
  }),
);
/** The sizes of all that follow are drawn from it. */
const fenceAnd = <T>(more: (fence: QuorumFence) => fc.Arbitrary<T>) => anyFence.chain((fence) => fc.tuple(fc.constant(fence), more(fence)));
const some = ({ voters }: QuorumFence, size: number) => fc.subarray([...voters], { minLength: size, maxLength: size });

const until = (untilMs: number) => ({ leader: 'b', untilMs });

describe('vouchers and promises', () => {
  it('meet in one voter at least, for every set, count and choice: and that one does one of the two', () => {
    fc.assert(
      fc.property(
        fenceAnd((fence) => fc.tuple(some(fence, fence.count), some(fence, fence.needed))),
        ([fence, [vouchers, promised]]) => {
          expect(vouchedSince(fence, new Map(vouchers.map((name) => [name, 1])))).not.toBeNull();
          expect(promised.some((name) => includes(vouchers, name))).toBe(true);
        },
      ),
    );
  });

  it('of k voters leave too few for a promise or a vote, and one voucher fewer leaves enough', () => {
    fc.assert(
      fc.property(
        fenceAnd((fence) => some(fence, fence.count)),
        ([fence, vouchers]) => {
          const others = fence.voters.filter((name) => !includes(vouchers, name));
          expect(others.length).toBeLessThan(fence.needed);
          expect(others.length + 1).toBeGreaterThanOrEqual(fence.needed);
          expect(vouchedSince(fence, new Map(vouchers.slice(1).map((name) => [name, 1])))).toBeNull();
        },
      ),
    );
  });

  it('end before a voucher is free to promise, however long its answer took', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.nat(2000), (sentAtMs, underWayMs) => {
        const freeAtMs = boundUntilMs({ sinceMs: Number.NEGATIVE_INFINITY, vouched: until(sentAtMs + underWayMs + VOUCH_MS) });
        const { deadlineMs, reliedUntilMs } = byLease(sentAtMs, VOUCH_SECONDS, 'vouchers');
        expect(deadlineMs).toBeLessThan(freeAtMs);
        expect(reliedUntilMs).toBeLessThan(deadlineMs);
      }),
    );
  });
});

describe('since when a leader is vouched for', () => {
  it('is the latest moment by which k voters had been asked that have vouched', () => {
    fc.assert(
      fc.property(
        fenceAnd((fence) => fc.dictionary(fc.constantFrom(...fence.voters, 'stranger'), fc.nat(9))),
        ([fence, asked]) => {
          const found = vouchedSince(fence, new Map(Object.entries(asked)));
          const since = (ms: number) => fence.voters.filter((name) => (asked[name] ?? -1) >= ms).length;
          if (found === null) expect(since(0)).toBeLessThan(fence.count);
          else {
            expect(since(found.sentAtMs)).toBeGreaterThanOrEqual(fence.count);
            expect(since(found.sentAtMs + 1)).toBeLessThan(fence.count);
            expect(found.by).not.toContain('stranger');
          }
        },
      ),
    );
  });

  it('is never where commits wait for nobody', () => {
    expect(vouchedSince({ voters: ['b'], count: 0 }, new Map([['b', 1]]))).toBeNull();
  });
});

it('a voter is bound by what it said, and by what its agent before may have said', () => {
  expect(boundUntilMs({ sinceMs: 1000, vouched: null })).toBe(4000);
  expect(boundUntilMs({ sinceMs: 1000, vouched: until(3500) })).toBe(4000);
  expect(boundUntilMs({ sinceMs: 1000, vouched: until(9000) })).toBe(9000);
  const at = (nowMs: number) => isBound(contextOf(observation({ nowMs, links: { ...noLinks(0), vouched: until(9000) } }), memory()));
  expect([8999, 9000].map(at)).toEqual([true, false]);
});

describe('a member may vouch', () => {
  const following = (scene: Scene = {}) =>
    mayVouch(
      contextOf(observation({ view: view({ leaderName: 'b' }), pg: pg.standby({ primaryConninfo: 'host=b' }), ...scene }), memory()),
    );
  const without = (facts: Partial<PostgresFacts>) => ({ pg: { ...pg.standby({ primaryConninfo: 'host=b' }), ...facts } });

  it('as a standby that streams, whether etcd answers or not', () => {
    expect(following()).toBe(true);
    expect(following({ view: null })).toBe(true);
  });

  it.each<[string, Scene]>([
    ['has let go of its leader', { pg: pg.standby() }],
    ['has promised to take no more WAL', without({ fence: { leader: 'b', term: '5', sync: '8' } })],
    ['promised something before the /sync of now', without({ fence: { leader: 'b', term: '4', sync: '3' } })],
    ['may have promised what cannot be read', without({ fence: 'unreadable' })],
    ['has PostgreSQL down', { pg: pg.stopped() }],
    ['has a PostgreSQL that does not answer', { pg: pg.starting({ standbySignal: true }) }],
    ['is a primary', { pg: pg.primary({ primaryConninfo: 'host=b' }) }],
    ['has work under way', { job: { job: { kind: 'promote', syncNames: null }, startedAtMs: 1 } }],
    ['is paused', { settings: settings('a', { dynamic: { pause: true } }) }],
    [
      'knows that an operator wants another leader',
      {
        view: view({
          leaderName: 'b',
          failover: { leader: 'b', candidate: 'c', scheduledAtMs: null, scheduledAt: null, modRevision: '9' },
        }),
      },
    ],
  ])('not where it %s', (_why, scene) => {
    expect(following(scene)).toBe(false);
  });
});

describe('a decision leaves the leader', () => {
  const kinds = (...effects: readonly Effect[]) => leavesLeader(effects);
  const { sync } = view({ sync: { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8' } });

  it('where it promises, takes the lead, changes what PostgreSQL follows, starts work or stops it', () => {
    const leaving: readonly Effect[] = [
      { kind: 'mark-fence', mark: { leader: 'b', term: '5', sync: '8' } },
      { kind: 'take-over', term: '5', expected: sync!, quorum: 1, standbys: ['b', 'c'] },
      { kind: 'acquire-leader' },
      { kind: 'apply-config', role: { kind: 'standby', source: null }, only: 'role' },
      { kind: 'start-job', job: { kind: 'promote', syncNames: null } },
      { kind: 'demote-now', mode: 'fast' },
    ];
    for (const effect of leaving) expect(kinds({ kind: 'checkpoint' }, effect)).toBe(true);
  });

  it('not where it does what it does every day', () => {
    expect(kinds()).toBe(false);
    expect(kinds({ kind: 'checkpoint' }, { kind: 'run-callback', action: 'on_reload', role: 'replica', startedAt: null })).toBe(false);
  });
});
