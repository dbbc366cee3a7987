/**
 * When a standby copies logical slots from the leader. PostgreSQL has to be restarted for it, so it
 * is done by one member at a time, while nothing else is about, and not again soon for the same
 * slot.
 */
import { isMemberRecord, LEAVING, type Member, mayLead, type PostgresState } from '../cluster.ts';
import { type Context, readyLeader, wantedSource } from '../context.ts';
import { streamsInOrder } from '../divergence.ts';
import type { Job, Source } from '../effects.ts';
import { sourceOf } from '../member-source.ts';
import { nothing, type Outcome } from '../rules/table.ts';
import { keepsLogical, logicalSlots, rememberLogical } from './logical.ts';
import { type LogicalMemory, noLogicalMemory } from './logical-work.ts';

/** In a member's key: it waits for its turn to copy logical slots. */
export const AWAITS_SLOT_COPY = 'awaits_slot_copy';
/** Nothing is wrong: another member, or the leader, comes first. */
export const COPY_POSTPONED = 'SLOT_COPY_POSTPONED';

/** By then the members before have told in their keys that they wait for their copies too. */
const TELL_MS = 1000;
/** For a member before that waits and does not get on, and for one that does not tell. */
const TURN_MS = 4000;
/** What keeps a slot from being copied (a right, lost WAL) may last, and each try is logged. */
const betweenTriesMs = (count: number) => Math.min(5 * 60_000, 2000 * 2 ** (count - 1));
/** The same slot may break again at once: its WAL may be gone here for good. */
const AGAIN_MS = 5 * 60_000;
const MOST_AGAIN_MS = 60 * 60_000;

/** Slots that the leader has and this standby has not, or has in vain. */
function missingSlots(c: Context): readonly string[] {
  if (!c.isStandby || c.otherLeader === null) return [];
  return logicalSlots(c)
    .filter(({ wanted, slot }) => wanted.target !== null && (slot === undefined || c.m.logical.broken.includes(wanted.name)))
    .map(({ wanted }) => wanted.name);
}

/** What the facts of a round change. */
export function logicalAfter(c: Context): LogicalMemory {
  const before = c.m.logical;
  if (before === noLogicalMemory && !keepsLogical(c.o.settings)) return before;
  const after = rememberLogical(c, before);
  const missing = missingSlots({ ...c, m: { ...c.m, logical: after } }).length > 0;
  const missingSinceMs = missing ? (after.missingSinceMs ?? c.o.nowMs) : null;
  return missingSinceMs === after.missingSinceMs ? after : { ...after, missingSinceMs };
}

interface Copyable {
  readonly source: Source;
  readonly slots: readonly string[];
}

/** What this member copies once it is its turn; null: nothing, or not now. */
function copyable(c: Context): Copyable | null {
  const slots = missingSlots(c).filter((name) => mayCopy(c, name));
  const leader = readyLeader(c);
  const source = leader === null ? null : sourceOf(leader);
  return slots.length === 0 || source === null || leader === null || !isQuiet(c, leader) ? null : { source, slots };
}

/** Null: nothing is to be copied, or not now. */
export function copyJob(c: Context): Extract<Job, { kind: 'copy-slots' }> | null {
  const copies = copyable(c);
  return copies === null || !isOurTurn(c) ? null : { kind: 'copy-slots', ...copies, role: { kind: 'standby', source: wantedSource(c) } };
}

/** Told to the others. One whose try failed does not keep them waiting. */
export const awaitsCopy = (c: Context): boolean => c.m.failures['copy-slots'] === undefined && copyable(c) !== null;

/** The leader has not told yet that it has made a slot that this standby is to copy. */
const awaitsSlot = (c: Context): boolean =>
  c.otherLeader !== null && logicalSlots(c).some(({ wanted, slot }) => slot === undefined && wanted.target === null);

/** What a standby that lacks a slot looks out for, so that it does not wait for the next round. */
export function lookOut(c: Context): Pick<Outcome, 'wakeInMs' | 'watchMembers' | 'watchStatus'> {
  if (awaitsSlot(c)) return { watchStatus: true };
  if (copyable(c) === null) return nothing;
  const waitMs = turnInMs(c);
  // Another member that is done may be all that this one waits for.
  return { ...(waitMs > 0 && { wakeInMs: waitMs }), watchMembers: awaitsCopy(c) };
}

function mayCopy({ m, o }: Context, name: string): boolean {
  const last = m.logical.copies[name];
  return last === undefined || o.nowMs - last.atMs >= Math.min(MOST_AGAIN_MS, AGAIN_MS * 2 ** (last.count - 1));
}

/** Nobody is about to change the leader, and it has settled. */
function isQuiet(c: Context, leader: Member): boolean {
  const request = c.view?.failover ?? null;
  const isDue = request !== null && (request.scheduledAtMs === null || request.scheduledAtMs - c.o.wallMs < AGAIN_MS);
  return !c.paused && !isDue && leader.state === 'running' && leader.checkpointAfterPromote && streamsInOrder(c.o.pg);
}

const RESTLESS: ReadonlySet<PostgresState> = new Set([
  'restarting',
  'starting',
  'stopping',
  'creating replica',
  'initializing new cluster',
]);

/**
 * It is about to stop, does so, or comes back. Somebody may have given a member those tags for
 * good, but only one at work tells no position.
 */
export const isRestless = ({ state, tags, lsn }: Member): boolean =>
  RESTLESS.has(state) || (tags.nosync === LEAVING.nosync && tags.sync_priority === LEAVING.sync_priority && lsn === null);

/**
 * Members see at the same moment that a slot is missing. They copy in the order of their names:
 * each waits until those before it have their copies. After a failure each waits longer than the
 * one before it, so that two that met do not meet again.
 */
function isOurTurn(c: Context): boolean {
  const others = (c.view?.members ?? []).filter(({ name }) => name !== c.me);
  return turnInMs(c) === 0 && !others.some(isRestless);
}

/**
 * It waits, or is not back from its own restart: the synchronous set might then lose its last
 * standby when this one leaves it.
 */
const isBusy = ({ raw, state, replicationState }: Member): boolean =>
  raw[AWAITS_SLOT_COPY] === true || (state === 'running' && replicationState !== 'streaming');

/** How long it is not this member's turn yet, if the others stay as they are. */
function turnInMs(c: Context): number {
  const { view, m, o } = c;
  const before = (view?.members ?? []).filter(
    (member) => member.name < c.me && member.name !== c.otherLeader && isMemberRecord(member) && mayLead(member.tags),
  );
  const turnMs = before.length * TURN_MS;
  const failed = m.failures['copy-slots'];
  const retryMs = failed === undefined ? 0 : failed.lastAtMs + betweenTriesMs(failed.count) + turnMs - o.nowMs;
  const sinceMs = m.logical.missingSinceMs ?? o.nowMs;
  const firstMs = sinceMs + (before.some(isBusy) ? turnMs : Math.min(turnMs, TELL_MS)) - o.nowMs;
  return Math.max(0, retryMs, firstMs);
}
