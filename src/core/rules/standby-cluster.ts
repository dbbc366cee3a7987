/**
 * A cluster that follows a server outside of it (`standby_cluster`). No node of it takes writes;
 * the one with the leader key streams from that server, and the others stream from it.
 */
import { awaitsRemote, type Context, isOpeningForWrites, isStandbyLeader, wantedSource, whyRemoteUnknown } from '../context.ts';
import { divergenceFrom, isAhead } from '../divergence.ts';
import { stopsInOrder } from '../effects.ts';
import { mayStillPromote } from '../failed-promotions.ts';
import { holdOffMs } from '../hold-off.ts';
import { describeOutsideWalGone } from '../postgres-facts.ts';
import { correctIt } from '../wrong-remote.ts';
import { keepsElsewhere, mendDivergence, retarget } from './mend.ts';
import { YIELDS, yieldLead, yieldsLead } from './standby-leader-yields.ts';
import { switchoverAway } from './switchover.ts';
import { always, type Outcome, type Section } from './table.ts';

const AGAIN_MS = 500;
/** Every round asks the source, which may log that. */
const IN_VAIN_MS = 3000;

const CANNOT = 'demoting self: cannot be a real primary in a standby cluster';

/** Good order needs time, and nobody else may come to lead meanwhile. */
const mayTakeItsTime = (c: Context) =>
  c.isPrimary && c.mayLeadNow && (c.view === null || c.attached) && c.o.job === null && holdOffMs(c, 'demote-cluster') === 0;

const makesWritable = (c: Context) => isOpeningForWrites(c) || c.o.job?.job.kind === 'bootstrap';

export const standbyClusterFence: Section = {
  title: 'Fence: a standby cluster takes no writes',
  situation: 'the cluster follows a server outside of it and is not paused; PostgreSQL may take writes, or is about to',
  when: (c) => c.followsRemote && !c.paused && (c.mayBeWritable || makesWritable(c)) && !(stopsInOrder(c.o.job?.job) && c.mayLeadNow),
  rules: [
    {
      id: 'standby-cluster.opening',
      situation: 'a job is about to make PostgreSQL writable: it began before the setting changed',
      when: makesWritable,
      ask: () => ({
        effects: [
          { kind: 'cancel-job', reason: 'the cluster has become a standby cluster' },
          { kind: 'demote-now', mode: 'immediate' },
        ],
      }),
      because: CANNOT,
    },
    {
      id: 'standby-cluster.demote',
      situation: 'a primary leads here, on a lease that is good',
      when: mayTakeItsTime,
      ask: () => ({ effects: [{ kind: 'start-job', job: { kind: 'demote-cluster' } }] }),
      because:
        'demoting to a standby cluster: stopping PostgreSQL in good order, and following the server outside after it. No member takes writes from then on; for a writable cluster again: regentctl promote-cluster {scope}',
    },
    {
      id: 'standby-cluster.demote-now',
      situation: 'otherwise',
      when: always,
      ask: (c) => ({
        effects: [
          ...(c.o.job === null ? [] : [{ kind: 'cancel-job', reason: 'a standby cluster has no primary' } as const]),
          { kind: 'demote-now', mode: c.otherLeader === null ? 'fast' : 'immediate' },
        ],
      }),
      because: CANNOT,
    },
  ],
};

const streams = (c: Context) => c.o.pg.sql?.receiver?.status === 'streaming';
const mayHaveLeft = (c: Context) => !c.paused && (!streams(c) || isAhead(c.o.pg, c.o.source));

export const standbyLeader: Section = {
  title: 'The leader of a standby cluster',
  situation: 'the cluster follows a server outside of it, a standby runs here, and the leader key names this node',
  when: isStandbyLeader,
  rules: [
    {
      id: 'standby-leader.may-open',
      situation: 'a promotion that was ordered before the setting changed may still be carried out',
      when: mayStillPromote,
      ask: () => ({ effects: [{ kind: 'demote-now', mode: 'immediate' }] }),
      because: 'stopping PostgreSQL, which may still carry out a promotion: cannot be a real primary in a standby cluster',
    },
    {
      id: 'standby-leader.switchover',
      byTable: true,
      situation: 'an operator asked for a switchover or failover, in a pause to a named member',
      when: (c) => c.mayLeadNow && c.view?.failover != null && (!c.paused || c.view.failover.candidate !== null),
      ask: switchoverAway,
      because: 'switchover: demoting myself',
    },
    {
      id: 'standby-leader.wrong-remote',
      situation: 'the server outside is another cluster, or all its addresses are members of this one',
      when: (c) => c.wrongRemote !== null,
      ask: (c) => ({ wakeInMs: IN_VAIN_MS, because: `following nobody: ${c.wrongRemote}; ${correctIt(c.o)}` }),
      because: 'following nobody: the server of standby_cluster is not one that this cluster can follow',
    },
    {
      id: 'standby-leader.yields',
      situation: 'as in the next row, nothing mends that, and another member can lead',
      when: (c) => mayHaveLeft(c) && yieldsLead(c),
      ask: yieldLead,
      because: YIELDS,
    },
    {
      id: 'standby-leader.diverged',
      situation: 'it does not stream, or is ahead, and its WAL is not a prefix of that of the server outside; no pause',
      when: (c) => mayHaveLeft(c) && divergenceFrom(c.o.pg, c.o.source) === 'diverged',
      ask: (c) => mendDivergence(c, { wakeInMs: AGAIN_MS }),
      because: 'running pg_rewind',
    },
    {
      id: 'standby-leader.aims-elsewhere',
      situation:
        'it does not stream, its WAL is a prefix of that of the server outside, and PostgreSQL keeps to a timeline that another server had there; no pause',
      when: keepsElsewhere,
      ask: retarget,
      because: 'restarting to follow the timeline of the leader',
    },
    {
      id: 'standby-leader.wal-gone',
      situation: 'the WAL that it needs is gone at the server outside',
      when: (c) => c.o.pg.walGone === true,
      ask: () => ({ wakeInMs: IN_VAIN_MS }),
      because: describeOutsideWalGone({ scope: '{scope}' }),
    },
    {
      id: 'standby-leader.waits',
      situation: 'it wrote WAL of its own, and the server outside cannot be asked whether it has that',
      when: awaitsRemote,
      ask: (c) => ({
        wakeInMs: AGAIN_MS,
        because: `following nobody until the server of standby_cluster can be compared with: this node wrote WAL of its own, and ${whyRemoteUnknown(c)}`,
      }),
      because:
        'following nobody until the server of standby_cluster can be compared with: this node wrote WAL of its own and may have to be rewound',
    },
    {
      id: 'standby-leader.leads',
      situation: 'otherwise',
      when: always,
      ask: leads,
      because: 'no action. I am ({me}), the standby leader with the lock',
    },
  ],
};

function leads(c: Context): Outcome {
  const isWaiting = wantedSource(c) !== null && !streams(c);
  return isWaiting ? { wakeInMs: c.o.pg.retriesInVain ? IN_VAIN_MS : AGAIN_MS } : {};
}
