/** What a round's facts change in memory, before any rule looks at it. */

import { recovered } from './admission.ts';
import { choreFailures } from './chores.ts';
import type { MemberRole } from './cluster.ts';
import { type Context, contextOf } from './context.ts';
import { divergenceFrom, rewindIsBlind, streamsInOrder } from './divergence.ts';
import { type Job, type JobKind, type JobOutcome, RESTART, stopsInOrder } from './effects.ts';
import { abstainMs, hasOrderedPromotion, mayStillPromote } from './failed-promotions.ts';
import { rememberLead } from './lead-change.ts';
import { isBlind, lockedOut } from './locked-out.ts';
import type { Failure, Memory, Observation } from './model.ts';
import { isRefused } from './quorum/refusal.ts';
import { resigningSince } from './quorum/resigning.ts';
import { missesLeader } from './quorum/suspicion.ts';
import { walSeen } from './race/backoff.ts';
import { heardReplies } from './replies.ts';
import { REWIND_IN_VAIN } from './rewind-prospects.ts';
import { stateOf } from './server-state.ts';
import { logicalAfter } from './slots/copies.ts';
import { seenSlots, strangeSlots } from './slots/seen.ts';
import { rememberStrangers } from './strangers.ts';
import { endedAt, hasOthersData } from './strays.ts';
import { RELOAD_SETTLE_MS } from './sync.ts';

/**
 * Of a start that this agent itself called off, for a request say: nothing is wrong with the node.
 */
const CALLED_OFF = 'PG_START_ABORTED';
/** Of a server that goes on starting after the time for it. */
const STILL_STARTING = 'PG_START_TIMEOUT';
/** A node whose start failed leaves the race to the others for a while. */
const ABSTAIN_MS = 10_000;

const isStandbyRole = (role: MemberRole): boolean => role === 'replica' || role === 'standby_leader';

export function remember(o: Observation, before: Memory): Memory {
  const c = contextOf(o, before);
  // What was announced since the last round was asked for before these jobs had ended.
  const ended = afterJobs(o, o.announced.length === 0 ? before : { ...before, ...announced(o, before) });
  const replies = heardReplies(o, before.replies);
  const slotSeenAtMs = seenSlots(c, before.slotSeenAtMs);
  // As the parts of this round's memory see it that build on others.
  const partly: Context = { ...c, m: { ...before, replies, slotSeenAtMs } };
  const logical = logicalAfter(partly);
  // Every field by its name: a spread that most of the fields override costs V8 more than all that
  // is decided here.
  return {
    role: roleOf(c),
    state: stateOf(c, ended),
    failures: stillMissing(proven(c, ended.failures), logical),
    abstainUntilMs: ended.abstainUntilMs,
    notRunningSinceMs:
      o.pg.state === 'starting' || o.pg.state === 'unresponsive' ? (before.notRunningSinceMs ?? o.nowMs - (o.pg.waitedMs ?? 0)) : null,
    resigningSinceMs: resigningSince(c),
    checkpointPending: checkpointPending(c, ended),
    promotedAtMs: c.isPrimary ? ended.promotedAtMs : null,
    syncNamesSet: syncNamesSet(c),
    recovered: recovered(c, before),
    replies,
    strangers: rememberStrangers(partly, before.strangers),
    slotSeenAtMs,
    strangeSlots: strangeSlots(partly, before.strangeSlots),
    logical,
    handedOver: ended.handedOver && o.pg.state !== 'running',
    handedOverAtMs: ended.handedOverAtMs,
    chores: choreFailures(o.chores, before.chores),
    lockedOut: lockedOut(c, before),
    announcedRole: ended.announcedRole,
    announcedStop: ended.announcedStop,
    announcedStart: ended.announcedStart,
    restartUnannounced: ended.restartUnannounced,
    unlockedSinceMs: unlockedSince(c, before),
    missesLeaderSinceMs: missesLeader(c) || isRefused(c) || c.fenced ? (before.missesLeaderSinceMs ?? o.nowMs) : null,
    leaderlessSinceMs: c.view === null ? before.leaderlessSinceMs : c.unlocked ? (before.leaderlessSinceMs ?? o.nowMs) : null,
    receiverGoneSinceMs: receiverGone(c, before),
    ...keyOf(c, before),
    openedByHand: openedByHand(c, ended),
    openedUnseen: openedUnseen(c, before),
    strayed: strayed(c, before),
    endedAt: endedAt(c, before.endedAt),
    streamed: before.streamed || streamsInOrder(o.pg),
    walSeen: walSeen(c, before.walSeen),
    lastLeader: c.otherLeader ?? before.lastLeader,
    formerLeader: c.view?.leader?.name ?? before.formerLeader,
    ...rememberLead(c, before),
    steppedDown: c.otherLeader !== null || leadsOn(c) ? null : before.steppedDown,
    refusedRemote: o.refusedRemote ?? null,
  };
}

/**
 * A primary that runs under the key has led already. While etcd cannot be read the key is as it
 * was.
 */
function keyOf(c: Context, before: Memory): Pick<Memory, 'keyTaken' | 'keyInheritedSinceMs'> {
  if (c.view === null) return { keyTaken: before.keyTaken, keyInheritedSinceMs: before.keyInheritedSinceMs };
  const keyTaken = c.lockMine && (before.keyTaken || c.isPrimary);
  return { keyTaken, keyInheritedSinceMs: c.lockMine && !keyTaken ? (before.keyInheritedSinceMs ?? c.o.nowMs) : null };
}

/**
 * It was this agent's standby, and runs as a primary beside the leader, or since that leader is
 * gone, or did while etcd could not say who leads. Whoever led before has been one for longer. An
 * agent that starts later learns it from the mark.
 */
function openedByHand(c: Context, before: Memory): boolean {
  const { pg } = c.o;
  if (pg.dataDir !== 'valid') return before.openedByHand && !hasOthersData(c);
  const known = before.openedByHand || pg.openedByHand === true || (c.otherLeader !== null && before.openedUnseen);
  if (c.isPrimary)
    return !c.lockMine && (known || (isStandbyRole(before.role) && (c.otherLeader !== null || (c.unlocked && !mayHaveLed(c, before)))));
  return known && !hasOthersData(c) && !streamsInOrder(pg);
}

/**
 * Until etcd says who leads. If the key named this node last, an agent before this one may have
 * ordered the promotion; if this agent asked for the key, it did so itself.
 */
function openedUnseen(c: Context, before: Memory): boolean {
  return c.view === null && (before.openedUnseen || (c.isPrimary && isStandbyRole(before.role) && !mayHaveLed(c, before)));
}

/** This agent, or one before it, may have ordered the promotion. */
function mayHaveLed(c: Context, { formerLeader, leadReason }: Memory): boolean {
  return formerLeader === null || formerLeader === c.me || leadReason !== null;
}

function strayed(c: Context, before: Memory): boolean {
  const { pg, source, ended } = c.o;
  const cloned = ended.some(({ ok, job }) => ok && (job.kind === 'reinitialize' || job.kind === 'clone'));
  if (cloned || pg.dataDir !== 'valid' || (c.isPrimary && c.lockMine)) return false;
  if (c.otherLeader !== null && rewindIsBlind(pg, source) && divergenceFrom(pg, source) === 'diverged') return true;
  if (wasOpened(c, before)) return true;
  return (before.strayed || pg.strayed === true) && !streamsInOrder(pg);
}

/**
 * It ran as this agent's standby a round ago, and its control file says that it has been a primary
 * since, which nobody was told to make it.
 */
function wasOpened({ o }: Context, before: Memory): boolean {
  const { pg, job, ended } = o;
  if (!isStandbyRole(before.role) || before.state !== 'running' || job !== null || ended.length > 0) return false;
  if (pg.state !== 'stopped' || pg.control === null || pg.baseBackup !== undefined) return false;
  return pg.control.state === 'shut down' || pg.control.state === 'in production';
}

/**
 * pg_rewind reads the timeline of its source's last checkpoint. The promotion need not have been
 * seen: an agent before this one may have ordered it, or somebody by hand.
 */
function checkpointPending(c: Context, before: Memory): boolean {
  const { sql } = c.o.pg;
  if (!c.isPrimary || sql === null) return false;
  if (sql.checkpointTimeline === undefined || sql.timeline === null) return before.checkpointPending;
  return sql.checkpointTimeline !== sql.timeline;
}

/** It leads, and is not about to hand over. */
function leadsOn(c: Context): boolean {
  return c.isPrimary && c.lockMine && !stopsInOrder(c.o.job?.job);
}

function unlockedSince(c: Context, before: Memory): number | null {
  if (!c.isPrimary || c.paused) return null;
  if (c.view === null) return before.unlockedSinceMs;
  return c.attached ? null : (before.unlockedSinceMs ?? c.o.nowMs);
}

function afterJobs(o: Observation, before: Memory): Memory {
  let memory = before;
  for (const outcome of o.ended) {
    const { kind } = outcome.job;
    const failures: Partial<Record<JobKind, Failure>> = { ...memory.failures };
    const failure = failureBy(outcome, failures[kind]);
    if (failure === null) delete failures[kind];
    else failures[kind] = failure;
    memory = { ...memory, failures };
    if (kind === 'promote') {
      memory = outcome.ok
        ? { ...memory, promotedAtMs: outcome.endedAtMs, checkpointPending: true }
        : { ...memory, abstainUntilMs: outcome.endedAtMs + abstainMs(o.settings.dynamic) };
    }
    if (kind === 'start' && !outcome.ok && outcome.code !== CALLED_OFF)
      memory = { ...memory, abstainUntilMs: outcome.endedAtMs + ABSTAIN_MS };
    if (outcome.job.kind === 'handover' && outcome.ok)
      memory = { ...memory, handedOver: outcome.job.action !== 'shutdown', handedOverAtMs: outcome.endedAtMs };
    if (kind === 'checkpoint' && outcome.ok) memory = { ...memory, checkpointPending: false };
    if (isRestart(outcome.job) && (outcome.ok || outcome.code === STILL_STARTING)) memory = { ...memory, restartUnannounced: true };
    if (kind === 'bootstrap' && outcome.ok) memory = { ...memory, promotedAtMs: outcome.endedAtMs };
    // What failed was about other data.
    if (outcome.ok && (kind === 'clone' || kind === 'reinitialize' || kind === 'bootstrap-standby'))
      memory = { ...memory, failures: {}, abstainUntilMs: null };
  }
  return memory;
}

/**
 * A callback counts once it was started, whoever asked for it. A later one replaces what an earlier
 * one was to tell.
 */
function announced(
  o: Observation,
  before: Memory,
): Pick<Memory, 'announcedRole' | 'announcedStop' | 'announcedStart' | 'restartUnannounced'> {
  return {
    announcedRole: o.announced.findLast(({ action }) => action !== 'on_stop')?.role ?? before.announcedRole,
    announcedStop: o.announced.at(-1)?.action === 'on_stop',
    announcedStart: o.announced.findLast(({ startedAt }) => startedAt != null)?.startedAt ?? before.announcedStart,
    restartUnannounced: false,
  };
}

/** An operator asked for it. A server that is down is started by it. */
const isRestart = (job: Job): boolean => job.kind === 'restart' || (job.kind === 'start' && job.why === RESTART);

/** Null: the job succeeded. */
function failureBy({ job, ok, code, message, endedAtMs, configVersion }: JobOutcome, before: Failure | undefined): Failure | null {
  const judgedBy = configVersion === undefined ? {} : { configVersion };
  if (job.kind === 'rewind' || job.kind === 'compare') {
    const count = before?.source === job.source.name ? before.count + 1 : 1;
    const entry = { count, lastAtMs: endedAtMs, source: job.source.name, ...judgedBy };
    if (ok && job.kind === 'compare') return null;
    // pg_rewind goes by what it takes for the histories; whether it was right shows when WAL comes.
    if (ok) return { ...entry, code: REWIND_IN_VAIN, message: 'it ended well, and this node could not stream after it' };
    return { ...entry, code, message: message ?? code ?? 'unknown cause' };
  }
  // As with a rewind.
  if (ok && job.kind !== 'retarget') return null;
  return { count: (before?.count ?? 0) + 1, lastAtMs: endedAtMs, code, message: message ?? code ?? 'unknown cause', ...judgedBy };
}

/** A node that streams, or leads, has been mended. One that runs has been restarted. */
function proven(c: Context, failures: Memory['failures']): Memory['failures'] {
  const streams = c.o.pg.sql?.receiver?.status === 'streaming';
  const left: Partial<Record<JobKind, Failure>> = { ...failures };
  if (streams || c.isPrimary) {
    delete left.rewind;
    delete left.compare;
    delete left.retarget;
  }
  if ((c.isPrimary || c.isStandby) && c.o.job === null) delete left.restart;
  return Object.keys(left).length === Object.keys(failures).length ? failures : left;
}

/** Slots that are no longer missing need no copy. */
function stillMissing(failures: Memory['failures'], { missingSinceMs }: Memory['logical']): Memory['failures'] {
  if (failures['copy-slots'] === undefined || missingSinceMs !== null) return failures;
  const { 'copy-slots': _copied, ...others } = failures;
  return others;
}

/** A server that did not answer in time says nothing of it. */
function receiverGone(c: Context, before: Memory): number | null {
  const { sql, state } = c.o.pg;
  if (state === 'unresponsive' || (state === 'running' && sql === null)) return before.receiverGoneSinceMs;
  return c.isStandby && sql?.receiver === null ? (before.receiverGoneSinceMs ?? c.o.nowMs) : null;
}

function roleOf(c: Context): MemberRole {
  const { job, pg } = c.o;
  if (pg.dataDir === 'missing' || (pg.dataDir === 'incomplete' && pg.incompleteWork !== 'rewind')) return 'uninitialized';
  if (c.unadopted) return 'uninitialized';
  if (pg.unexplained !== undefined) return c.m.role === 'uninitialized' || isStandbyRole(c.m.role) ? 'replica' : 'demoted';
  if (c.isPrimary) return 'primary';
  // What this agent ordered is nobody's work by hand, though it was not seen as a primary yet.
  const ordered = hasOrderedPromotion(c.o) || mayStillPromote(c);
  if (c.isStandby && leadsStandbyCluster(c)) return 'standby_leader';
  if (c.isStandby) return job?.job.kind === 'promote' || ordered ? 'promoted' : 'replica';
  if (job === null && isBlind(c)) return pg.standbySignal ? 'replica' : c.lockMine ? 'primary' : c.m.role;
  const wasPrimary = c.m.role === 'primary' || c.m.role === 'promoted' || ordered;
  // A late answer while etcd cannot be read either: nothing says that the lead is over.
  const undecided = c.view === null && c.mayLeadNow && c.mayBeWritable;
  if (wasPrimary) return c.lockMine || undecided ? (ordered ? 'promoted' : c.m.role) : 'demoted';
  if (c.m.role === 'uninitialized') return 'replica';
  return c.m.role === 'standby_leader' && !leadsStandbyCluster(c) ? 'replica' : c.m.role;
}

/** While etcd cannot be read, it is as it was. */
function leadsStandbyCluster(c: Context): boolean {
  return c.followsRemote && (c.lockMine || (c.view === null && c.m.role === 'standby_leader'));
}

/**
 * Positions count as acknowledged under a setting only once commits are known to wait as it says,
 * and every process of the server had time to take it over.
 */
function syncNamesSet(c: Context): Memory['syncNamesSet'] {
  if (!c.isPrimary || c.o.pg.sql === null) return null;
  const { synchronousStandbyNames: value, obeysSyncNames } = c.o.pg.sql;
  const before = c.m.syncNamesSet;
  const isNew = before === null || before.value !== value;
  if (!obeysSyncNames) return { value, atMs: isNew ? c.o.nowMs : before.atMs, atLsn: null, unobeyed: true };
  if (isNew || before.unobeyed) return { value, atMs: c.o.nowMs, atLsn: null };
  if (before.atLsn === null && c.o.nowMs - before.atMs >= RELOAD_SETTLE_MS) return { ...before, atLsn: c.o.pg.sql.flushLsn };
  return before;
}
