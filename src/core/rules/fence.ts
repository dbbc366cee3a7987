/**
 * Rules that keep a node from being writable when it may not be. They come before everything else.
 */
import { isKeptByFailsafe, isVouchedFor } from '../authority.ts';
import { type Context, isOpeningForWrites, isUnprotected, withoutRemoteSlot } from '../context.ts';
import { jobLabel, stopsInOrder } from '../effects.ts';
import { holdOffMs } from '../hold-off.ts';
import { replacedBy } from '../quorum/leader-side.ts';
import { always, type Section } from './table.ts';

const lost = (mode: 'fast' | 'immediate') => ({
  effects: [{ kind: 'cancel-job', reason: 'leadership was lost' } as const, { kind: 'demote-now', mode } as const],
});

/**
 * No client is led to a new cluster before its leader key is written, and no other cluster is made
 * while the lease is good.
 */
const makesCluster = (c: Context) => c.o.job?.job.kind === 'bootstrap';

export const leaseAndGuard: Section = {
  title: 'Fence: lease and guard',
  situation: 'PostgreSQL may take writes; the cluster is not paused',
  when: (c) => c.mayBeWritable && !c.paused,
  rules: [
    {
      id: 'fence.lease-ended',
      situation: 'the lease can no longer be counted on, and etcd does not answer or does not renew it',
      when: (c) => (c.view === null || c.attached) && !c.mayLeadNow && !(c.withinLease && makesCluster(c)),
      ask: (c) => ({
        ...lost('fast'),
        because: c.o.dcs.known
          ? 'demoted self because failed to update leader lock in DCS: etcd answers, and has not renewed the lease in time'
          : `demoted self because DCS is not accessible and I was a leader: ${c.o.dcs.reason}`,
      }),
      because: 'demoted self because DCS is not accessible and I was a leader',
    },
    {
      id: 'fence.replaced',
      situation: 'etcd does not answer here, and a voter has read there that another member leads since',
      when: (c) => replacedBy(c) !== null,
      ask: (c) => ({
        ...lost('immediate'),
        because: `demoting self because ${replacedBy(c)} has taken the lead, as a voter says that reads etcd`,
      }),
      because: 'demoting self because another member has taken the lead, as a voter says that reads etcd',
    },
    {
      id: 'primary.guard',
      situation: 'the leader key names this node or etcd does not answer, and the guard cannot be armed any more',
      when: (c) =>
        (c.lockMine || c.view === null) &&
        !c.o.guardHealthy &&
        (c.o.job === null || stopsInOrder(c.o.job.job)) &&
        c.o.pg.dataDir === 'valid',
      ask: (c) => ({
        effects: [
          // A handover has asked PostgreSQL already to stop in good order, and it has not stopped.
          ...(c.o.job === null ? [] : [{ kind: 'cancel-job', reason: 'the guard does not answer' } as const]),
          { kind: 'demote-now', mode: c.o.job === null ? 'fast' : 'immediate' },
          { kind: 'release-leader', optime: null },
        ],
      }),
      because: 'demoting self because the guard, which would stop PostgreSQL if this agent hung, does not answer',
    },
  ],
};

/** A promotion that has not opened PostgreSQL yet is called off in time. */
function lostDuring(c: Context): string {
  const job = c.o.job?.job;
  if (job === undefined) return 'lost leader lock during a start or promotion';
  return job.kind === 'promote' && c.isStandby ? 'lost leader before promote' : `lost leader lock during ${jobLabel(job)}`;
}

function keptText({ authority, o }: Context): { readonly because?: string } {
  if (isKeptByFailsafe(authority, o.nowMs))
    return { because: 'continue to run as a leader because failsafe mode is enabled and all members are accessible' };
  if (authority.vouched === null || !isVouchedFor(authority, o.nowMs)) return {};
  return { because: `DCS is not accessible; vouched for by ${authority.vouched.by.join(', ')}` };
}

export const etcdSilent: Section = {
  title: 'etcd does not answer',
  situation: 'etcd does not answer; the agent was not asked to end',
  when: (c) => c.view === null && !c.o.requests.shutdown,
  rules: [
    {
      id: 'fence.read-only',
      situation: 'PostgreSQL is down, and the cluster is not paused',
      when: (c) => !c.paused && c.stopped && c.o.pg.dataDir === 'valid' && c.o.job === null && holdOffMs(c, 'start') === 0,
      ask: () => ({
        effects: [
          { kind: 'start-job', job: { kind: 'start', role: { kind: 'standby', source: null }, why: 'starting read-only without DCS' } },
        ],
      }),
      because: 'DCS is not accessible: starting read-only, so that at least reads go on',
    },
    {
      id: 'fence.free-remote-slot',
      situation: 'this standby uses the slot of its cluster at the server outside, and may not lead any more; no pause',
      when: (c) => !c.paused && c.o.job === null && withoutRemoteSlot(c) !== null,
      ask: (c) => ({
        effects: [{ kind: 'apply-config', role: { kind: 'standby', source: withoutRemoteSlot(c), leads: true }, only: 'role' }],
        wakeInMs: 1000,
      }),
      because: 'DCS is not accessible: leaving the slot at the server outside to the next standby leader, and streaming on without it',
    },
    {
      id: 'fence.wait-for-etcd',
      situation: 'otherwise',
      when: always,
      ask: (c) =>
        c.mayBeWritable && c.stepDownAtMs !== null
          ? { wakeInMs: Math.max(0, Math.min(1000, c.stepDownAtMs - c.o.nowMs)), ...keptText(c) }
          : { wakeInMs: 1000 },
      because: 'DCS is not accessible',
    },
  ],
};

export const leaderKey: Section = {
  title: 'Fence: the leader key',
  situation: 'the cluster is not paused',
  when: (c) => !c.paused,
  rules: [
    {
      id: 'fence.not-attached',
      situation:
        'a primary runs here, and the leader key names this node but could not be moved to its own lease for too long: its guard does not protect it',
      when: (c) => c.isPrimary && c.lockMine && !c.attached && isUnprotected(c),
      ask: () => lost('fast'),
      because:
        'demoting self because the leader key could not be moved to this agent’s lease. etcd takes no writes, and does not renew the old lease either',
    },
    {
      id: 'fence.attach',
      situation:
        'the leader key names this node, which has data, but is on a lease from before (the agent was restarted, or the ttl changed)',
      when: (c) => c.lockMine && !c.attached && c.authority.lease.leaseId !== null && (c.o.pg.dataDir === 'valid' || c.o.job !== null),
      ask: () => ({ effects: [{ kind: 'attach-leader' }], wakeInMs: 0 }),
      because: 'taking over the leader key this node held already',
    },
    {
      id: 'fence.job-without-lock',
      situation: 'a job is about to make PostgreSQL writable, and this node does not have the leader key',
      when: (c) => isOpeningForWrites(c) && !c.lockMine,
      ask: (c) => ({
        ...lost('immediate'),
        because: `${lostDuring(c)}: ${c.otherLeader === null ? 'it is gone from etcd' : `${c.otherLeader} has it`}`,
      }),
      because: 'lost leader lock during a start or promotion',
    },
    {
      id: 'fence.other-leader',
      situation: 'PostgreSQL may take writes, and another member holds the leader key',
      when: (c) => c.mayBeWritable && c.otherLeader !== null && c.o.pg.dataDir === 'valid',
      ask: () => lost('immediate'),
      because: 'demoting self because I do not have the lock and I was a leader: {leader} has it',
    },
    {
      id: 'fence.opening-unlocked',
      situation: 'PostgreSQL is starting as a primary, and nobody holds the leader key',
      when: (c) =>
        c.mayBeWritable &&
        c.unlocked &&
        !c.isPrimary &&
        c.o.pg.dataDir === 'valid' &&
        c.o.job?.job.kind !== 'bootstrap' &&
        !stopsInOrder(c.o.job?.job),
      ask: () => lost('immediate'),
      because: 'stopped PostgreSQL while starting up because leader key was lost',
    },
  ],
};
