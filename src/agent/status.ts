/**
 * The agent as it shows itself, at this very moment: what the last round found, cut short by the
 * end of the lease.
 */

import { clientsWait } from '../core/admission.ts';
import { type Authority, isGuardHealthy, leads, mayWriteUntilMs } from '../core/authority.ts';
import { type ChoreKind, choreName } from '../core/chores.ts';
import { LEAVING } from '../core/cluster.ts';
import { awaitsRemote, type Context, contextOf, whyRemoteUnknown } from '../core/context.ts';
import { localPosition } from '../core/divergence.ts';
import { type JobKind, jobLabel } from '../core/effects.ts';
import type { Memory } from '../core/model.ts';
import { describeUnexplained, type PostgresFacts } from '../core/postgres-facts.ts';
import { REWIND_IN_VAIN } from '../core/rewind-prospects.ts';
import { observeTimeoutMs } from '../core/settings.ts';
import { awaitsCopy } from '../core/slots/copies.ts';
import { missingLogical } from '../core/slots/logical.ts';
import { describeStrangers } from '../core/strangers.ts';
import { correctIt, describeRefused } from '../core/wrong-remote.ts';
import type { AgentStatus, GuardStatus } from '../ports/agent-status.ts';
import type { Clock } from '../ports/clock.ts';
import type { Guard, Watchdog } from '../ports/guard.ts';
import type { Log } from '../ports/log.ts';
import type { Postgres } from '../ports/postgres.ts';
import type { SettingsSource } from '../ports/settings.ts';
import { DIALECT_VERSION, REGENT_VERSION } from '../version.ts';
import type { AgentView } from './agent-view.ts';
import { freshView } from './check-facts.ts';
import { failsafeStatus } from './failsafe-status.ts';
import { leadership, NO_LEADERSHIP } from './leadership.ts';
import { maskedWord, ownWord } from './own-word.ts';
import { quorumStatus } from './quorum-status.ts';

export interface StatusPorts {
  readonly clock: Pick<Clock, 'bootMs'>;
  readonly settings: Pick<SettingsSource, 'current'>;
  readonly guard: Pick<Guard, 'tethered'>;
  readonly watchdog: Pick<Watchdog, 'healthy'>;
  readonly log: Pick<Log, 'masked'>;
}

/** With PostgreSQL asked now, because others judge this member by its position. */
export async function statusNow(ports: StatusPorts & { readonly pg: Pick<Postgres, 'observe'> }, agent: AgentView): Promise<AgentStatus> {
  const { pg, settings } = ports;
  return statusOf(ports, agent, await pg.observe({ timeoutMs: observeTimeoutMs(settings.current().dynamic) }));
}

export function statusOf(
  ports: StatusPorts,
  agent: AgentView,
  pg: PostgresFacts | null = agent.rounds.last?.observation.pg ?? null,
): AgentStatus {
  const { clock, settings, watchdog, log } = ports;
  const { memory, last, lastRead } = agent.rounds;
  const { local, dynamic } = settings.current();
  const authority = agent.authority.now;
  const nowMs = clock.bootMs();
  const c =
    last === null || pg === null ? null : contextOf({ ...last.observation, pg, nowMs, authority, links: agent.beats.facts() }, memory);
  const sql = pg?.state === 'running' ? pg.sql : null;
  const { serves, held } = c === null ? NO_LEADERSHIP : leadership(c, memory);
  const isLeader = serves && !agent.job.isStopping && !agent.beats.isIsolated() && (held || leads(authority, nowMs));
  const status: AgentStatus = {
    name: local.name,
    scope: local.scope,
    version: DIALECT_VERSION,
    build: REGENT_VERSION,
    state: memory.state,
    role: memory.role,
    sql,
    systemIdentifier: pg?.systemIdentifier ?? null,
    ...(pg?.state === 'stopped' ? { onDisk: endOnDisk(pg, memory) } : {}),
    ...ownWord(pg, c, memory),
    watchdogFailed: local.watchdog.mode === 'required' && !watchdog.healthy(),
    isLeader,
    paused: dynamic.pause,
    clusterUnlocked: c === null || freshView(ports, agent) === null || c.unlocked,
    dcsLastSeen: lastRead === null ? 0 : Math.floor(lastRead.wallMs / 1000),
    tags: agent.job.isLeaving ? { ...local.tags, ...LEAVING } : local.tags,
    pendingRestart: sql !== null && Object.keys(sql.pendingRestart).length > 0,
    pendingRestartReason: sql?.pendingRestart ?? {},
    scheduledRestart: agent.requests.scheduledRestart,
    configRevision: agent.settingsVersion.revisionInForce,
    reinitialization: agent.requests.reinitialization,
    jobLabel: agent.job.running === null ? null : jobLabel(agent.job.running.job),
    lastRoundAtMs: last?.endedAtMs ?? 0,
    nextRoundAtMs: last?.nextAtMs ?? 0,
    nowMs,
    rule: last?.decision.rule ?? 'none',
    because: last?.decision.because ?? 'the first round has not ended yet',
    rounds: agent.rounds.count,
    counts: agent.tally.counts,
    guard: guardStatus(authority, nowMs, ports.guard.tethered),
    ...(c === null ? {} : { quorum: quorumStatus(c, authority, nowMs) }),
    ...(c === null ? {} : { failsafeMode: failsafeStatus(c, authority, agent.failsafe.map) }),
    leaseRemainingMs: isLeader ? leftMs(authority, nowMs) : null,
    checkpointAfterPromote: !memory.checkpointPending,
    strangers: describeStrangers(memory.strangers),
    lockedOut: memory.lockedOut && { reason: memory.lockedOut.reason, since: Math.floor(memory.lockedOut.sinceWallMs / 1000) },
    unresponsive: pg?.state === 'unresponsive' && pg.unexplained === undefined,
    unexplained: pg?.unexplained === undefined ? null : describeUnexplained(pg.unexplained),
    failing: failing(memory),
    awaitsSlotCopy: c !== null && awaitsCopy(c),
    clientsWait: c === null ? null : clientsWait(c),
    missingLogicalSlots: c === null ? null : missingLogical(c),
    refusedStandbyCluster: last?.observation.refusedRemote ? describeRefused(last.observation.refusedRemote, last.observation) : null,
    sourceTrouble: c === null ? null : sourceTrouble(c),
  };
  return log.masked === undefined ? status : withoutSecrets(status, log.masked);
}

function sourceTrouble(c: Context): string | null {
  if (c.followsRemote && c.lockMine) {
    if (c.wrongRemote !== null) return `following nobody: ${c.wrongRemote}; ${correctIt(c.o)}`;
    if (awaitsRemote(c)) return `following nobody: this node wrote WAL of its own, and ${whyRemoteUnknown(c)}`;
  }
  return c.otherLeader !== null || c.followsRemote ? (c.o.pg.sourceTrouble ?? null) : null;
}

/**
 * Everybody may read what an agent shows of itself, and these are words of programs, PostgreSQL
 * among them.
 */
function withoutSecrets(status: AgentStatus, masked: (text: string) => string): AgentStatus {
  const maybe = (text: string | null | undefined) => (typeof text === 'string' ? masked(text) : null);
  const { lockedOut, reinitialization, failing: failed } = status;
  return {
    ...status,
    because: masked(status.because),
    ...maskedWord(status, masked),
    sourceTrouble: maybe(status.sourceTrouble),
    failing: Object.fromEntries(Object.entries(failed ?? {}).map(([name, why]) => [name, masked(why)])),
    ...(lockedOut ? { lockedOut: { ...lockedOut, reason: masked(lockedOut.reason) } } : {}),
    ...(reinitialization ? { reinitialization: { ...reinitialization, reason: maybe(reinitialization.reason) } } : {}),
  };
}

const JOBS_THAT_FAIL: Readonly<Partial<Record<JobKind, string>>> = {
  start: 'start of PostgreSQL',
  rewind: 'pg_rewind',
  clone: 'clone',
  reinitialize: 'clone',
  bootstrap: 'bootstrap',
  'copy-slots': 'copy of logical slots',
  retarget: 'restart to follow the timeline of the leader',
  'bootstrap-standby': 'bootstrap',
  'demote-cluster': 'demotion to a standby cluster',
};

/** Chores and jobs that are tried again and again, and why they fail. */
function failing({ chores, failures }: Memory): NonNullable<AgentStatus['failing']> {
  const jobs = Object.entries(JOBS_THAT_FAIL).flatMap(([kind, name]) => {
    const failure = failures[kind as JobKind];
    // That a rewind was of no use shows only when it is to be done again.
    const told = failure !== undefined && (failure.code !== REWIND_IN_VAIN || failure.count > 1);
    return told ? [[name, failure.message] as const] : [];
  });
  const others = Object.entries(chores).map(([kind, { message }]) => [choreName(kind as ChoreKind), message] as const);
  return Object.fromEntries([...jobs, ...others]);
}

function endOnDisk(pg: PostgresFacts, memory: Memory): NonNullable<AgentStatus['onDisk']> | null {
  const end = pg.dataDir === 'valid' && !memory.openedByHand && !memory.strayed ? localPosition(pg) : null;
  return end === null ? null : { timeline: end.timeline, lsn: end.lsn };
}

/** Of the time in which this node may lead; null: nothing says how long that is (in a pause). */
function leftMs(authority: Authority, nowMs: number): number | null {
  const untilMs = mayWriteUntilMs(authority);
  return Number.isFinite(untilMs) ? Math.max(0, untilMs - nowMs) : null;
}

function guardStatus(authority: Authority, nowMs: number, tethered: boolean | null): GuardStatus {
  const { state, deadlineMs } = authority.guard;
  const strikesInMs = deadlineMs === null ? null : Math.max(0, deadlineMs - nowMs);
  return { healthy: isGuardHealthy(authority, nowMs), state, strikesInMs, tethered };
}
