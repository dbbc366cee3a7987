/**
 * What is said while nobody leads: why nobody is elected, what helps, and what naming one may cost.
 */
import { describe, expect, it } from 'vitest';
import { dynamic, lsn, member, view } from '../../../test/support/build.ts';
import type { ClusterView, SyncKey } from '../cluster.ts';
import type { DynamicSettings } from '../settings.ts';
import { costOfNaming, electionHindrance, electionMend, electionOf } from './election.ts';

const sync = (over: Partial<SyncKey> = {}): SyncKey => ({ leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '6', ...over });
const QUORUM = { synchronousMode: 'quorum' } as const;
const ON = { synchronousMode: 'on' } as const;

/** `there`: the names of those that answer. */
const election = (there: string, settings: Partial<DynamicSettings>, seen: Partial<ClusterView> = {}) =>
  electionOf(view({ sync: sync(), ...seen }), dynamic(settings), ({ name }) => there.includes(name));
const said = (...args: Parameters<typeof election>) => {
  const e = election(...args);
  return [electionHindrance(e), electionMend(e)];
};

describe('an election', () => {
  it.each<[string, string, Partial<DynamicSettings>, Partial<ClusterView>]>([
    ['with two votes of three', 'bc', QUORUM, {}],
    ['with the one that led last', 'a', QUORUM, {}],
    ['with a standby in mode on', 'b', ON, { sync: sync({ quorum: 0, standbys: ['b'] }) }],
    ['without votes', 'c', {}, { sync: null }],
    ['of a standby cluster, whatever /sync still says', 'b', { standbyCluster: { hosts: [] } as never }, {}],
  ])('goes on %s', (_, there, settings, seen) => {
    expect(said(there, settings, seen)).toEqual([null, null]);
  });

  it('cannot be won with one vote of three', () => {
    expect(said('b', QUORUM)).toEqual([
      'nobody can be elected: only a, or b and c, surely have every acknowledged commit, and of these only b is there',
      'start one of a, c: then a leader is elected, and nothing is lost',
    ]);
    const five = { sync: sync({ standbys: ['b', 'c', 'd', 'e'], quorum: 2 }) };
    expect(said('b', QUORUM, five)).toEqual([
      'nobody can be elected: only a, or 3 of b, c, d, e, surely have every acknowledged commit, and of these only b is there',
      'start 2 of a, c, d, e: then a leader is elected, and nothing is lost',
    ]);
    expect(said('', QUORUM)[0]).toMatch(/of these none is there$/);
  });

  it('cannot be won where the leader waited for nobody, nor outside the synchronous set', () => {
    expect(said('bc', QUORUM, { sync: sync({ standbys: [], quorum: 0 }) })).toEqual([
      'nobody can be elected: only a surely has every acknowledged commit, and of these none is there',
      'start a: then a leader is elected, and nothing is lost',
    ]);
    expect(said('c', ON, { sync: sync({ standbys: ['b'], quorum: 0 }) })[1]).toMatch(/^start one of a, b:/);
  });

  it('needs somebody who may lead', () => {
    const members = [member('b', { tags: { nofailover: true } })];
    expect(said('b', {}, { sync: null, members })).toEqual(['nobody can be elected: no member that may lead is there', null]);
    expect(said('b', ON, { sync: sync({ quorum: 0, standbys: ['b'] }), members })[0]).toBe(
      'nobody can be elected: no member that is there may lead',
    );
  });

  it('does not take place in a pause', () => {
    expect(said('bc', { ...QUORUM, pause: true })[0]).toBe('the cluster is paused, so nobody is elected');
  });
});

describe('naming a leader', () => {
  const cost = (candidate: string, ...args: Parameters<typeof election>) => costOfNaming(election(...args), candidate);
  const at = (positions: Record<string, number | null>) =>
    Object.entries(positions).map(([name, position]) => member(name, { lsn: position === null ? null : lsn(position) }));
  const UNKNOWN = 'what the last leader wrote after it last told its position (every 2 s) is not known';

  it('costs nothing with enough votes, unless another that is there has more', () => {
    expect(cost('b', 'bc', QUORUM)).toEqual([]);
    // What the leader told and nobody has was never acknowledged.
    expect(cost('b', 'bc', QUORUM, { status: { optime: lsn(2000), slots: {}, retainSlots: [] } })).toEqual([]);
    expect(cost('b', 'bc', QUORUM, { members: at({ b: 1000, c: 1024 * 1024 + 1000 }) })).toEqual([
      'acknowledged commits may be lost: b is behind another member',
      'b has WAL up to 0/3E8; c has WAL up to 0/1003E8, 1 MB more',
      'to lose nothing, let the members elect a leader',
    ]);
    expect(cost('a', 'a', QUORUM)).toEqual([]);
    expect(cost('b', 'ab', QUORUM, { sync: sync({ standbys: ['b', 'c', 'd'], quorum: 2 }) }).at(-1)).toBe(
      'to lose nothing, let the members elect a leader',
    );
  });

  it('may cost what the absent have', () => {
    expect(cost('b', 'b', QUORUM, { members: at({ b: 1000 }) })).toEqual([
      'acknowledged commits may be lost: each is on a and on 1 of b, c, of which a, c are not there',
      `b has WAL up to 0/3E8, and nobody told a later position; ${UNKNOWN}`,
      'to lose nothing, start one of a, c: then a leader is elected, and nothing is lost',
    ]);
    expect(cost('b', 'b', QUORUM, { sync: sync({ standbys: [], quorum: 0 }) })[0]).toBe(
      'acknowledged commits may be lost: the last leader, a, waited for no standby, and it is not there',
    );
  });

  it('may always cost something without a synchronous mode', () => {
    const status = { optime: lsn(1500), slots: {}, retainSlots: [] };
    expect(cost('b', 'bc', {}, { sync: null, status })).toEqual([
      'acknowledged commits may be lost: synchronous_mode is off, so b need not have received what the last leader acknowledged',
      `b has WAL up to 0/3E8; the last leader told WAL up to 0/5DC, 500 bytes more; ${UNKNOWN.replace('2 s', '10 s')}`,
    ]);
    expect(cost('b', 'b', {}, { sync: null, members: at({ b: null }) })[1]).toBe('how much WAL b lacks is not known');
    expect(cost('b', 'b', { standbyCluster: { hosts: [] } as never }, { sync: null })).toEqual([]);
  });
});
