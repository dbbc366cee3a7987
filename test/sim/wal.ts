/**
 * WAL as a tree of branches: two nodes that promote on their own get two branches, even under one
 * timeline number.
 */
import type { HistoryEntry } from '../../src/core/cluster.ts';
import { type Lsn, toLsn } from '../../src/core/units.ts';

export interface WalRecord {
  /** Its end. */
  readonly lsn: Lsn;
  readonly id: number;
}

let branches = 0;

export class Branch {
  /** What tells it from every other: the moment in the record that its promotion wrote first. */
  readonly timelineFingerprint: string;
  readonly timeline: number;
  readonly parent: Branch | null;
  /** Where the parent was left. */
  readonly forkLsn: Lsn;
  readonly reason: string;
  /** Commits written on this branch, in order. */
  readonly records: WalRecord[] = [];
  readonly history: readonly HistoryEntry[];
  /** Begun by somebody who is no agent. */
  isByHand = false;

  constructor(
    timeline: number,
    parent: Branch | null,
    forkLsn: Lsn,
    reason: string,
    as: Pick<Branch, 'timelineFingerprint' | 'history'> | null = null,
    /** Whom its history names for the parent. */
    named: Branch | null = parent,
  ) {
    this.timelineFingerprint = as?.timelineFingerprint ?? String(branches++);
    this.timeline = timeline;
    this.parent = parent;
    this.forkLsn = forkLsn;
    this.reason = reason;
    const turnsOff = named !== null && named.timeline !== timeline;
    this.history = turnsOff
      ? [...named.history, { timeline: named.timeline, switchLsn: forkLsn, reason }]
      : (as?.history ?? parent?.history ?? []);
  }

  /**
   * What a server writes that was opened without a promotion: nothing but the records themselves
   * tells it from its parent.
   */
  static byHand(parent: Branch, forkLsn: Lsn): Branch {
    const own = new Branch(parent.timeline, parent, forkLsn, 'opened by hand', parent);
    own.isByHand = true;
    return own;
  }
}

export interface Position {
  readonly branch: Branch;
  readonly lsn: Lsn;
}

/**
 * How far `of` goes on that branch: to its end, to the point where it left the branch, or not at
 * all (null).
 */
export function reachOn(branch: Branch, of: Position): Lsn | null {
  let limit = of.lsn;
  for (let at: Branch | null = of.branch; at !== null; at = at.parent) {
    if (at === branch) return limit;
    limit = at.forkLsn;
  }
  return null;
}

/** Everything up to `position` is also in `of`. */
export function isPrefix(position: Position, of: Position): boolean {
  const reach = reachOn(position.branch, of);
  return reach !== null && position.lsn <= reach;
}

const earlier = (a: Lsn, b: Lsn): Lsn => (a > b ? b : a);

/**
 * Whether PostgreSQL can stream to that position. A promotion that was interrupted leaves one
 * record on its timeline. Another node's promotion at the same point writes the same record under
 * the same number, so the first timeline continues into the second.
 */
export function continues(position: Position, of: Position): boolean {
  if (isPrefix(position, of)) return true;
  const { branch, lsn } = position;
  if (branch.parent === null) return false;
  for (let at: Branch | null = of.branch; at !== null; at = at.parent)
    if (at.parent === branch.parent && at.forkLsn === branch.forkLsn && at.timeline === branch.timeline)
      return lsn <= plus(at.forkLsn, SWITCH_BYTES);
  return false;
}

/**
 * Whether PostgreSQL goes from the timeline that it fetched the history of, and has no WAL of, to
 * that of `of`: the number of the first must be in the history of the second.
 */
export function aimsOn(position: Position, of: Position): boolean {
  const branch = branchAt(position, position.lsn);
  const aim = position.branch.timeline;
  return (
    branch !== position.branch && of.branch.history.some(({ timeline }) => timeline === aim) && isPrefix({ branch, lsn: position.lsn }, of)
  );
}

/** The last position both have. Two clusters of their own have none. */
export function commonAncestor(a: Position, b: Position): Position | null {
  let limit = a.lsn;
  for (let at: Branch | null = a.branch; at !== null; at = at.parent) {
    const reach = reachOn(at, b);
    if (reach !== null) return { branch: at, lsn: earlier(reach, limit) };
    limit = at.forkLsn;
  }
  return null;
}

/** The branch of that history on which the position lies: the oldest that reaches it. */
export function branchAt(history: Position, lsn: Lsn): Branch {
  let { branch } = history;
  while (branch.parent !== null && lsn <= branch.forkLsn) branch = branch.parent;
  return branch;
}

export function commitsIn(position: Position): Set<number> {
  const ids = new Set<number>();
  let limit = position.lsn;
  for (let at: Branch | null = position.branch; at !== null; at = at.parent) {
    for (const record of at.records) if (record.lsn <= limit) ids.add(record.id);
    limit = at.forkLsn;
  }
  return ids;
}

/** Of the record that a promotion writes first. */
export const SWITCH_BYTES = 120;
export const FIRST_LSN = toLsn(0x300_0000);
export const plus = (lsn: Lsn, bytes: number): Lsn => toLsn(lsn + BigInt(bytes));

/**
 * Two promotions at the same point by nodes that did not know of each other (M13). PostgreSQL gives
 * both timelines one number and one history, and only the WAL itself tells them apart. In the model
 * that is Branch.timelineFingerprint.
 */
export function areTwins(a: Position, b: Position): boolean {
  if (isPrefix(a, b) || isPrefix(b, a)) return false;
  const common = commonAncestor(a, b);
  if (common === null) return false;
  const left = childOn(common.branch, a.branch);
  const right = childOn(common.branch, b.branch);
  return left !== null && right !== null && left.forkLsn === right.forkLsn && left.timeline === right.timeline;
}

export function childOn(parent: Branch, branch: Branch): Branch | null {
  for (let at: Branch | null = branch; at !== null; at = at.parent) if (at.parent === parent) return at;
  return null;
}
