/**
 * What the health checks answer between the moment etcd cannot be read any more and the end of the
 * lease.
 */

import { describe, expect, it } from 'vitest';
import { someSettings } from '../../test/fixtures/agent.ts';
import { authority, memory, observation, pg, settings, view } from '../../test/support/build.ts';
import { authorityAfter, type LeaseFacts } from '../core/authority.ts';
import type { ClusterView } from '../core/cluster.ts';
import { keyRead } from '../core/context.ts';
import type { Decision, Memory, Observation } from '../core/model.ts';
import { noLinks } from '../core/quorum/link-facts.ts';
import { remember } from '../core/remember.ts';
import { leaseMargins } from '../core/settings.ts';
import { healthCheck } from '../dialect/health-checks.ts';
import { memberRecord } from '../dialect/member-record.ts';
import { type AgentStatus, noCounts } from '../ports/agent-status.ts';
import { type StatusPorts, statusOf } from './status.ts';

const SENT_AT_MS = 9000;
const WALL_MS = 1_800_000_000_000;
const { stepDownMs } = leaseMargins(30);
const ours: ClusterView = view({ leaderName: 'a' });

interface Moment {
  readonly nowMs?: number;
  readonly lastView?: ClusterView | null;
  readonly lease?: Partial<LeaseFacts>;
  /** The lease that the key was on is gone, or was given up. */
  readonly gone?: boolean;
  readonly last?: Partial<Observation>;
  readonly memory?: Partial<Memory>;
  readonly pause?: boolean;
}

/** What member `a` shows, a primary in whose last round etcd could not be read. */
function statusAt(moment: Moment): AgentStatus {
  const own = settings('a', { dynamic: { pause: moment.pause ?? false } });
  const nowMs = moment.nowMs ?? SENT_AT_MS + 1000;
  const lastView = moment.lastView === undefined ? ours : moment.lastView;
  const leased = authority({ confirmedSentAtMs: SENT_AT_MS });
  const read = lastView === null ? leased : authorityAfter(leased, keyRead(lastView, 'a'));
  const left = moment.gone ? authorityAfter(read, { kind: 'lease-forgotten' }) : read;
  const now = { ...left, lease: { ...read.lease, ...moment.lease } };
  const seen = observation({ view: null, pg: pg.primary(), settings: own, nowMs, authority: now, ...moment.last });
  const kept = memory({ role: 'primary', state: 'running', ...moment.memory });
  const decision: Decision = {
    rule: 'fence.wait-for-etcd',
    because: 'DCS is not accessible: s3cret',
    ...{ effects: [], steps: [], chores: [], wakeAtMs: null, watchMembers: false, watchStatus: false },
    memory: kept,
  };
  const ports: StatusPorts = {
    guard: { tethered: null },
    log: { masked: (text) => text.replaceAll('s3cret', '********') },
    clock: { bootMs: () => nowMs },
    settings: { current: () => own },
    watchdog: { healthy: () => true },
  };
  return statusOf(ports, {
    rounds: {
      last: { observation: seen, decision, askedAtMs: nowMs, endedAtMs: nowMs, nextAtMs: nowMs },
      lastRead: lastView && { atMs: SENT_AT_MS, wallMs: WALL_MS },
      memory: kept,
      count: 1,
      droppedRequest: null,
      onEnd: () => () => {},
    },
    authority: { now },
    beats: { facts: () => noLinks(Number.NEGATIVE_INFINITY), isIsolated: () => false },
    failsafe: { map: null, asked: async () => ({ kind: 'off' }) },
    job: { running: null, isStopping: false, isLeaving: false },
    requests: { scheduledRestart: null, reinitialization: null },
    settingsVersion: { revisionInForce: null },
    tally: { counts: noCounts },
  });
}

function codes(moment: Moment, paths: readonly string[] = ['/', '/primary', '/leader', '/read-write', '/read-only', '/read-only-sync']) {
  const own = settings('a', { dynamic: { pause: moment.pause ?? false } });
  return paths.map((path) => healthCheck(path, new Map(), statusAt(moment), null, own));
}

const all = (code: number) => Array.from({ length: 6 }, () => code);

describe('a primary that cannot read etcd', () => {
  it('leads until the moment to step down, and not a moment longer', () => {
    expect(codes({})).toEqual(all(200));
    expect(codes({ nowMs: SENT_AT_MS + stepDownMs - 1 })).toEqual(all(200));
    expect(codes({ nowMs: SENT_AT_MS + stepDownMs })).toEqual(all(503));
  });

  it('shows how long that is', () => {
    expect(statusAt({ nowMs: SENT_AT_MS + 4000 })).toMatchObject({ isLeader: true, leaseRemainingMs: stepDownMs - 4000 });
  });

  it('does not lead when the key was another’s, nobody’s, or never seen', () => {
    expect(codes({ lastView: view({ leaderName: 'b' }) })).toEqual(all(503));
    expect(codes({ lastView: view() })).toEqual(all(503));
    expect(codes({ lastView: null })).toEqual(all(503));
  });

  it('does not lead on another lease than the key was on: the key may end with that one', () => {
    expect(codes({ gone: true, lease: { leaseId: 'a new one' } })).toEqual(all(503));
    expect(codes({ lastView: view({ leaderName: 'a', leaderLease: 'an old one' }) })).toEqual(all(503));
    expect(codes({ gone: true, lease: { leaseId: null, confirmedSentAtMs: null } })).toEqual(all(503));
  });

  it('leads by the lease before, after a change of the ttl: the key is on it until it can be moved', () => {
    const lease = { leaseId: 'a new one', confirmedSentAtMs: SENT_AT_MS + 500, ttlSeconds: 10 };
    expect(codes({ lease, nowMs: SENT_AT_MS + stepDownMs - 1 })).toEqual(all(200));
    expect(statusAt({ lease }).leaseRemainingMs).toBe(stepDownMs - 1000);
    expect(codes({ lease, nowMs: SENT_AT_MS + stepDownMs })).toEqual(all(503));
    const last = { dcs: { known: true, view: ours } } as const;
    expect(codes({ lease, last }), 'etcd was read, and the key not moved yet').toEqual(all(200));
  });

  it('does not lead with a server that is down or in recovery', () => {
    expect(codes({ last: { pg: pg.stopped() } })).toEqual(all(503));
    expect(codes({ last: { pg: pg.starting() } })).toEqual(all(503));
    expect(codes({ last: { pg: pg.standby() } }, ['/primary', '/read-write', '/leader'])).toEqual([503, 503, 503]);
  });

  it('leads although the server’s last answer was late', () => {
    expect(codes({ last: { pg: { ...pg.primary(), state: 'unresponsive', sql: null } } })).toEqual(all(200));
  });

  it('keeps its role while such an answer is outstanding, until the lease ends', () => {
    const late = { ...pg.primary(), state: 'unresponsive' as const, sql: null };
    const key = { leaseId: 'lease-a', stepDownAtMs: SENT_AT_MS + stepDownMs };
    const roleAt = (nowMs: number) => remember(observation({ view: null, pg: late, nowMs, key }), memory({ role: 'primary' })).role;
    expect([roleAt(SENT_AT_MS + 1000), roleAt(SENT_AT_MS + stepDownMs)]).toEqual(['primary', 'demoted']);
  });

  it('in pause is what it is after the end of the lease as well', () => {
    expect(codes({ pause: true, nowMs: SENT_AT_MS + stepDownMs + 1 })).toEqual(all(200));
  });
});

it('a standby that cannot read etcd goes on answering readers', () => {
  const standby: Moment = { last: { pg: pg.standby() }, memory: { role: 'replica' }, lastView: view({ leaderName: 'b' }) };
  expect(codes(standby, ['/replica', '/read-only', '/health'])).toEqual([200, 200, 200]);
  expect(codes({ ...standby, nowMs: SENT_AT_MS + 600_000 }, ['/replica', '/read-only', '/health'])).toEqual([200, 200, 200]);
});

describe('what is tried again and again', () => {
  const told = (failures: Memory['failures']) => statusAt({ memory: { failures } }).failing;
  const failure = (code: string, count: number) => ({ count, lastAtMs: 0, code, message: 'no room' });

  it('is told with its cause, jobs as well as chores', () => {
    const files = { count: 1, sinceMs: 0, lastAtMs: 0, message: 'read-only' };
    const failing = statusAt({ memory: { failures: { rewind: failure('REWIND_NO_ROOM', 1) }, chores: { files } } }).failing;
    expect(failing).toEqual({ pg_rewind: 'no room', 'configuration files': 'read-only' });
  });

  it('is told without the passwords that the log would not have either', () => {
    const message = 'FATAL: password s3cret is wrong';
    const lockedOut = { reason: message, sinceMs: 0, sinceWallMs: 0 };
    const failures = { start: { count: 1, lastAtMs: 0, message } };
    const server = { ...pg.standby(), sourceTrouble: message, promotionTrouble: message };
    const last = { pg: server, view: view({ leaderName: 'b' }) } as Partial<Observation>;
    const status = statusAt({ last, memory: { failures, lockedOut, steppedDown: message } });
    const { failing, steppedDown, sourceTrouble, promotionTrouble } = status;
    expect([failing?.['start of PostgreSQL'], status.lockedOut?.reason, steppedDown, sourceTrouble, promotionTrouble]).toEqual(
      Array.from({ length: 5 }, () => 'FATAL: password ******** is wrong'),
    );
    expect(JSON.stringify(status, (_, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain('s3cret');
  });

  it('a rewind that has just ended well is not called a failure', () => {
    expect(told({ rewind: failure('REWIND_IN_VAIN', 1) })).toEqual({});
    expect(told({ rewind: failure('REWIND_IN_VAIN', 2) })).toEqual({ pg_rewind: 'no room' });
  });
});

describe('a server that is there and does not answer', () => {
  const record = (facts: Parameters<typeof pg.unexplained>[0]) => {
    const status = statusAt({ last: { pg: { ...pg.primary(), state: 'unresponsive', sql: null, ...facts } } });
    return memberRecord(status, someSettings());
  };

  it('is told of in the member key, whose state is the last known', () => {
    expect(record({})).toMatchObject({ state: 'running', unresponsive: true });
    expect(record({ state: 'running', sql: pg.primary().sql! })).not.toHaveProperty('unresponsive');
  });

  it('is not one that nobody knows', () => {
    expect(record({ unexplained: { pid: 77, program: 'sleep 60' } })).not.toHaveProperty('unresponsive');
  });
});
