/**
 * Each round puts these in order, beside the decision about leadership: the synchronous set,
 * callbacks, keys the leader keeps, configuration, slots. Each is independent of the others; none
 * may make PostgreSQL writable. What keeps a promise, or tells others where the lead is, comes
 * first.
 */
import type { JsonObject, JsonValue } from '../support/json.ts';
import { untold } from './callbacks.ts';
import { type Chore, type ChoreKind, choreHoldOffMs } from './chores.ts';
import type { StatusKey } from './cluster.ts';
import { type Context, hasLeader, isOnSlot, isStandbyLeader, pointsAt, primaryRole, readySource, wantedSource } from './context.ts';
import { streamsInOrder } from './divergence.ts';
import type { Effect, ServerRole } from './effects.ts';
import { failsafeKey } from './failsafe.ts';
import { carriedForgotten } from './forgotten.ts';
import { disprovedHistory, historyKey } from './history-key.ts';
import { resumeForLimits } from './let-go.ts';
import { walPosition } from './postgres-facts.ts';
import { fenceFor } from './quorum/fence-mark.ts';
import { stuckStreams } from './quorum/stuck-streams.ts';
import { missesLeader } from './quorum/suspicion.ts';
import { endpointsOf, remoteSource } from './remote.ts';
import { differByRole, roleNameOf } from './role-settings.ts';
import { slotNameOf } from './slot-names.ts';
import { logicalWork } from './slots/logical.ts';
import { slotPlan } from './slots/plan.ts';
import { expel } from './strangers.ts';
import { awaitsComparison } from './strays.ts';
import { awaitsReply, syncStep, termOf } from './sync.ts';
import type { Lsn } from './units.ts';

export interface Work {
  /** Whatever is not as it should be; null: it was not looked at. */
  readonly wanted: readonly Chore[] | null;
  readonly wakeInMs: number | null;
  readonly watchMembers: boolean;
}

/** How soon a restored node that streams looks again whether it has all that the leader had. */
const CATCHES_UP_MS = 500;

const none: Work = { wanted: null, wakeInMs: null, watchMembers: false };

export function chores(c: Context): Work {
  if (c.view === null || c.o.requests.shutdown) return none;
  if (c.o.job !== null || (!c.isPrimary && !c.isStandby)) return none;
  const wanted: Chore[] = [];
  const add = (kind: ChoreKind, ...effects: readonly (Effect | null)[]) => {
    const some = effects.filter((effect) => effect !== null);
    if (some.length > 0) wanted.push({ kind, effects: some });
  };
  // A leader that resigns leaves everything to its successor; above all, it must not let the voters
  // off their promises.
  const leads = c.isPrimary && c.lockMine && c.mayLeadNow && c.m.resigningSinceMs === null;
  // The leader of a standby cluster keeps the keys, and has nothing to confirm.
  const heads = isStandbyLeader(c) && c.mayLeadNow;
  const step = leads ? syncStep(c) : null;
  if (step !== null) add('sync', ...step.effects);
  if (heads && c.view.sync !== null && hasOtherHistory(c)) add('sync', { kind: 'delete-sync', expected: c.view.sync, term: termOf(c) });
  // What it promised is over: the files may name a source again.
  add('fence', fenceMark(c));
  if (c.isStandby) add('follow', follow(c));
  if (c.isStandby) add('replay', resumeForLimits(c));
  if (c.isStandby || leads) add('stuck', ...stuckStreams(c));
  if (leads) add('strangers', ...expel(c));
  wanted.push(...untold(c));
  if (leads || heads) {
    add('initialize', initializeKey(c));
    add('config', configKey(c));
    // This order matters: a position in /status is on a timeline that /history knows. A member on a
    // later timeline then need not compare itself with it.
    add('status', leads ? historyKey(c) : disprovedHistory(c, hasOtherHistory(c)), statusKey(c));
    add('failsafe', failsafeKey(c));
  }
  // The files wait, and what was in their way still is.
  if (filesAreStale(c) && filesWait(c, leads)) wanted.push({ kind: 'files', effects: [] });
  else add('files', configure(c, step?.effects ?? []));
  const catchesUp = c.o.pg.restored === true && !hasCaughtUp(c);
  if (c.o.pg.restored === true && !catchesUp) add('caught-up', { kind: 'mark-caught-up' });
  add('slots', slotPlan(c));
  add('logical-slots', logicalWork(c));
  if (leads && c.m.checkpointPending) add('checkpoint', { kind: 'checkpoint' });
  let wakeInMs: number | null = null;
  if (step !== null) {
    if (choreHoldOffMs(c.m.chores, 'sync', c.o) > 0 && step.effects.length > 0) wakeInMs = null;
    else if (step.waiting || step.effects.length > 0) wakeInMs = 100;
    else if (awaitsReply(c)) wakeInMs = 1000;
  }
  // The leader counts on a standby as soon as it streams. This one has no vote before it says that
  // it has caught up: meanwhile nobody could succeed that leader.
  if (catchesUp && c.o.pg.sql?.receiver?.status === 'streaming') wakeInMs = CATCHES_UP_MS;
  // A commit waits for a standby that has gone, or wants to go, until this leader lets it off. So
  // the standby's own word must not wait for the next round.
  return { wanted, wakeInMs, watchMembers: leads && c.o.settings.dynamic.synchronousMode !== 'off' };
}

/**
 * What this node has now comes from outside. Until then /sync counts: the setting may be a mistake
 * that is taken back.
 */
function hasOtherHistory({ o }: Context): boolean {
  const remote = remoteSource(o.settings.dynamic);
  if (remote === null) return true;
  const receiver = o.pg.sql?.receiver ?? null;
  // One that has just taken the key may still stream from the member that led before.
  return (
    streamsInOrder(o.pg) && endpointsOf(remote).some(({ host, port }) => host === receiver?.senderHost && port === receiver.senderPort)
  );
}

/**
 * It leads; or it has, on the leader's word of this connection and on that in etcd, all that the
 * leader had.
 */
function hasCaughtUp(c: Context): boolean {
  if (c.isPrimary) return c.lockMine;
  const receiver = c.o.pg.sql?.receiver ?? null;
  const from = isStandbyLeader(c) ? wantedSource(c) : readySource(c);
  const own = c.o.pg.sql?.receiveLsn ?? null;
  if (from === null || own === null || receiver?.status !== 'streaming' || receiver.latestEndLsn === null) return false;
  return pointsAt(c, from) && own >= receiver.latestEndLsn && own >= (c.view?.status?.optime ?? own);
}

/**
 * Those that need not wait after a failure, and in how many milliseconds the first of the others
 * may be tried again.
 */
export function due(c: Context, wanted: readonly Chore[]): { readonly now: readonly Chore[]; readonly wakeInMs: number | null } {
  const waits = wanted.map(({ kind, effects }) => (effects.length === 0 ? 0 : choreHoldOffMs(c.m.chores, kind, c.o)));
  const later = waits.filter((ms) => ms > 0);
  return {
    now: wanted.filter(({ effects }, i) => waits[i] === 0 && effects.length > 0),
    wakeInMs: later.length === 0 ? null : Math.min(...later),
  };
}

function initializeKey({ view, o }: Context): Effect | null {
  const { systemIdentifier } = o.pg;
  if (view === null || systemIdentifier === null || /^\d{10,}$/.test(view.initialize ?? '')) return null;
  return { kind: 'write-initialize', systemIdentifier, onlyIfAbsent: view.initialize === null };
}

function configKey({ view, o }: Context): Effect | null {
  return view !== null && view.config === null ? { kind: 'write-config', data: o.settings.dynamic.raw, expected: null } : null;
}

function statusKey(c: Context): Effect | null {
  const value = statusValue(c);
  return sameStatus(c.view?.status ?? null, value) ? null : { kind: 'write-status', value };
}

/**
 * The `status` key: how far the leader is, how far every slot, and whose slots outlive a change of
 * leader.
 */
export function statusValue(c: Context): JsonObject {
  const { sql } = c.o.pg;
  const optime = sql === null ? null : walPosition(sql);
  const slots: Record<string, JsonValue> = {};
  for (const slot of [...(sql?.slots ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const position = slot.type === 'logical' ? slot.confirmedFlushLsn : slot.restartLsn;
    const known = c.view?.status?.slots[slot.name];
    // A slot that was made here while its member was away begins where this node was then. The
    // member needs WAL from where it was last seen on, and nodes that still have that WAL must keep
    // it.
    const asKnown = slot.type === 'physical' && !slot.active && known !== undefined && position !== null && known < position;
    if (position !== null) slots[slot.name] = asKnown ? known : position;
  }
  // The slot must still be made here, by a leader that was cloned while its member was away. Until
  // then no other node would still know the member's position.
  for (const name of c.o.settings.dynamic.useSlots ? Object.keys(c.m.slotSeenAtMs) : []) {
    const known = c.view?.status?.slots[name];
    if (known !== undefined && slots[name] === undefined) slots[name] = known;
  }
  if (optime !== null) slots[slotNameOf(c.me)] = optime;
  const value: JsonObject = {};
  if (optime !== null) value['optime'] = optime;
  if (Object.keys(slots).length > 0) value['slots'] = slots;
  const permanent = c.o.settings.dynamic.slots;
  const retained = Object.keys(c.m.slotSeenAtMs)
    .filter((name) => permanent[name] === undefined)
    .sort();
  if (c.o.settings.dynamic.memberSlotsTtlSeconds > 0 && retained.length > 0) value['retain_slots'] = retained;
  const writesOn = writesOnOf(c);
  if (writesOn !== undefined) {
    const { leader, timeline, timelineFingerprint } = writesOn;
    value['writes_on'] = { leader, timeline, beginning: timelineFingerprint };
  }
  const forgotten = c.view === null ? {} : carriedForgotten(c.view, c.o.settings.dynamic.memberSlotsTtlSeconds, c.o.wallMs);
  if (Object.keys(forgotten).length > 0) value['forgotten'] = { ...forgotten };
  return value;
}

/** If the WAL cannot be read now, or no longer exists, the published value stays. */
function writesOnOf({ me, view, o }: Context): StatusKey['writesOn'] {
  const { timelineFingerprint, sql } = o.pg;
  const timeline = sql?.timeline ?? null;
  if (timeline === null) return undefined;
  if (timelineFingerprint !== undefined) return { leader: me, timeline, timelineFingerprint };
  const told = view?.status?.writesOn;
  return told?.leader === me && told.timeline === timeline ? told : undefined;
}

function sameStatus(now: StatusKey | null, value: JsonObject): boolean {
  if (now === null) return false;
  const before = now.slots;
  const slots = Object.entries((value['slots'] ?? {}) as Record<string, Lsn>);
  const retained = (value['retain_slots'] ?? []) as string[];
  if (now.optime !== (value['optime'] ?? null) || slots.length !== Object.keys(before).length) return false;
  const writesOn = value['writes_on'] as JsonObject | undefined;
  const { leader, timelineFingerprint } = now.writesOn ?? {};
  if (writesOn && (leader !== writesOn['leader'] || timelineFingerprint !== writesOn['beginning'])) return false;
  const forgotten = Object.keys((value['forgotten'] ?? {}) as JsonObject);
  if (
    forgotten.sort().join() !==
    Object.keys(now.forgotten ?? {})
      .sort()
      .join()
  )
    return false;
  return slots.every(([name, lsn]) => before[name] === lsn) && retained.join() === now.retainSlots.join();
}

/**
 * A promise that is over is let go of. One that cannot be read is given anew: so the leader hears
 * of it, and lets go of it in the usual way.
 */
function fenceMark(c: Context): Effect | null {
  const { fence } = c.o.pg;
  if (fence === undefined || c.view === null) return null;
  if (!c.fenced) return { kind: 'mark-fence', mark: null };
  return fence === 'unreadable' ? { kind: 'mark-fence', mark: fenceFor(c.view) } : null;
}

/** Nobody knows yet whom a standby must follow: one that misses its leader may soon leave it. */
const isSourceOpen = (c: Context): boolean => !hasLeader(c) || missesLeader(c) || awaitsComparison(c);

/** A standby that should stream from elsewhere, or from nobody while somebody leads. */
function follow(c: Context): Effect | null {
  if (isSourceOpen(c)) return null;
  const role = standbyRole(c);
  const asItIs = pointsAt(c, role.source) && isOnSlot(c, role.source) && (role.patient === true) === (c.o.pg.retriesPatiently === true);
  return asItIs ? null : { kind: 'apply-config', role, only: 'role' };
}

/** A standby that is about to follow another source tries at once. */
function standbyRole(c: Context): ServerRole & { kind: 'standby' } {
  const source = wantedSource(c);
  const patient = source !== null && c.o.pg.retriesInVain === true && pointsAt(c, source);
  return { kind: 'standby', source, ...(patient && { patient }), ...(isStandbyLeader(c) && { leads: true as const }) };
}

/**
 * While nobody leads, the source that a standby's files must name is not known. And as long as
 * /sync lists standbys, commits wait for them, also when synchronous mode was switched off: it may
 * be on again before this leader hears of it.
 */
function filesWait(c: Context, leads: boolean): boolean {
  if (c.isStandby) return isSourceOpen(c);
  return leads && c.o.settings.dynamic.synchronousMode === 'off' && c.view?.sync != null;
}

/** The settings changed; or the role did, and the settings are not the same for both. */
function filesAreStale(c: Context): boolean {
  const { configDirty, settings, pg } = c.o;
  if (configDirty || pg.filesFor === undefined) return configDirty;
  return differByRole(settings, pg.filesFor, roleNameOf(c.isStandby ? standbyRole(c) : { kind: 'primary' }));
}

/**
 * Files for the role this server has now, when it or the settings changed. `before`: what this
 * round does to the synchronous set. Where that is new names, the files keep what it leaves in
 * them: they must neither undo them, nor put them in force when it could not.
 */
function configure(c: Context, before: readonly Effect[]): Effect | null {
  if (!filesAreStale(c)) return null;
  if (c.isStandby) return { kind: 'apply-config', role: standbyRole(c) };
  const setsNames = before.some((effect) => effect.kind === 'set-sync-names');
  return { kind: 'apply-config', role: setsNames ? { kind: 'primary' } : primaryRole(c) };
}
