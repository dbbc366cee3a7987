/**
 * Permanent logical slots. The primary makes them. A standby has copies, and moves them on to where
 * their consumers are, so that after a failover a consumer goes on where it was.
 *
 * A copy can be read only if the catalogs still have the rows that decoding from its position on
 * needs. The standby tells the primary by hot_standby_feedback what to keep. Rows that the primary
 * removed before it was told are gone. Until then only the primary's own slot of that name kept
 * them, so a copy is safe from where that slot was at that moment.
 */
import { memberOf } from '../cluster.ts';
import { type Context, readySource } from '../context.ts';
import type { Effect } from '../effects.ts';
import type { SlotFacts } from '../postgres-facts.ts';
import type { Settings } from '../settings.ts';
import { slotNameOf } from '../slot-names.ts';
import { type Lsn, lagBytes } from '../units.ts';
import { upstreamOf } from '../upstream.ts';
import { type Comparison, type Held, isLaterXid, type LogicalMemory, noLogicalMemory } from './logical-work.ts';
import { isIgnored, isOfKind } from './plan.ts';
import { type WantedSlot, wantedSlots } from './wanted.ts';
import { readUpTo } from './why-strange.ts';

type WantedLogical = Extract<WantedSlot, { type: 'logical' }> & { readonly name: string };

/** The permanent logical slots of this node, each with the slot that has its name here. */
export function logicalSlots(c: Context): readonly { readonly wanted: WantedLogical; readonly slot: SlotFacts | undefined }[] {
  const { sql } = c.o.pg;
  if (sql === null || c.view === null || !keepsLogical(c.o.settings)) return [];
  return [...wantedSlots(c)].flatMap(([name, wanted]) => {
    const slot = sql.slots.find((one) => one.name === name);
    // Not ours: a slot that PostgreSQL synchronizes, or that ignore_slots matches.
    const isOurs = wanted.type === 'logical' && !(c.isStandby && slot?.synced === true) && !(slot !== undefined && isIgnored(c, slot));
    return isOurs ? [{ wanted: { ...wanted, name }, slot }] : [];
  });
}

export function keepsLogical({ dynamic }: Pick<Settings, 'dynamic'>): boolean {
  return dynamic.useSlots && Object.values(dynamic.slots).some(({ type }) => type === 'logical');
}

/** Null when there is nothing to do. */
export function logicalWork(c: Context): Effect | null {
  const all = logicalSlots(c);
  if (all.length === 0) return null;
  if (c.isPrimary) {
    if (!c.lockMine || !c.mayLeadNow) return null;
    const create = all
      .filter(({ slot }) => slot === undefined)
      .map(({ wanted: { name, database, plugin } }) => ({ name, database, plugin }));
    return create.length === 0 ? null : { kind: 'logical-slots', work: { create, advance: [], compare: null } };
  }
  const { endedAtMs } = c.m.logical;
  const rests = endedAtMs !== null && c.o.nowMs - endedAtMs < c.o.settings.dynamic.loopWaitSeconds * 1000;
  if (!c.isStandby || c.otherLeader === null || rests) return null;
  const advance = all.flatMap(({ wanted, slot }) => {
    const to = slot === undefined ? null : mayMoveTo(c, wanted, slot);
    return to === null ? [] : [{ name: wanted.name, database: wanted.database, to }];
  });
  const unproven = all.filter(({ wanted, slot }) => hasCopy(c, wanted, slot) && c.m.logical.safeFrom[wanted.name] === undefined);
  const compare = comparison(
    c,
    unproven.map(({ wanted }) => wanted.name),
  );
  return advance.length === 0 && compare === null ? null : { kind: 'logical-slots', work: { create: [], advance, compare } };
}

const hasCopy = (c: Context, wanted: WantedLogical, slot: SlotFacts | undefined): slot is SlotFacts =>
  slot !== undefined && isOfKind(slot, wanted) && slot.walStatus !== 'lost' && !c.m.logical.broken.includes(wanted.name);

/** Never past what this standby has replayed, or what the leader says its consumer has. */
function mayMoveTo(c: Context, wanted: WantedLogical, slot: SlotFacts): Lsn | null {
  const replayed = c.o.pg.sql?.replayLsn ?? null;
  if (!hasCopy(c, wanted, slot) || slot.active) return null;
  if (wanted.target === null || replayed === null || slot.confirmedFlushLsn === null) return null;
  const to = lagBytes(wanted.target, replayed) > 0 ? replayed : wanted.target;
  return to > slot.confirmedFlushLsn ? to : null;
}

function comparison(c: Context, names: readonly string[]): Comparison | null {
  const leader = readySource(c);
  return leader === null || names.length === 0 ? null : { leader, physical: physicalSlot(c, leader.name), names };
}

/** The leader's slot through which this node's feedback comes: its own, or that of its source. */
function physicalSlot({ view, me, o }: Context, leader: string): string {
  let follower = { name: me, tags: o.settings.local.tags, lsn: o.pg.sql?.receiveLsn ?? null };
  for (const _ of view?.members ?? []) {
    const up: string = view === null ? leader : upstreamOf(view, leader, follower);
    const next = view === null || up === leader ? null : memberOf(view, up);
    if (next === null) break;
    follower = { name: next.name, tags: next.tags, lsn: next.lsn };
  }
  return slotNameOf(follower.name);
}

/** What the facts of a round change. */
export function rememberLogical(c: Context, before: LogicalMemory): LogicalMemory {
  const told = c.o.logical ?? [];
  // A restart that brought nothing is not repeated soon either.
  const tried = c.o.ended.flatMap(({ job, stopped, endedAtMs }) =>
    job.kind === 'copy-slots' && stopped === true ? job.slots.map((name) => ({ name, endedAtMs })) : [],
  );
  const copied = c.o.ended.flatMap(({ copied: names = [] }) => names);
  let after: LogicalMemory = before;
  // The data were replaced: what was known was about the slots in the old data.
  if (c.o.ended.some(({ job, ok }) => ok && (job.kind === 'clone' || job.kind === 'reinitialize' || job.kind === 'rewind')))
    after = noLogicalMemory;
  if (c.otherLeader !== null && c.otherLeader !== after.leader) after = { ...after, leader: c.otherLeader, safeFrom: {} };
  if (c.isPrimary) after = { ...after, leader: null, safeFrom: {} };
  const broken = stillThere(c, after.broken);
  if (broken !== after.broken) after = { ...after, broken };
  if (tried.length > 0) after = { ...after, copies: counted(after.copies, tried) };
  if (copied.length > 0) {
    const safeFrom = Object.fromEntries(Object.entries(after.safeFrom).filter(([name]) => !copied.includes(name)));
    after = { ...after, safeFrom, broken: after.broken.filter((name) => !copied.includes(name)), missingSinceMs: null };
  }
  for (const { endedAtMs, broken, held } of told) {
    const all = c.isStandby ? [...new Set([...after.broken, ...broken])] : after.broken;
    after = { ...after, endedAtMs, broken: all, safeFrom: { ...after.safeFrom, ...provenBy(c, held, all) } };
  }
  return after;
}

function counted(before: LogicalMemory['copies'], tried: readonly { readonly name: string; readonly endedAtMs: number }[]) {
  const copies = { ...before };
  for (const { name, endedAtMs } of tried) copies[name] = { count: (copies[name]?.count ?? 0) + 1, atMs: endedAtMs };
  return copies;
}

/** Whatever is made under the name of one that was dropped is another slot. */
function stillThere(c: Context, broken: readonly string[]): readonly string[] {
  const { sql } = c.o.pg;
  if (sql === null || broken.length === 0) return broken;
  return broken.filter((name) => sql.slots.some((slot) => slot.name === name));
}

/**
 * The primary keeps what this node's copy needs, and its own slot kept it until then. That is about
 * the rows of the catalogs: a copy that lacks its WAL cannot be read all the same.
 */
function provenBy(c: Context, held: Held | null, broken: readonly string[]): Record<string, string> {
  if (held === null || held.leader !== c.otherLeader || held.physical === null || !c.isStandby) return {};
  const { physical } = held;
  return Object.fromEntries(
    Object.entries(held.logical).flatMap(([name, xmin]) => {
      const own = c.o.pg.sql?.slots.find((slot) => slot.name === name)?.catalogXmin ?? null;
      return xmin === null || own === null || broken.includes(name) || isLaterXid(physical, own) ? [] : [[name, xmin] as const];
    }),
  );
}

function isSafe({ m }: Context, { name, catalogXmin }: SlotFacts): boolean {
  const from = m.logical.safeFrom[name];
  return from !== undefined && catalogXmin != null && !isLaterXid(from, catalogXmin);
}

const MEND = 'compare what its consumer has with the primary, or copy its data again';

/**
 * Permanent logical slots that a promotion of this standby would create again, so that their
 * consumers miss something. Null: it keeps none, or its PostgreSQL does not tell.
 */
export function missingLogical(c: Context): readonly string[] | null {
  if (!c.isStandby || c.o.pg.sql === null || !keepsLogical(c.o.settings)) return null;
  return logicalSlots(c).flatMap(({ wanted, slot }) => (hasCopy(c, wanted, slot) || whyCreated(c, wanted) === null ? [] : [wanted.name]));
}

/** What the consumers of a standby that is promoted now may miss, in words for the log. */
export function doubtsOfPromotion(c: Context): readonly string[] {
  if (!c.isStandby) return [];
  return logicalSlots(c).flatMap(({ wanted, slot }) => {
    const known = `logical replication slot ${wanted.name}`;
    if (!hasCopy(c, wanted, slot)) {
      const why = whyCreated(c, wanted);
      return why === null ? [] : [`${known} ${why}; ${MEND}`];
    }
    if (isSafe(c, slot)) return [];
    return [`${known} might be unsafe to use after the promotion: this node was not seen to have all that it needs; ${MEND}`];
  });
}

/** Null: it is new, as far as is known. */
function whyCreated({ m: { followed } }: Context, { target }: WantedLogical): string | null {
  if (followed !== null)
    return `is created again: this cluster followed ${followed} and kept no logical slots, so its consumer misses what was written meanwhile`;
  return target === null ? null : 'was not copied here and is created again: its consumer misses what was written meanwhile';
}

/** What the consumers of a primary miss that becomes a standby leader now, in words for the log. */
export function lossesOfDemotion(c: Context): readonly string[] {
  if (!c.followsRemote || !c.isPrimary) return [];
  const { slotsElsewhere } = c.o.settings.dynamic;
  return (c.o.pg.sql?.slots ?? []).flatMap((slot) =>
    slot.type === 'logical' && slotsElsewhere[slot.name]?.type === 'logical' && !isIgnored(c, slot)
      ? [
          `logical replication slot ${slot.name} is given up: a standby cluster keeps none, so its consumer misses what is written until the cluster is promoted${readUpTo(slot)}; let it read from the server that this cluster follows, or copy its data again after the promotion`,
        ]
      : [],
  );
}
