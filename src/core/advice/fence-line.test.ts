import { expect, test } from 'vitest';
import { dynamic, member, view } from '../../../test/support/build.ts';
import { adviceFacts } from './facts.ts';
import { deadNodeLine, fenceLine, missedFence, newsOfFence } from './fence-line.ts';

const beating = (...names: string[]) => names.map((name) => member(name, { raw: { beats: 1 } }));
const sync = { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '6' };
const silent = view({ leaderName: 'a', sync });
const voting = { ...silent, members: beating('a', 'b', 'c') };
const quorum = dynamic({ synchronousMode: 'quorum' });
const PATRONI = 'c hears no beats: it runs Patroni, or an older Regent, or its member key is gone';

test('which fence is in force, and what follows', () => {
  const facts = adviceFacts(voting, quorum);
  expect(fenceLine(facts)).toBe('Failover fence: quorum (2 of b, c)');
  expect(deadNodeLine(facts)).toBe('If the leader’s node dies: no writes for up to 1 s + promotion; acknowledged commits lost: none');
  const paused = adviceFacts(voting, dynamic({ synchronousMode: 'quorum', pause: true }));
  expect(deadNodeLine(paused)).toBe('If the leader’s node dies: no writes until somebody acts; acknowledged commits lost: none');
  expect(newsOfFence(facts)).toBe(fenceLine(facts));
  expect(missedFence(facts)).toBeNull();
});

test('a Patroni member, or a voter without a key, is news and can be mended', () => {
  for (const members of [[...beating('a', 'b'), member('c')], beating('a', 'b')]) {
    const facts = adviceFacts({ ...voting, members }, quorum);
    expect(newsOfFence(facts)).toBe(`Failover fence: lease, because ${PATRONI}`);
    expect(missedFence(facts)).toBe(`a failover waits for the lease, up to 30 s: ${PATRONI}`);
  }
});

test('what was asked for is nothing to mend', () => {
  const byWish = adviceFacts(voting, dynamic({ synchronousMode: 'quorum', failoverFence: 'lease' }));
  expect([newsOfFence(byWish), missedFence(byWish)]).toEqual(['Failover fence: lease, because failover_fence is set to lease', null]);
});

test('no news: asynchronous, paused, without a leader, or Patroni everywhere', () => {
  for (const facts of [
    adviceFacts(voting, dynamic()),
    adviceFacts(voting, dynamic({ synchronousMode: 'on', pause: true })),
    adviceFacts({ ...voting, leader: null }, quorum),
    adviceFacts(silent, quorum),
  ]) {
    expect([newsOfFence(facts), missedFence(facts)]).toEqual([null, null]);
  }
});
