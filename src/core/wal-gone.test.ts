/**
 * A standby that gets no WAL: what it is told to do about it, and how soon PostgreSQL tries again.
 */
import { describe, expect, it } from 'vitest';
import { member, memory, observation, pg, settings, view } from '../../test/support/build.ts';
import { decide } from './decide.ts';
import type { PostgresFacts } from './postgres-facts.ts';

const leaderB = view({ leaderName: 'b' });
const standby = pg.standby({ primaryConninfo: 'host=b port=5432' });
const trouble = { sourceTrouble: 'not streaming from b: …' };

function decided(facts: PostgresFacts, over: Parameters<typeof observation>[0] = {}) {
  return decide(observation({ view: leaderB, pg: facts, ...over }), memory());
}
const applied = (facts: PostgresFacts, over: Parameters<typeof observation>[0] = {}) =>
  decided(facts, over).effects.filter(({ kind }) => kind === 'apply-config');
const source = { name: 'b', host: 'b', port: 5432 };
const patiently = { kind: 'apply-config', role: { kind: 'standby', source, patient: true }, only: 'role' };
const atOnce = { kind: 'apply-config', role: { kind: 'standby', source }, only: 'role' };

describe('WAL that is gone', () => {
  it('is reported by the round, with the command that helps; nothing is removed', () => {
    const { rule, because, effects } = decided({ ...standby, ...trouble, walGone: true });
    expect([rule, because]).toEqual(['standby.wal-gone', 'the WAL it needs is gone; reinit: regentctl reinit demo a']);
    expect(effects.some(({ kind }) => kind === 'start-job')).toBe(false);
  });

  it('does not keep a standby from racing, and is not looked for where it follows no member', () => {
    expect(decided({ ...standby, ...trouble, walGone: true }, { view: view() }).rule).toBe('race.not-asked');
  });
});

describe('a walreceiver that fails', () => {
  it('tries again at once, until it has failed for one reason for a while', () => {
    expect(applied({ ...standby, ...trouble })).toEqual([]);
    expect(applied({ ...standby, ...trouble, retriesInVain: true })).toEqual([patiently]);
    expect(applied({ ...standby, ...trouble, retriesInVain: true, retriesPatiently: true })).toEqual([]);
  });

  it('tries at once again when the reason is another, or is over', () => {
    expect(applied({ ...standby, ...trouble, retriesPatiently: true })).toEqual([atOnce]);
    expect(applied({ ...standby, retriesPatiently: true })).toEqual([atOnce]);
  });

  it('tries at once where it should follow another source', () => {
    const leaderC = view({ leaderName: 'c', members: [member('a'), member('b'), member('c', { role: 'primary' })] });
    expect(applied({ ...standby, ...trouble, retriesInVain: true, retriesPatiently: true }, { view: leaderC })).toMatchObject([
      { role: { source: { name: 'c' } } },
    ]);
    const [effect] = applied({ ...standby, ...trouble, retriesInVain: true }, { view: leaderC });
    expect(effect).not.toHaveProperty('role.patient');
  });

  it('keeps its pace when its files are written for another cause', () => {
    const dirty = { configDirty: true, settings: settings('a') };
    const [effect] = applied({ ...standby, ...trouble, retriesInVain: true, retriesPatiently: true }, dirty);
    expect(effect).toMatchObject({ role: { patient: true } });
    expect(effect).not.toHaveProperty('only');
  });
});
