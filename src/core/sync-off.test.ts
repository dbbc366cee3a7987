/**
 * Synchronous mode is switched off, and may be on again before the leader hears of it. As long as
 * /sync lists standbys that may lead, commits wait for them.
 */
import { describe, expect, it } from 'vitest';
import { member, memory, observation, pg, settings, view } from '../../test/support/build.ts';
import { decide } from './decide.ts';

const sync = { leader: 'a', quorum: 0, standbys: ['b'], modRevision: '7' };
const off = settings('a', { dynamic: { synchronousMode: 'off' } });
const members = [member('a', { role: 'primary' }), member('b')];

function decided(over: Parameters<typeof observation>[0] = {}, listed: typeof sync | null = sync) {
  const around = view({ leaderName: 'a', members, sync: listed });
  return decide(observation({ view: around, pg: pg.primary({ synchronousStandbyNames: 'b' }), settings: off, ...over }), memory());
}

describe('synchronous mode was switched off', () => {
  it('clears synchronous_standby_names only once /sync is gone', () => {
    const before = decided({ configDirty: true });
    expect(before.effects).toContainEqual({ kind: 'delete-sync', expected: sync, term: expect.anything() });
    expect(before.effects.some(({ kind }) => kind === 'apply-config')).toBe(false);
    const after = decided({ configDirty: true }, null);
    expect(after.effects).toContainEqual({ kind: 'apply-config', role: { kind: 'primary', syncNames: null } });
  });

  it('takes /sync away before a restart that an operator asked for', () => {
    const requests = { ...observation().requests, restart: { timeoutMs: null } };
    const kinds = (listed: typeof sync | null) => {
      const { rule, effects } = decided({ requests }, listed);
      expect(rule).toBe('request.restart');
      return effects.map(({ kind }) => kind);
    };
    expect(kinds(sync)).toEqual(['delete-sync', 'start-job']);
    expect(kinds(null)).toEqual(['start-job']);
  });
});
