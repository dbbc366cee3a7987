/**
 * A member without data while nobody leads: a method with no_leader makes its copy from elsewhere.
 */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, pg, SYSTEM_ID, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import { type Job, jobLabel } from '../effects.ts';
import type { Memory } from '../model.ts';
import { mendDivergence } from './mend.ts';

const restore = { createReplicaMethods: ['basebackup', 'pgbackrest'], methodOptions: { pgbackrest: { no_leader: true } } };
const alone = { members: [member('a')] };
const LEADERLESS_FOR_LONG = { leaderlessSinceMs: -400_000 };

function decided(over: Parameters<typeof view>[0], postgresql = restore, remembered: Partial<Memory> = {}) {
  return decide(observation({ view: view(over), pg: pg.none, settings: settings('a', { postgresql }) }), memory(remembered));
}

describe('a method with no_leader', () => {
  it('runs when no other member is there', () => {
    const { rule, because, effects } = decided(alone);
    expect([rule, because]).toEqual(['data.clone-without-leader', 'trying to bootstrap (without leader)']);
    const job: Job = { kind: 'clone', source: null, fromLeader: false };
    expect(effects).toEqual([{ kind: 'start-job', job }]);
    expect(jobLabel(job)).toBe('bootstrap (without leader)');
  });

  it('waits a ttl for a leader that others may elect', () => {
    expect(decided({}).rule).toBe('data.wait');
    expect(decided({}, restore, LEADERLESS_FOR_LONG).rule).toBe('data.clone-without-leader');
  });

  it('does not run while a leader is there, before there is a cluster, or right after it failed', () => {
    expect(decided({ leaderName: 'b' }).rule).toBe('data.clone');
    expect(decided({ ...alone, initialize: '' }).rule).toBe('data.wait');
    expect(decided({ ...alone, initialize: null }).rule).toBe('data.bootstrap');
    const failures = { clone: { count: 1, lastAtMs: 9_900, message: 'no such stanza', code: 'CLONE_FAILED' } };
    const held = decided(alone, restore, { failures });
    expect(held.effects).toEqual([]);
    expect(held.because).toBe('cloning failed (no such stanza); trying again soon');
  });

  it('needs that setting: other methods wait', () => {
    expect(decided(alone, { ...restore, methodOptions: { pgbackrest: { no_leader: false } } }).rule).toBe('data.wait');
  });
});

it('a copy from the leader uses the configured methods, unless the operator wants it from the leader', () => {
  const members = [member('a'), member('b', { role: 'primary' })];
  expect(decided({ leaderName: 'b', members }).effects).toMatchObject([
    { job: { kind: 'clone', sourceRole: 'leader', fromLeader: false } },
  ]);
  const asked = (fromLeader: boolean) =>
    decide(
      observation({
        view: view({ leaderName: 'b', members }),
        pg: pg.standby(),
        requests: { shutdown: false, restart: null, reinitialize: { fromLeader } },
      }),
      memory(),
    ).effects;
  expect(asked(false)).toMatchObject([{ job: { kind: 'reinitialize', sourceRole: 'leader', fromLeader: false } }]);
  expect(asked(true)).toMatchObject([{ job: { kind: 'reinitialize', sourceRole: 'leader', fromLeader: true } }]);
});

it('so does the copy that replaces diverged data', () => {
  const diverged = observation({
    view: view({ leaderName: 'b' }),
    pg: pg.standby({ timeline: 1, receiveLsn: lsn(3000) }),
    settings: settings('a', { postgresql: { usePgRewind: false, removeDataDirectoryOnDivergedTimelines: true } }),
    source: { name: 'b', systemIdentifier: SYSTEM_ID, timeline: 2, lsn: lsn(2000), history: [], inRecovery: false },
  });
  const { effects } = mendDivergence(contextOf(diverged, memory()), {});
  expect(effects).toMatchObject([{ job: { kind: 'reinitialize', fromLeader: false } }]);
});
