/**
 * When a standby copies logical slots from the leader. PostgreSQL has to be restarted for it, so it
 * is done by one member at a time, while nothing else is about, and not again soon for the same
 * slot.
 */
import { isMemberRecord, LEAVING, type Member, mayLead, type PostgresState } from '../cluster.ts';
import { type Context, readyLeader, sourceOf, wantedSource } from '../context.ts';
import { streamsInOrder } from '../divergence.ts';
import type { Job } from '../effects.ts';
import { keepsLogical, logicalSlots, rememberLogical } from './logical.ts';
import { type LogicalMemory, noLogicalMemory } from './logical-work.ts';

/** Nothing is wrong: another member, or the leader, comes first. */
export const COPY_POSTPONED = 'SLOT_COPY_POSTPONED';

/**
 * Between two members of one cluster. By then the one before has told that it is about to restart.
 */
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

/** Null: nothing is to be copied, or not now. */
export function copyJob(c: Context): Extract<Job, { kind: 'copy-slots' }> | null {
  const missing = missingSlots(c).filter((name) => mayCopy(c, name));
  const leader = readyLeader(c);
  const source = leader === null ? null : sourceOf(leader);
  if (missing.length === 0 || source === null || leader === null || !isQuiet(c, leader) || !isOurTurn(c)) return null;
  return { kind: 'copy-slots', source, slots: missing, role: { kind: 'standby', source: wantedSource(c) } };
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
 * Members see at the same moment that a slot is missing. Each waits longer than the one before it,
 * and after a failure as well, so that two that met do not meet again.
 */
function isOurTurn(c: Context): boolean {
  const { view, m, o } = c;
  const others = (view?.members ?? []).filter(({ name }) => name !== c.me);
  const before = others.filter(
    (member) => member.name < c.me && member.name !== c.otherLeader && isMemberRecord(member) && mayLead(member.tags),
  );
  const turnMs = before.length * TURN_MS;
  const failed = m.failures['copy-slots'];
  const sinceMs = m.logical.missingSinceMs;
  if (failed !== undefined && o.nowMs - failed.lastAtMs < betweenTriesMs(failed.count) + turnMs) return false;
  return sinceMs !== null && o.nowMs - sinceMs >= turnMs && !others.some(isRestless);
}
