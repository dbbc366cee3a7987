/**
 * A server that does not let its agent in. It goes on as it is, gets its files, and keeps no
 * request for later. The log tells it once.
 */
import { describe, expect, it } from 'vitest';
import { member, memory, observation, peer, peers, pg, settings, sql, view, walsender } from '../../test/support/build.ts';
import { contextOf } from './context.ts';
import { decide } from './decide.ts';
import { lockNotes } from './locked-out.ts';
import type { Memory } from './model.ts';
import { syncStep } from './sync.ts';

const lockedOut = 'password authentication failed for user "postgres"';
const blind = (standbySignal: boolean) => ({ ...pg.starting({ standbySignal }), state: 'running' as const, lockedOut });
const request = { leader: 'a', candidate: 'b', scheduledAtMs: null, scheduledAt: null, modRevision: '7' };
const mine = view({ leaderName: 'a', failover: request });
const other = view({ leaderName: 'b' });

describe('a switchover', () => {
  it('is dropped, and nothing stops, when the leader’s agent is locked out', () => {
    const o = observation({ view: mine, pg: { ...pg.primary(), lockedOut }, peers: peers(peer('b')) });
    expect(decide(o, memory())).toMatchObject({ steps: [{ kind: 'clear-failover' }], because: expect.stringContaining(lockedOut) });
    expect(decide({ ...o, pg: pg.primary() }, memory()).steps).toMatchObject([{ kind: 'start-job', job: { kind: 'handover' } }]);
  });

  it('is dropped when the candidate cannot be logged in to', () => {
    const o = observation({ view: mine, pg: pg.primary(), peers: peers(peer('b', { lockedOut })) });
    expect(decide(o, memory()).because).toContain(`b cannot be logged in to: ${lockedOut}`);
  });

  it('asked of a blind leader is dropped, so that it does not happen later', () => {
    const o = observation({ view: mine, pg: blind(false) });
    expect(decide(o, memory())).toMatchObject({
      rule: 'starting.refused',
      steps: [{ kind: 'clear-failover' }],
      because: expect.stringContaining('is not possible'),
    });
    const later = { ...request, scheduledAtMs: o.wallMs + 60_000, scheduledAt: 'x' };
    const scheduled = observation({ view: view({ leaderName: 'a', failover: later }), pg: blind(false) });
    expect(decide(scheduled, memory()).steps).toEqual([]);
  });
});

describe('a server that is blind', () => {
  it('leads on, as the primary its files say it is', () => {
    const decision = decide(observation({ view: view({ leaderName: 'a' }), pg: blind(false) }), memory());
    expect(decision).toMatchObject({ rule: 'starting.refused', steps: [], memory: { role: 'primary' } });
  });

  it('gets its files in the role they tell, and none when in doubt', () => {
    const asked = (standby: boolean, over: ReturnType<typeof view>) =>
      decide(observation({ view: over, pg: blind(standby), configDirty: true }), memory()).chores;
    expect(asked(true, other)).toMatchObject([{ kind: 'files', effects: [{ kind: 'apply-config', role: { kind: 'standby' } }] }]);
    expect(asked(false, view({ leaderName: 'a' }))).toMatchObject([{ effects: [{ role: { kind: 'primary' } }] }]);
    expect(asked(true, view())).toEqual([]);
  });

  it('is restarted at the operator’s request', () => {
    const requests = { shutdown: false, restart: { timeoutMs: null }, reinitialize: null };
    const o = observation({ view: other, pg: blind(true), requests });
    expect(decide(o, memory())).toMatchObject({
      rule: 'request.restart',
      steps: [{ job: { kind: 'restart', role: { kind: 'standby' } } }],
    });
  });

  it('as a standby keeps no leader key, and is stopped first: a promotion may be under way', () => {
    const o = observation({ view: view({ leaderName: 'a' }), pg: blind(true) });
    expect(decide(o, memory())).toMatchObject({
      rule: 'starting.blind-candidate',
      effects: [{ kind: 'demote-now', mode: 'immediate' }, { kind: 'release-leader' }],
    });
  });

  it('that Regent has not taken over is left alone', () => {
    const o = observation({ view: view(), pg: { ...blind(false), unmanaged: true as const }, configDirty: true, settings: settings('a') });
    expect(decide(o, memory()).effects).toEqual([]);
  });
});

it('the log tells when it begins, has another cause, and ends', () => {
  const since = (reason: string) => ({ reason, sinceMs: 1, sinceWallMs: 1 });
  const now = (lockedOut: Memory['lockedOut'], state: Memory['state'] = 'running') => ({ lockedOut, state });
  expect(lockNotes(null, now(since('full (pid 1)')))).toMatchObject([{ level: 'warning' }]);
  expect(lockNotes(since('full (pid 1)'), now(since('full (pid 2)')))).toEqual([]);
  expect(lockNotes(since('full'), now(since('wrong password')))).toMatchObject([{ level: 'warning' }]);
  expect(lockNotes(since('full'), now(null))).toMatchObject([{ level: 'info' }]);
  // It was killed a moment ago.
  expect(lockNotes(since('full'), now(null, 'crashed'))).toEqual([]);
});

describe('a standby whose agent sees nothing', () => {
  const blindMember = (name: string) => member(name, { lsn: null, raw: { locked_out: lockedOut } });
  const led = (b: ReturnType<typeof member>, c: ReturnType<typeof member>) =>
    observation({
      view: {
        ...view({ leaderName: 'a', members: [member('a', { role: 'primary' }), b, c] }),
        sync: { leader: 'a', quorum: 1, standbys: ['b', 'c'], modRevision: '7' },
      },
      pg: {
        ...pg.primary(),
        sql: sql({ ...pg.primary().sql, synchronousStandbyNames: 'ANY 1 (b,c)', replication: [walsender('b'), walsender('c')] }),
      },
      settings: settings('a', { dynamic: { synchronousMode: 'quorum' } }),
    });
  const step = (b: ReturnType<typeof member>, c: ReturnType<typeof member>) => syncStep(contextOf(led(b, c), memory())).effects;

  it('has no vote: commits wait for another, where there is one', () => {
    expect(step(blindMember('b'), member('c'))).toEqual([{ kind: 'set-sync-names', value: 'ANY 1 (c)' }]);
    // Over a connection from before it sees its position, and votes.
    expect(step(member('b', { raw: { locked_out: lockedOut } }), member('c'))).toEqual([]);
  });

  it('is waited for where there is no other standby, because it has what it confirmed', () => {
    expect(step(blindMember('b'), blindMember('c'))).toEqual([]);
  });
});
