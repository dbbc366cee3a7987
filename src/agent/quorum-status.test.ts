import { expect, test } from 'vitest';
import { dynamic, member, memory, observation, pg, settings, view } from '../../test/support/build.ts';
import { authorityAfter, noAuthority } from '../core/authority.ts';
import { contextOf } from '../core/context.ts';
import { noLinks } from '../core/quorum/link-facts.ts';
import { quorumStatus } from './quorum-status.ts';

const NOW_MS = 10_000;
const led = view({
  leaderName: 'a',
  members: ['a', 'b', 'c'].map((name) => member(name, { raw: { beats: 1 } })),
  sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '6' },
});
const settingsOf = (name: string) => settings(name, { dynamic: dynamic({ synchronousMode: 'quorum' }) });

/** Of standby `b`, which knocked at its leader in vain and has heard nothing for so long. */
function standby(silentMs: number, promised: boolean) {
  const links = { ...noLinks(NOW_MS - silentMs), knocks: { agent: 'silent', postgres: 'silent', refusedTwice: false } as const };
  const fence = promised ? { fence: { leader: 'a', term: '5', sync: '6' } } : {};
  const seen = observation({ me: 'b', view: led, settings: settingsOf('b'), pg: { ...pg.standby(), ...fence }, links, nowMs: NOW_MS });
  return quorumStatus(contextOf(seen, memory()), noAuthority(30), NOW_MS);
}

test('a standby misses its leader, and then has promised', () => {
  expect(standby(999, false)).toEqual({ isDcsAway: false, vouchedForBy: [], missesLeader: null, promisedAgainst: null });
  expect(standby(1000, false)).toMatchObject({
    missesLeader: 'no beat from a for 1.0 s, and its PostgreSQL does not answer',
    promisedAgainst: null,
  });
  expect(standby(1200, true)).toMatchObject({ promisedAgainst: 'a' });
});

test('a leader is vouched for until the word of its voters is over', () => {
  const key = { leaseId: 'lease-a', stepDownAtMs: NOW_MS };
  const authority = authorityAfter({ ...noAuthority(30), key }, { kind: 'vouched', sentAtMs: NOW_MS, by: ['b', 'c'] });
  const c = contextOf(observation({ view: null, pg: pg.primary(), settings: settingsOf('a'), nowMs: NOW_MS }), memory());
  expect(quorumStatus(c, authority, NOW_MS + 2199)).toMatchObject({ isDcsAway: true, vouchedForBy: ['b', 'c'] });
  expect(quorumStatus(c, authority, NOW_MS + 2200)).toMatchObject({ vouchedForBy: [] });
});
