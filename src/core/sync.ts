/**
 * The synchronous set: who must confirm a commit (synchronous_standby_names on the primary) and who
 * may be promoted (/sync in etcd).
 *
 * What must hold at every moment, crashes between any two steps included:
 *   quorum mode:  |voters ∪ names| <= quorum + count   — any `quorum + 1` voters that elect overlap
 *                 any `count` names that confirmed
 *   on:           every node in /sync has confirmed every acknowledged commit
 * So a change goes through a state that satisfies both the old and the new. First /sync is made
 * careful enough for both; then PostgreSQL's setting changes. /sync is relaxed only when the new
 * confirmers have caught up with all that was acknowledged under the old setting. One step a round;
 * the next round's facts say whether PostgreSQL shows it, and whether commits are known to obey it.
 */
import { sameName, syncPriority } from './cluster.ts';
import type { Context } from './context.ts';
import type { Effect } from './effects.ts';
import type { WalsenderFacts } from './postgres-facts.ts';
import { fenceFor, fenceText } from './quorum/fence-mark.ts';
import { isDeserted } from './quorum/leader-side.ts';
import { isSilent } from './replies.ts';
import { isSuspect, keepsWaiting, strangersUnder } from './strangers.ts';
import { isAheadOfLeader } from './strays.ts';
import { formatSyncNames, NOBODY, parseSyncNames, realNames, type SyncNames, sameNames } from './sync-names.ts';
import { type Lsn, lagBytes, maxLsn } from './units.ts';
import { includes } from './voters.ts';

/**
 * How long PostgreSQL's processes may take to act on a reloaded setting before positions count as
 * acknowledged under it.
 */
export const RELOAD_SETTLE_MS = 200;
/** After a promotion the others need a moment to connect; until then the set is not emptied. */
export const RECONNECT_GRACE_MS = 5000;

interface Standby {
  readonly name: string;
  readonly sender: WalsenderFacts;
  readonly priority: number;
  readonly nofailover: boolean;
  readonly lsn: Lsn;
}

export interface SyncStep {
  readonly effects: readonly Effect[];
  readonly because: string;
  /** Look again soon although nothing was done. */
  readonly waiting: boolean;
}

const done: SyncStep = { effects: [], because: 'the synchronous set is as it should be', waiting: false };

/** One step towards the wanted synchronous set; only for a primary whose lease is confirmed. */
export function syncStep(c: Context): SyncStep {
  const { view, o } = c;
  const sql = o.pg.sql;
  if (view === null || sql === null || !c.isPrimary) return done;
  const mode = o.settings.dynamic.synchronousMode;
  const current = parseSyncNames(sql.synchronousStandbyNames);
  if (mode === 'off') {
    return view.sync === null
      ? done
      : { effects: [{ kind: 'delete-sync', expected: view.sync, term: termOf(c) }], because: 'synchronous mode is off', waiting: false };
  }
  const fenced = fencedVoters(c);
  if (fenced.length > 0)
    return writeSync(
      c,
      view.sync?.quorum ?? 0,
      view.sync?.standbys ?? [],
      `${fenced.join(', ')} took no more WAL from this leader, and may again`,
    );
  if (hasJustResumed(c)) return { ...done, because: 'this leader stood still: hearing first what its voters have promised', waiting: true };
  const active = activeStandbys(c);
  const step = mode === 'quorum' ? quorumStep(c, current, active) : priorityStep(c, current, active);
  return step.effects.length > 0 || sql.obeysSyncNames ? step : look(sql.synchronousStandbyNames);
}

/** Changes nothing. It comes last: names whose standby has gone are not kept for it. */
const look = (value: string): SyncStep => ({
  effects: [{ kind: 'set-sync-names', value }],
  because: `finding out whether commits wait as synchronous_standby_names says: '${value}'`,
  waiting: true,
});

/**
 * Voters that missed this leader, and have promised to take no more WAL from it. It lives: with
 * another revision of /sync no take-over that counts on their promises succeeds, and they stream
 * again. But while too few voters answer it, nobody confirms its commits: then they shall replace
 * it.
 */
function fencedVoters(c: Context): readonly string[] {
  const { view, o } = c;
  const mark = view === null || !c.lockMine ? null : fenceFor(view);
  if (view === null || mark === null || isDeserted(c)) return [];
  const text = fenceText(mark);
  const byKey = view.members.filter(({ raw }) => raw['fence'] === text).map(({ name }) => name);
  const byAnswer = [...o.links.answers].filter(([, { fence }]) => fence === text).map(([name]) => name);
  return union(byKey, byAnswer);
}

/** By then every voter that is there has answered a beat. */
const RESUMED_MS = 1000;

/**
 * Voters that have promised do not stream, and come back once /sync is written anew. To drop them
 * meanwhile would be to acknowledge commits without them.
 */
const hasJustResumed = ({ o }: Context): boolean => o.links.lastFence !== null && o.nowMs - o.links.resumedAtMs < RESUMED_MS;

function position(sender: WalsenderFacts, synchronousCommit: string): Lsn | null {
  if (synchronousCommit === 'remote_apply') return sender.replayLsn;
  return synchronousCommit === 'remote_write' ? sender.writeLsn : sender.flushLsn;
}

/**
 * Commits would wait for it until it is heard again. A standby that commits wait for already is
 * kept until its walsender or its member key goes.
 */
function isUnheard(c: Context, inForce: readonly string[], sender: WalsenderFacts): boolean {
  if (inForce.some((name) => sameName(name, sender.applicationName))) return false;
  return isSilent(c.o, c.m.replies, sender);
}

/** Whether a standby may come into the set as soon as it is heard. */
export function awaitsReply(c: Context): boolean {
  const { sql } = c.o.pg;
  if (sql === null || c.o.settings.dynamic.synchronousMode === 'off') return false;
  const inForce = realNames(parseSyncNames(sql.synchronousStandbyNames));
  const mayJoin = (name: string) => c.view?.members.some((member) => sameName(member.name, name) && syncPriority(member.tags) > 0) === true;
  return sql.replication.some((sender) => sender.state === 'streaming' && mayJoin(sender.applicationName) && isUnheard(c, inForce, sender));
}

/** Replicas that stream now and may be synchronous, best first. */
function activeStandbys(c: Context): readonly Standby[] {
  const { view, o } = c;
  if (view === null || o.pg.sql === null) return [];
  const found: Standby[] = [];
  const inForce = realNames(parseSyncNames(o.pg.sql.synchronousStandbyNames));
  for (const sender of o.pg.sql.replication) {
    const member = view.members.find((candidate) => sameName(candidate.name, sender.applicationName));
    const lsn = position(sender, o.pg.sql.synchronousCommit);
    if (!member || member.name === c.me || sender.state !== 'streaming' || member.state !== 'running' || lsn === null) continue;
    if (isUnheard(c, inForce, sender) || isSuspect(c, member.name) || isAheadOfLeader(c, sender)) continue;
    const priority = syncPriority(member.tags);
    if (priority <= 0 || found.some((other) => sameName(other.name, member.name))) continue;
    const nofailover =
      member.tags.nofailover === true || (member.tags.nofailover === undefined && (member.tags.failover_priority ?? 1) <= 0);
    found.push({ name: member.name, sender, priority, nofailover, lsn });
  }
  const order = (state: string) => ['async', 'potential', 'quorum', 'sync'].indexOf(state);
  found.sort(
    (a, b) =>
      Number(a.nofailover) - Number(b.nofailover) ||
      b.priority - a.priority ||
      order(b.sender.syncState) - order(a.sender.syncState) ||
      (b.lsn > a.lsn ? 1 : b.lsn < a.lsn ? -1 : 0) ||
      (a.name < b.name ? -1 : 1),
  );
  return withoutMute(c, withoutLaggards(c, found));
}

function withoutLaggards(c: Context, standbys: readonly Standby[]): readonly Standby[] {
  const limit = c.o.settings.dynamic.maximumLagOnSyncnodeBytes;
  if (limit <= 0 || standbys.length === 0) return standbys;
  const best = standbys.length === 1 ? (c.o.pg.sql?.flushLsn ?? null) : maxLsn(...standbys.map((standby) => standby.lsn));
  return best === null ? standbys : standbys.filter((standby) => lagBytes(best, standby.lsn) <= limit);
}

/**
 * A standby whose agent is locked out and sees nothing confirms commits, and has no vote in a race
 * (core/locked-out.ts). Where another standby can do both, it does not count.
 */
function withoutMute(c: Context, standbys: readonly Standby[]): readonly Standby[] {
  const mute = (name: string) => {
    const member = c.view?.members.find((one) => one.name === name);
    return member?.raw['locked_out'] !== undefined && member.lsn === null;
  };
  const heard = standbys.filter((standby) => !mute(standby.name));
  return heard.length > 0 ? heard : standbys;
}

export function inGrace(c: Context): boolean {
  return c.m.promotedAtMs !== null && c.o.nowMs - c.m.promotedAtMs < RECONNECT_GRACE_MS;
}

/** Standbys that have what was acknowledged before the present setting came into force. */
function confirmed(c: Context, standbys: readonly Standby[]): readonly Standby[] | null {
  const set = c.m.syncNamesSet;
  const inForce = c.o.pg.sql?.synchronousStandbyNames ?? '';
  if (set === null || set.value !== inForce || set.atLsn === null) return null;
  const since = set.atLsn;
  return standbys.filter((standby) => standby.lsn >= since);
}

function setNames(c: Context, wanted: SyncNames, because: string): SyncStep | null {
  const value = formatSyncNames(wanted);
  if (value === c.o.pg.sql?.synchronousStandbyNames) return null;
  return { effects: [{ kind: 'set-sync-names', value }], because, waiting: true };
}

function writeSync(c: Context, quorum: number, standbys: readonly string[], because: string): SyncStep {
  const sorted = [...standbys].sort();
  const expected = c.view?.sync ?? null;
  return { effects: [{ kind: 'write-sync', leader: c.me, quorum, standbys: sorted, expected, term: termOf(c) }], because, waiting: true };
}

/** A leader that was replaced cannot change the set any more. */
export const termOf = ({ view, lockMine }: Context): string | null => (lockMine ? (view?.leader?.modRevision ?? null) : null);

const union = (...sets: ReadonlyArray<readonly string[]>): readonly string[] => {
  const all: string[] = [];
  for (const set of sets) for (const name of set) if (!includes(all, name)) all.push(name);
  return all;
};

function wantedCount(c: Context, available: number): number {
  const { synchronousNodeCount, synchronousModeStrict } = c.o.settings.dynamic;
  return Math.max(Math.min(synchronousNodeCount, available), synchronousModeStrict ? 1 : 0);
}

function quorumStep(c: Context, current: SyncNames, active: readonly Standby[]): SyncStep {
  const sync = c.view?.sync ?? null;
  const wantedNames = quorumNames(c, active);
  const inForce = realNames(current);
  const inForceCount = inForce.length === 0 ? 0 : current.count;
  const isOurs = sync !== null && sync.leader !== null && sameName(sync.leader, c.me);
  const formerLeader = sync !== null && !isOurs && sync.leader !== null ? [sync.leader] : [];
  const voters = (sync?.standbys ?? []).filter((name) => !sameName(name, c.me));
  const strict = c.o.settings.dynamic.synchronousModeStrict;
  // So many standbys that confirm under the setting in force may be strangers. What they confirmed
  // has that many copies fewer, and their names are not kept.
  const doubtful = strangersUnder(c, inForce);
  if (wantedNames.length === 0 && inForce.length > 0 && doubtful === 0 && (inGrace(c) || strict)) {
    const because = strict ? 'strict mode: commits wait for a synchronous standby' : 'waiting for standbys to connect after the promotion';
    const held = union(voters, formerLeader, inForce);
    const counted = c.o.pg.sql?.obeysSyncNames === true ? inForceCount : 0;
    return isOurs ? { effects: [], because, waiting: inGrace(c) } : writeSync(c, Math.max(0, held.length - counted), held, because);
  }
  if (wantedNames.length === 0 && !strict && keepsWaiting(c, inForce)) return besiegedStep(c, union(voters, formerLeader, inForce));
  const count = wantedCount(c, wantedNames.length);
  const realCount = Math.min(count, wantedNames.length);
  const names = wantedNames.length > 0 ? wantedNames : count > 0 ? [NOBODY] : [];
  const some = realCount === 0 ? 'nobody' : `${realCount} of ${wantedNames.join(', ')}`;
  const target: SyncNames = { method: 'quorum', count: Math.max(count, 1), names };
  const settled = formatSyncNames(target) === c.o.pg.sql?.synchronousStandbyNames;
  const safeVoters = union(voters, formerLeader, inForce, wantedNames);
  // How many copies of a commit the election may count on. The setting in force is one limit. The
  // other is what /sync counted on so far, until the standbys that confirm now have caught up with
  // what was acknowledged before.
  const trusted = isOurs ? sync.standbys.length - sync.quorum : 0;
  const inForceHolds = (confirmed(c, named(active, inForce))?.length ?? 0) >= inForceCount;
  const copies = Math.min(Math.max(0, (inForceHolds ? inForceCount : Math.min(inForceCount, trusted)) - doubtful), realCount);
  const safeQuorum = Math.max(0, safeVoters.length - copies);
  const covered = isOurs && safeVoters.length === sync.standbys.length && sync.quorum >= safeQuorum;
  if (!settled) {
    if (!covered) return writeSync(c, safeQuorum, safeVoters, 'making the election careful enough for the old and the new synchronous set');
    return setNames(c, target, `asking ${some} to confirm commits`) ?? done;
  }
  const finalQuorum = wantedNames.length - realCount;
  if (isOurs && sameNames(sync.standbys, wantedNames) && sync.quorum === finalQuorum) return done;
  const caughtUp = confirmed(c, named(active, wantedNames));
  if (realCount > 0 && (caughtUp === null || caughtUp.length < realCount)) {
    if (!isOurs || !covered) return writeSync(c, safeQuorum, safeVoters, 'taking the synchronous set over as leader');
    return { effects: [], because: 'waiting for the new synchronous standbys to catch up', waiting: true };
  }
  return writeSync(
    c,
    finalQuorum,
    wantedNames,
    realCount === 0 ? 'no standby confirms commits now' : `any ${some} now ${realCount === 1 ? 'holds' : 'hold'} every acknowledged commit`,
  );
}

const BESIEGED =
  'another server streams under the name of every standby that could confirm: commits wait for these names, which proves nothing';

/**
 * The names stay as they are, and the election does not count on standbys that confirmed under
 * them.
 */
function besiegedStep(c: Context, held: readonly string[]): SyncStep {
  const sync = c.view?.sync ?? null;
  const stands = sync !== null && sync.leader !== null && sameName(sync.leader, c.me);
  if (stands && sameNames(sync.standbys, held) && sync.quorum >= held.length) return { ...done, because: BESIEGED };
  return writeSync(c, held.length, held, BESIEGED);
}

const named = (standbys: readonly Standby[], names: readonly string[]) => standbys.filter((standby) => includes(names, standby.name));

/** Every standby that streams; nofailover nodes only to fill up the wanted number. */
function quorumNames(c: Context, active: readonly Standby[]): readonly string[] {
  const names: string[] = [];
  for (const standby of active)
    if (!standby.nofailover || names.length < c.o.settings.dynamic.synchronousNodeCount) names.push(standby.name);
  return names;
}

const without = (names: readonly string[], those: readonly string[]) => names.filter((name) => !those.includes(name));

function priorityStep(c: Context, current: SyncNames, active: readonly Standby[]): SyncStep {
  const sync = c.view?.sync ?? null;
  const { synchronousModeStrict: strict, synchronousNodeCount } = c.o.settings.dynamic;
  const isOurs = sync !== null && sync.leader !== null && sameName(sync.leader, c.me);
  const picked = active.slice(0, Math.max(1, synchronousNodeCount)).map((standby) => standby.name);
  const listed = isOurs ? sync.standbys : [];
  if (!isOurs) return writeSync(c, 0, [], 'taking the synchronous set over as leader');
  // A quorum confirmed each commit, so not every standby of the set has every commit.
  if (sync.quorum > 0) return writeSync(c, 0, [], 'leaving quorum mode: only this leader is known to have every acknowledged commit');
  const waitedFor = realNames(current);
  const held = listed.filter((name) => includes(waitedFor, name));
  if (held.length < listed.length)
    return writeSync(
      c,
      0,
      held,
      `commits have not waited for ${without(listed, held).join(', ')}: /sync is from before synchronous mode was off`,
    );
  // PostgreSQL may have waited for a stranger in the place of any of them.
  if (listed.length > 0 && strangersUnder(c, waitedFor) > 0)
    return writeSync(c, 0, [], 'another server streams under a name that commits wait for: no standby is known to have every commit');
  if (picked.length === 0 && listed.length > 0 && inGrace(c))
    return { ...done, because: 'waiting for standbys to connect after the promotion', waiting: true };
  if (picked.length === 0 && !strict && keepsWaiting(c, waitedFor)) return { ...done, because: BESIEGED };
  if (picked.length === 0 && strict) {
    // No standby can confirm: commits wait, and each standby in /sync keeps every acknowledged one.
    // So before another commit is acknowledged, all of them must come back, or the first be let go
    // from /sync.
    const names = listed.length > 0 ? listed : [NOBODY];
    return (
      setNames(c, { method: 'priority', count: names.length, names }, 'strict mode without a standby: commits wait') ?? {
        ...done,
        waiting: true,
      }
    );
  }
  const kept = listed.filter((name) => includes(picked, name));
  if (kept.length < listed.length) return writeSync(c, 0, kept, `${without(listed, kept).join(', ')} no longer confirms commits`);
  const target: SyncNames = { method: picked.length === 0 ? 'off' : 'priority', count: picked.length, names: picked };
  const change = setNames(c, target, `asking ${picked.join(', ') || 'nobody'} to confirm every commit`);
  if (change) return change;
  if (sameNames(listed, picked)) return done;
  const inSync = active.filter((standby) => picked.includes(standby.name) && standby.sender.syncState === 'sync');
  const caughtUp = confirmed(c, inSync);
  if (caughtUp === null || caughtUp.length === 0)
    return { effects: [], because: 'waiting for the new synchronous standby to catch up', waiting: true };
  const now = union(
    listed,
    caughtUp.map((standby) => standby.name),
  );
  return sameNames(now, listed) ? { ...done, waiting: true } : writeSync(c, 0, now, `${now.join(', ')} hold every acknowledged commit`);
}

export interface Takeover {
  /**
   * synchronous_standby_names to be in force before this node opens for writes; null: Regent does
   * not own the setting.
   */
  readonly names: string | null;
  /** /sync as it must stand before that; null: nothing to write. */
  readonly effect: Effect | null;
}

/**
 * What a candidate that holds the leader key does before it promotes. /sync must name the new
 * leader before the first commit can be acknowledged here. While it named the old one, a third node
 * would treat what is ahead on the old leader as unacknowledged. It is written again when an
 * earlier write may still arrive. That write was right for the server that ran then; this one may
 * have another synchronous_standby_names.
 */
export function takeover(c: Context): Takeover {
  const { synchronousMode: mode, synchronousModeStrict: strict, synchronousNodeCount } = c.o.settings.dynamic;
  if (c.view === null) return { names: null, effect: null };
  const { sync } = c.view;
  // Commits will wait for no standby. So no standby on its list may lead for having confirmed them,
  // if the mode is on again before it is deleted.
  if (mode === 'off') return { names: null, effect: sync === null ? null : { kind: 'delete-sync', expected: sync, term: termOf(c) } };
  const stands = sync !== null && sync.leader !== null && sameName(sync.leader, c.me) && !c.o.syncUnsettled;
  const others = union(sync?.standbys ?? [], sync?.leader ? [sync.leader] : []).filter((name) => !sameName(name, c.me));
  const write = (quorum: number, standbys: readonly string[]): Effect => ({
    kind: 'write-sync',
    leader: c.me,
    quorum,
    standbys: [...standbys].sort(),
    expected: sync,
    term: termOf(c),
  });
  const nobody = strict ? formatSyncNames({ method: mode === 'quorum' ? 'quorum' : 'priority', count: 1, names: [NOBODY] }) : '';
  if (mode === 'on') {
    const names = strict && others.length > 0 ? formatSyncNames({ method: 'priority', count: 1, names: others }) : nobody;
    return { names, effect: stands && sync?.standbys.length === 0 ? null : write(0, []) };
  }
  const count = Math.max(1, Math.min(synchronousNodeCount, others.length));
  const names = others.length === 0 ? nobody : formatSyncNames({ method: 'quorum', count, names: others });
  // Earlier commits have as many copies among the others as /sync counted on so far, although more
  // standbys will confirm from now on.
  const copies = sync?.leader == null ? count : Math.min(count, Math.max(0, sync.standbys.length - sync.quorum));
  const quorum = Math.max(0, others.length - copies);
  const same = stands && sync !== null && sameNames(sync.standbys, others) && sync.quorum >= quorum;
  return { names, effect: same ? null : write(quorum, others) };
}
