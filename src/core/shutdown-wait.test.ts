import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lsn, member, sql, view, walsender } from '../../test/support/build.ts';
import type { ClusterView } from './cluster.ts';
import type { WalsenderFacts } from './postgres-facts.ts';
import { type Connected, dispensable, silenceBetween, successorsOf } from './shutdown-wait.ts';

const cluster = (over: Partial<ClusterView> = {}) => view({ leaderName: 'a', ...over });

describe('successors of a primary', () => {
  it('are the one that the operator named, alone', () => {
    expect(successorsOf(cluster(), 'a', 'c', 'off')).toEqual(['c']);
  });

  it('are otherwise all other members that may lead', () => {
    const members = [member('a'), member('b'), member('c', { tags: { nofailover: true } }), member('d')];
    expect(successorsOf(cluster({ members }), 'a', null, 'quorum')).toEqual(['b', 'd']);
  });

  it('in mode on are those listed in /sync', () => {
    const sync = { leader: 'a', quorum: 0, standbys: ['c'], modRevision: '1' };
    expect(successorsOf(cluster({ sync }), 'a', null, 'on')).toEqual(['c']);
    expect(successorsOf(cluster({ sync }), 'a', null, 'quorum')).toEqual(['b', 'c']);
    expect(successorsOf(cluster({ sync: { ...sync, leader: null } }), 'a', null, 'on')).toEqual(['b', 'c']);
  });
});

describe('silence between two looks', () => {
  const primary = (...replication: WalsenderFacts[]) => sql({ inRecovery: false, flushLsn: lsn(1000), replication });
  const b = (over: Partial<WalsenderFacts> = {}) => walsender('b', { pid: 1, flushLsn: lsn(900), replyTime: 'x', ...over });
  const c = (over: Partial<WalsenderFacts> = {}) => walsender('c', { pid: 2, flushLsn: lsn(900), replyTime: 'x', ...over });
  const between = (first: WalsenderFacts[], last: WalsenderFacts[], names = ['b', 'c']) =>
    silenceBetween(primary(...first), primary(...last), cluster(), names);

  it('is that of a standby that neither confirmed what was written, nor said anything', () => {
    expect(between([b(), c()], [b(), c({ flushLsn: lsn(1000) })])).toEqual({ silent: [{ pid: 1, name: 'b' }], successorsSilent: false });
  });

  it('is not that of a slow one, which says at least how far it is', () => {
    expect(between([b(), c()], [b({ replyTime: 'y' }), c({ replyTime: 'y', state: 'catchup' })]).silent).toEqual([]);
  });

  it('is not that of one that has connected in between, or is gone', () => {
    expect(between([b()], [c()]).silent).toEqual([]);
  });

  it('is not that of a stranger, or a backup', () => {
    const stranger = walsender('pg_receivewal', { flushLsn: null });
    expect(between([stranger, b({ state: 'backup' })], [stranger, b({ state: 'backup' })]).silent).toEqual([]);
  });

  it('is not judged while it is not known how far the primary is', () => {
    const unknown = sql({ inRecovery: false, flushLsn: null, replication: [b()] });
    expect(silenceBetween(unknown, unknown, cluster(), ['b'])).toEqual({ silent: [], successorsSilent: false });
  });

  it('leaves no successor when all connected ones are silent, whatever other standbys say', () => {
    const last = [b(), c({ replyTime: 'y' })];
    expect(between([b(), c()], last, ['b']).successorsSilent).toBe(true);
    expect(between([b(), c()], last, ['c']).successorsSilent).toBe(false);
    expect(between([b(), c()], last, ['d']).successorsSilent).toBe(false);
    expect(between([b(), c()], last, []).successorsSilent).toBe(false);
  });

  it('of an old connection does not make a successor silent that has a new one', () => {
    expect(between([b()], [b(), b({ pid: 9, replyTime: null })], ['b'])).toEqual({
      silent: [{ pid: 1, name: 'b' }],
      successorsSilent: false,
    });
  });
});

describe('standbys that need not be waited for any longer', () => {
  const b = { pid: 1, name: 'b' };
  const c = { pid: 2, name: 'c' };
  const backup = { pid: 3, name: 'backup' };

  it('are none while no successor has everything', () => {
    expect(dispensable([b, c, backup], new Set([2, 3]), ['b'])).toEqual([]);
    expect(dispensable([b, c, backup], new Set([3]), ['b', 'c'])).toEqual([]);
  });

  it('are none where the successor was not connected at all', () => {
    expect(dispensable([c], new Set([2]), ['b'])).toEqual([]);
    expect(dispensable([c, backup], new Set([2]), ['b'])).toEqual([]);
  });

  it('are the rest once one of the successors has everything', () => {
    expect(dispensable([b, c, backup], new Set([1]), ['b'])).toEqual([c, backup]);
    expect(dispensable([b, c, backup], new Set([2]), ['b', 'c'])).toEqual([b, backup]);
  });

  it('are all where no member takes over', () => {
    expect(dispensable([b, c], new Set([2]), [])).toEqual([b]);
  });

  it('never include the last successor that could have everything', () => {
    const connected = fc.uniqueArray(fc.record({ pid: fc.nat(9), name: fc.constantFrom('b', 'c', 'd', 'stranger') }), {
      selector: ({ pid }) => pid,
    });
    fc.assert(
      fc.property(connected, fc.uniqueArray(fc.nat(9)), fc.subarray(['b', 'c', 'd'], { minLength: 1 }), (all, gone, names) => {
        const ended = new Set(gone);
        const givenUp = dispensable(all, ended, names);
        const isSuccessor = ({ name }: Connected) => names.includes(name);
        if (givenUp.length > 0) expect(all.some((one) => isSuccessor(one) && ended.has(one.pid))).toBe(true);
        expect(givenUp.some(({ pid }) => ended.has(pid))).toBe(false);
      }),
    );
  });
});
