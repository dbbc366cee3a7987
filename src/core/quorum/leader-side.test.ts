import { describe, expect, it } from 'vitest';
import { memory, observation, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import type { QuorumFence } from './in-force.ts';
import { isIsolated, isUnheard, replacedBy } from './leader-side.ts';
import { type LinkFacts, noLinks, type VoterAnswer } from './link-facts.ts';

const NOW_MS = 20_000;
const FENCE: QuorumFence = { kind: 'quorum', leader: 'a', term: '99', sync: '8', voters: ['b', 'c', 'd'], count: 2, needed: 2 };

const told = (agoMs: number, over: Partial<VoterAnswer> = {}): VoterAnswer => ({
  atMs: NOW_MS - agoMs,
  fence: null,
  leader: null,
  ...over,
});
const leads = (name: string, term: string) => told(10, { leader: { name, term } });

/** The leader a, whose lease was renewed a second ago, cannot read etcd. */
function leader(answers: Readonly<Record<string, VoterAnswer>>, links: Partial<LinkFacts> = {}, scene: Scene = {}) {
  return observation({
    nowMs: NOW_MS,
    view: null,
    lease: { leaseId: 'lease-a', confirmedSentAtMs: NOW_MS - 1000, ttlSeconds: 30 },
    key: { leaseId: 'lease-a', stepDownAtMs: NOW_MS + 23_000 },
    pg: pg.primary(),
    settings: settings('a', { dynamic: { synchronousMode: 'quorum', suspectAfterMs: 1000 } }),
    links: { ...noLinks(0), readAtMs: NOW_MS - 3000, lastFence: FENCE, answers: new Map(Object.entries(answers)), ...links },
    ...scene,
  });
}
const context = (...scene: Parameters<typeof leader>) => contextOf(leader(...scene), memory());

describe('a leader is isolated', () => {
  const isolated = (...scene: Parameters<typeof leader>) => isIsolated(context(...scene));

  it('when fewer voters than a commit waits for have answered within two suspect_after', () => {
    expect(isolated({ b: told(10), c: told(2000) })).toBe(false);
    expect(isolated({ b: told(10), c: told(2001) })).toBe(true);
    expect(isolated({})).toBe(true);
  });

  it('whatever members answer that are no voters', () => {
    expect(isolated({ b: told(10), e: told(10), f: told(10) })).toBe(true);
  });

  it('not while it reads etcd, is paused, or the lease was its fence', () => {
    expect(isolated({}, { readAtMs: NOW_MS - 2999 })).toBe(false);
    expect(isolated({}, {}, { settings: settings('a', { dynamic: { synchronousMode: 'quorum', pause: true } }) })).toBe(false);
    expect(isolated({}, { lastFence: null })).toBe(false);
  });

  it('not before an agent that has just begun could have heard them', () => {
    expect(isolated({}, { sinceMs: NOW_MS - 1999 })).toBe(false);
    expect(isolated({}, { sinceMs: NOW_MS - 2000 })).toBe(true);
  });
});

describe('a leader asks for another one', () => {
  const unheard = (...scene: Parameters<typeof leader>) => isUnheard(context(...scene));

  it('when it is isolated, and has not stood still just now', () => {
    expect(unheard({})).toBe(true);
    expect(unheard({}, { resumedAtMs: NOW_MS - 3000 })).toBe(true);
    expect(unheard({}, { resumedAtMs: NOW_MS - 2999 })).toBe(false);
  });

  it('not while one voter of each commit answers, or etcd does', () => {
    expect(unheard({ b: told(10), c: told(10) })).toBe(false);
    expect(unheard({}, { readAtMs: NOW_MS - 2999 })).toBe(false);
  });
});

describe('a leader has been replaced', () => {
  const replaced = (...scene: Parameters<typeof leader>) => replacedBy(context(...scene));

  it('when one voter has read a later term of another', () => {
    expect(replaced({ b: told(10), c: leads('c', '100') })).toBe('c');
    // Revisions are numbers, not texts.
    expect(replaced({ b: leads('c', '1000') })).toBe('c');
  });

  it('not by an earlier term, which the voter has not read on from, nor by its own', () => {
    expect(replaced({ b: leads('c', '98') })).toBeNull();
    expect(replaced({ b: leads('c', '99') })).toBeNull();
    expect(replaced({ b: leads('a', '100') })).toBeNull();
    expect(replaced({ b: told(10, { fence: '99/8' }) })).toBeNull();
  });

  it('by nobody’s word while it reads etcd itself, or did not lead by promises', () => {
    expect(replaced({ c: leads('c', '100') }, {}, { view: view({ leaderName: 'a' }) })).toBeNull();
    expect(replaced({ c: leads('c', '100') }, { lastFence: null })).toBeNull();
  });

  it('and then stops at once, though its lease is good', () => {
    const { rule, effects, because } = decide(leader({ c: leads('c', '100') }), memory());
    expect(rule).toBe('fence.replaced');
    expect(effects).toContainEqual({ kind: 'demote-now', mode: 'immediate' });
    expect(because).toContain('c has taken the lead');
    expect(decide(leader({ c: leads('c', '98') }), memory()).rule).toBe('fence.wait-for-etcd');
  });

  it('and does so once: with PostgreSQL down there is nothing to stop', () => {
    expect(decide(leader({ c: leads('c', '100') }, {}, { pg: pg.stopped() }), memory()).effects).not.toContainEqual(
      expect.objectContaining({ kind: 'demote-now' }),
    );
  });
});

describe('a leader writes /sync anew', () => {
  const seen = view({ leaderName: 'a', sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '8' } });
  const round = (answers: Readonly<Record<string, VoterAnswer>>) =>
    decide(leader(answers, {}, { view: seen }), memory({ role: 'primary' }));
  const rewrite = { kind: 'write-sync', leader: 'a', quorum: 1, standbys: ['b', 'c'], expected: seen.sync, term: '5' };

  it('as it is, comparing its own key, when a voter has promised for this very term and revision', () => {
    expect(round({ b: told(10, { fence: '5/8' }), c: told(10) }).effects).toContainEqual(rewrite);
  });

  it('not while too few voters answer it: nobody would confirm its commits, and they shall replace it', () => {
    expect(round({ b: told(10, { fence: '5/8' }), c: told(2000) }).effects).toContainEqual(rewrite);
    expect(round({ b: told(10, { fence: '5/8' }), c: told(2001) }).effects).not.toContainEqual(rewrite);
  });

  it('not for a promise that no take-over can count any more', () => {
    expect(round({ b: told(10, { fence: '5/7' }), c: told(10, { fence: '4/8' }) }).effects).not.toContainEqual(rewrite);
  });
});
