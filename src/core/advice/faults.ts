/**
 * For each fault: when clients can write again, and which acknowledged commits may be gone. By the
 * settings in force, and by measurement only where a row says so. The first row that applies holds.
 */
import { invariant } from '../../support/assert.ts';
import { beats } from '../quorum/in-force.ts';
import type { AdviceFacts } from './facts.ts';
import { MEASURED } from './measured.ts';
import { noOutage, type Outage, takenOver, until } from './outage.ts';
import { megabytes, seconds, span } from './words.ts';

export type Fault =
  | 'node dead'
  | 'node cut off'
  | 'PostgreSQL crashes'
  | 'PostgreSQL hangs'
  | 'agent dead, PostgreSQL well'
  | 'leader cut off from etcd only'
  | 'all of etcd away'
  | 'switchover';

export interface FaultAdvice {
  readonly id: string;
  readonly fault: Fault;
  readonly outage: Outage;
  /** Acknowledged commits that may be gone afterwards. */
  readonly loss: string;
  readonly source: 'settings' | 'settings and docs/benchmarks.md';
  readonly because: string;
}

interface FaultRow {
  readonly id: string;
  readonly fault: Fault;
  readonly when: (f: AdviceFacts) => boolean;
  readonly outage: (f: AdviceFacts) => Outage;
  readonly loss: (f: AdviceFacts) => string;
  readonly measured?: true;
  readonly because: (f: AdviceFacts) => string;
}

const NOTHING = () => 'none';
const always = () => true;
const isPaused = (f: AdviceFacts) => f.isPaused;
const hasNoHeir = (f: AdviceFacts) => f.heirs.length === 0;
const byPromises = (f: AdviceFacts) => f.byPromises;

/** A candidate may lag, and what the leader wrote is published once a round. */
const lag = (f: AdviceFacts) =>
  f.isSynchronous
    ? 'none'
    : `up to ${megabytes(f.dynamic.maximumLagOnFailoverBytes)} of WAL, and the last ${seconds(f.renewalSeconds)} of writes`;

const lagAndSplit = (f: AdviceFacts) =>
  f.isSynchronous ? 'none' : `${lag(f)}; and what the old primary takes for up to ${seconds(f.stepDownSeconds)}`;

const nobodyElse = (f: AdviceFacts) => {
  if (f.standbys.length === 0) return 'no other member is there';
  if (!f.isSynchronous) return 'no other member may lead now';
  if (f.voters.length === 0) return 'no standby has to confirm commits, so none may lead';
  return `of the standbys that confirm commits (${f.voters.join(', ')}), ${f.needed} must run, and one of them be allowed to lead`;
};

const PROMISES = (f: AdviceFacts) =>
  f.fence.kind === 'quorum' ? `${f.fence.needed} of ${f.voters.join(', ')} miss the leader and promise to take no more WAL from it` : '';
const LEASE = 'the lease must end first: ttl after its last renewal';

export const faultRows: readonly FaultRow[] = [
  ...['node dead', 'node cut off'].flatMap((fault) => lostNode(fault as 'node dead' | 'node cut off')),
  {
    id: 'crash.paused',
    fault: 'PostgreSQL crashes',
    when: isPaused,
    outage: () => until('somebody acts'),
    loss: NOTHING,
    because: () => 'the cluster is paused: nothing is started, and nobody takes over',
  },
  {
    id: 'crash.handed-over',
    fault: 'PostgreSQL crashes',
    when: (f) => f.dynamic.primaryStartTimeoutSeconds === 0 && !hasNoHeir(f),
    outage: () => takenOver(0, 0),
    loss: lag,
    because: () => 'primary_start_timeout is 0: the leader key is released at once',
  },
  {
    id: 'crash.nobody-else',
    fault: 'PostgreSQL crashes',
    when: hasNoHeir,
    outage: () => until('its recovery ends', MEASURED.restartInPlace.withRouter),
    loss: NOTHING,
    measured: true,
    because: (f) => `PostgreSQL is started in place; ${nobodyElse(f)}`,
  },
  {
    id: 'crash.in-place',
    fault: 'PostgreSQL crashes',
    when: always,
    outage: (f) => ({
      fromSeconds: MEASURED.restartInPlace.withRouter,
      toSeconds: Math.max(MEASURED.restartInPlace.withRouter, f.dynamic.primaryStartTimeoutSeconds),
      thenPromotion: false,
    }),
    loss: (f) => (f.isSynchronous ? 'none' : 'none; if another has to take over, as with a dead node'),
    measured: true,
    because: () => 'PostgreSQL is started in place; another takes over once recovery exceeds primary_start_timeout',
  },
  {
    id: 'hang.stuck',
    fault: 'PostgreSQL hangs',
    when: (f) => isPaused(f) || hasNoHeir(f),
    outage: () => until('somebody acts'),
    loss: NOTHING,
    because: (f) => (f.isPaused ? 'the cluster is paused' : nobodyElse(f)),
  },
  {
    id: 'hang.handed-over',
    fault: 'PostgreSQL hangs',
    when: always,
    outage: (f) => takenOver(f.dynamic.unresponsiveAfterSeconds, f.dynamic.unresponsiveAfterSeconds + f.renewalSeconds + f.askingSeconds),
    loss: lag,
    because: () => 'after postgresql_unresponsive_after the leader stops it and releases the leader key',
  },
  ...deadAgent(),
  ...awayEtcd(),
  {
    id: 'switchover.impossible',
    fault: 'switchover',
    when: (f) => hasNoHeir(f) || f.view.leader === null,
    outage: () => until('somebody acts'),
    loss: NOTHING,
    because: (f) => (f.view.leader === null ? 'nobody leads' : `it is refused: ${nobodyElse(f)}`),
  },
  {
    id: 'switchover.planned',
    fault: 'switchover',
    when: always,
    outage: () => ({ fromSeconds: MEASURED.switchover.withRouter, toSeconds: MEASURED.switchover.withoutRouter, thenPromotion: false }),
    loss: NOTHING,
    measured: true,
    because: () => 'with the router, and without; the old primary stops in good order, the next has all that it wrote',
  },
];

function lostNode(fault: 'node dead' | 'node cut off'): readonly FaultRow[] {
  const key = fault === 'node dead' ? 'node' : 'cut';
  const loss = fault === 'node dead' ? lag : lagAndSplit;
  return [
    {
      id: `${key}.paused`,
      fault,
      when: isPaused,
      outage: () => until('somebody acts'),
      loss: NOTHING,
      because: () => 'the cluster is paused: nobody takes over',
    },
    {
      id: `${key}.nobody-else`,
      fault,
      when: hasNoHeir,
      outage: () => until('the node is back'),
      loss: () => 'none, if its disk survives',
      because: nobodyElse,
    },
    {
      id: `${key}.promises`,
      fault,
      when: byPromises,
      outage: (f) => takenOver(0, f.suspectAfterSeconds),
      loss,
      because: PROMISES,
    },
    {
      id: `${key}.lease`,
      fault,
      when: always,
      outage: (f) => takenOver(f.ttlSeconds - f.renewalSeconds, f.ttlSeconds),
      loss,
      because: () => LEASE,
    },
  ];
}

function deadAgent(): readonly FaultRow[] {
  const fault = 'agent dead, PostgreSQL well';
  const inTime = (f: AdviceFacts) =>
    `none if it is back within ${span(f.guardSeconds - f.renewalSeconds, f.guardSeconds)}; then the guard stops PostgreSQL`;
  return [
    {
      id: 'agent.paused',
      fault,
      when: isPaused,
      outage: noOutage,
      loss: NOTHING,
      because: () => 'the cluster is paused: the guard stops nothing',
    },
    {
      id: 'agent.nobody-else',
      fault,
      when: hasNoHeir,
      outage: () => until('the agent is back'),
      loss: NOTHING,
      because: (f) => `${inTime(f)}, and ${nobodyElse(f)}`,
    },
    {
      id: 'agent.promises',
      fault,
      when: byPromises,
      outage: (f) => takenOver(0, f.suspectAfterSeconds),
      loss: lag,
      because: (f) => `${inTime(f)}, and the voters see that nothing listens any more`,
    },
    {
      id: 'agent.lease',
      fault,
      when: always,
      outage: (f) => takenOver(0, f.ttlSeconds - f.guardSeconds),
      loss: lag,
      because: (f) => `${inTime(f)}, ${seconds(f.ttlSeconds - f.guardSeconds)} before the lease ends`,
    },
  ];
}

function awayEtcd(): readonly FaultRow[] {
  const alone = 'leader cut off from etcd only';
  const away = 'all of etcd away';
  const hasFailsafe = (f: AdviceFacts) => f.askedInFailsafe !== null;
  const allAgree = (f: AdviceFacts) =>
    f.askedInFailsafe?.length === 0
      ? 'failsafe mode: the leader has nobody to ask, and goes on'
      : `failsafe mode: the leader goes on while all agree (${f.askedInFailsafe?.join(', ')}); if one does not answer, it steps down ${seconds(f.stepDownSeconds)} after its last renewal`;
  const carried = (f: AdviceFacts) => beats(f.leader) && f.standbys.some(beats);
  return [
    {
      id: 'alone.paused',
      fault: alone,
      when: isPaused,
      outage: noOutage,
      loss: NOTHING,
      because: () => 'the cluster is paused: nobody steps down',
    },
    {
      id: 'alone.carried',
      fault: alone,
      when: carried,
      outage: noOutage,
      loss: NOTHING,
      because: () => 'a member that reaches etcd carries the leader’s calls',
    },
    {
      id: 'alone.failsafe',
      fault: alone,
      when: hasFailsafe,
      outage: noOutage,
      loss: NOTHING,
      because: allAgree,
    },
    {
      id: 'alone.nobody-else',
      fault: alone,
      when: hasNoHeir,
      outage: () => until('it reaches etcd again'),
      loss: NOTHING,
      because: (f) => `it steps down ${seconds(f.stepDownSeconds)} after its last renewal, and ${nobodyElse(f)}`,
    },
    {
      id: 'alone.lease',
      fault: alone,
      when: always,
      outage: (f) => takenOver(0, f.ttlSeconds - f.stepDownSeconds),
      loss: lag,
      because: (f) =>
        `it steps down ${seconds(f.stepDownSeconds)} after its last renewal, and the lease ends after ${seconds(f.ttlSeconds)}`,
    },
    {
      id: 'etcd.paused',
      fault: away,
      when: isPaused,
      outage: noOutage,
      loss: NOTHING,
      because: () => 'the cluster is paused: nobody steps down',
    },
    {
      id: 'etcd.vouched',
      fault: away,
      when: byPromises,
      outage: noOutage,
      loss: NOTHING,
      because: () => 'the voters vouch for the leader; nobody can take over until etcd is back',
    },
    {
      id: 'etcd.failsafe',
      fault: away,
      when: hasFailsafe,
      outage: noOutage,
      loss: NOTHING,
      because: allAgree,
    },
    {
      id: 'etcd.lease',
      fault: away,
      when: always,
      outage: () => until('etcd is back'),
      loss: NOTHING,
      because: (f) =>
        `none if it is back within ${span(f.stepDownSeconds - f.renewalSeconds, f.stepDownSeconds)}; then the leader steps down, and nobody can lead`,
    },
  ];
}

export function faultAdvice(facts: AdviceFacts): readonly FaultAdvice[] {
  const faults = [...new Set(faultRows.map(({ fault }) => fault))];
  return faults.map((fault) => {
    const row = faultRows.find((each) => each.fault === fault && each.when(facts));
    invariant(row !== undefined, `no row applies to ${fault}`);
    const { id, outage, loss, measured, because } = row;
    const source = measured ? 'settings and docs/benchmarks.md' : 'settings';
    return { id, fault, outage: outage(facts), loss: loss(facts), source, because: because(facts) } as const;
  });
}
