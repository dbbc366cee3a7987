/** A postmaster is there and does not answer the agent: it recovers, hangs, or refuses it. */

import type { Chore } from '../chores.ts';
import { type Context, wantedSource } from '../context.ts';
import { divergenceFrom } from '../divergence.ts';
import { blindRole, isBlind } from '../locked-out.ts';
import { reinitCommand } from '../operator-commands.ts';
import { possibleSuccessors } from '../race/successors.ts';
import type { Outcome, Section } from './table.ts';

const NO_ANSWER = 'Error communicating with PostgreSQL. Will try again later';

const sinceMs = (c: Context) => (c.m.notRunningSinceMs === null ? 0 : c.o.nowMs - c.m.notRunningSinceMs);
const silentSeconds = (c: Context) => Math.round(sinceMs(c) / 1000);
const silent = (c: Context) => c.o.pg.state === 'starting' || c.o.pg.state === 'unresponsive';

/** A start may take primary_start_timeout; a server that ran and fell silent has less time. */
function patienceMs(c: Context): number {
  const { primaryStartTimeoutSeconds, unresponsiveAfterSeconds } = c.o.settings.dynamic;
  return (c.o.pg.state === 'starting' ? primaryStartTimeoutSeconds : unresponsiveAfterSeconds) * 1000;
}

const othersCanLead = (c: Context) => c.view !== null && possibleSuccessors(c, c.view, { despiteLag: true }).length > 0;

/**
 * PostgreSQL lets nobody in before it has all WAL that was written while the backup was made. It
 * may have been started before anybody led.
 */
function recoveringBackup(c: Context): Outcome {
  const source = divergenceFrom(c.o.pg, c.o.source) === 'diverged' ? null : wantedSource(c);
  return {
    effects: source === null || c.paused ? [] : [{ kind: 'apply-config', role: { kind: 'standby', source } }],
    wakeInMs: 1000,
    watchMembers: true,
    because: `PostgreSQL recovers a base backup. It needs the WAL up to the backup’s end, from ${source?.name ?? 'a leader'} or an archive (restore_command). If nobody has that WAL any more, ${reinitCommand(c)}`,
  };
}

/**
 * Files and signals need no connection, and a line in pg_hba.conf may be what keeps the agent out.
 * A request that cannot be carried out now is dropped: it must not take effect at a later time that
 * nobody expects.
 */
function blind(c: Context): Outcome {
  const role = blindRole(c, { kind: 'standby', source: wantedSource(c) });
  const known = role !== null && (role.kind === 'primary' || c.otherLeader !== null || c.followsRemote);
  const chores: readonly Chore[] =
    known && c.o.configDirty && c.o.job === null ? [{ kind: 'files', effects: [{ kind: 'apply-config', role }] }] : [];
  const request = c.lockMine ? (c.view?.failover ?? null) : null;
  const due = request !== null && (request.scheduledAtMs === null || request.scheduledAtMs <= c.o.wallMs);
  const outcome: Outcome = { chores, wakeInMs: 1000 };
  if (!due || c.o.pg.lockedOut === undefined) return outcome;
  const action = request.leader === null ? 'failover' : 'switchover';
  return {
    ...outcome,
    effects: [{ kind: 'clear-failover', expected: request }],
    because: `${action} is not possible: the agent is locked out of ${c.me}: ${c.o.pg.lockedOut}`,
  };
}

function silentStandby(c: Context): Outcome {
  const outcome: Outcome = { wakeInMs: 500, watchMembers: true };
  return c.o.pg.state === 'starting' ? outcome : { ...outcome, because: `${NO_ANSWER}: PostgreSQL does not answer` };
}

export const starting: Section = {
  title: 'PostgreSQL is starting or silent',
  situation: 'a postmaster runs and does not answer the agent, or is closed for writes',
  when: (c) => !(c.isPrimary || c.isStandby) || c.o.pg.closed === true,
  rules: [
    {
      id: 'starting.blind-candidate',
      situation: 'a standby runs here that refuses the agent, which cannot promote it in the dark, and the leader key names this node',
      when: (c) => isBlind(c) && c.lockMine && c.o.pg.standbySignal && !c.paused && !c.followsRemote,
      // An agent before this one may have ordered a promotion that is still under way, and nothing
      // tells: without the key it must not open for writes.
      ask: () => ({
        effects: [
          { kind: 'demote-now', mode: 'immediate' },
          { kind: 'release-leader', optime: null },
        ],
        watchMembers: true,
      }),
      because: 'stopping PostgreSQL and releasing the leader key: it is a standby that does not let the agent in',
    },
    {
      id: 'starting.refused',
      situation: 'PostgreSQL answers, but refuses the agent (wrong password, no connection left)',
      when: (c) => c.o.pg.state === 'running' && c.o.pg.sql === null,
      ask: blind,
      because: `${NO_ANSWER}: it runs but does not let the agent in: check the superuser’s password, pg_hba.conf and superuser_reserved_connections`,
    },
    {
      id: 'starting.closed',
      situation:
        'an agent that is gone stopped PostgreSQL; its last WAL is written and its archiver keeps it; this node leads, or pg_ctl_timeout is over',
      when: (c) =>
        c.o.pg.closed === true && c.o.job === null && (c.lockMine || sinceMs(c) >= c.o.settings.postgresql.pgCtlTimeoutSeconds * 1000),
      ask: () => ({ effects: [{ kind: 'demote-now', mode: 'immediate' }], wakeInMs: 0 }),
      because: 'ending a PostgreSQL that is closed for writes and waits for its archiver, so that it can be started again',
    },
    {
      id: 'starting.timeout',
      situation: 'this leader’s PostgreSQL has been starting or silent for too long, and another can lead',
      when: (c) => silent(c) && c.lockMine && sinceMs(c) >= patienceMs(c) && othersCanLead(c),
      ask: (c) => ({
        effects: [
          { kind: 'demote-now', mode: 'immediate' },
          { kind: 'release-leader', optime: null },
        ],
        watchMembers: true,
        ...(c.o.pg.state === 'starting'
          ? {}
          : { because: `stopped PostgreSQL because it has not answered for ${silentSeconds(c)} seconds` }),
      }),
      because: 'stopped PostgreSQL because of startup timeout',
    },
    {
      id: 'starting.leader',
      situation: 'this leader’s PostgreSQL is starting or silent',
      when: (c) => silent(c) && c.lockMine,
      ask: (c) => {
        const leftMs = patienceMs(c) - sinceMs(c);
        const isStarting = c.o.pg.state === 'starting';
        const late = isStarting
          ? 'primary start has timed out'
          : 'PostgreSQL has not answered for longer than postgresql_unresponsive_after';
        if (leftMs <= 0) return { wakeInMs: 1000, because: `${late}, but continuing to wait because failover is not possible` };
        const what = isStarting ? 'PostgreSQL is still starting up' : `${NO_ANSWER}: PostgreSQL does not answer`;
        return { wakeInMs: Math.min(leftMs, 1000), because: `${what}, ${Math.ceil(leftMs / 1000)} seconds until timeout` };
      },
      because: 'PostgreSQL is still starting up',
    },
    {
      id: 'starting.standby',
      situation: 'this standby’s PostgreSQL is starting or silent',
      when: silent,
      ask: (c) => (c.o.pg.baseBackup === undefined ? silentStandby(c) : recoveringBackup(c)),
      because: 'PostgreSQL is starting up or does not answer',
    },
  ],
};
