/** What is to be done with the replication slots of this node, by what it should have. */
import { type Context, hasLeader, isStandbyLeader } from '../context.ts';
import type { Effect } from '../effects.ts';
import { forgottenSlots } from '../forgotten.ts';
import type { SlotFacts } from '../postgres-facts.ts';
import type { Lsn } from '../units.ts';
import { type WantedSlot, wantedSlots } from './wanted.ts';
import { whyStrange } from './why-strange.ts';

/** `renew`: dropped, and made again in the same step. */
type Verdict = 'keep' | 'drop' | 'renew';

interface Seen {
  readonly c: Context;
  readonly slot: SlotFacts;
  readonly wanted: WantedSlot | undefined;
  readonly forgotten: ReadonlySet<string>;
}

interface Row {
  readonly id: string;
  readonly when: (seen: Seen) => boolean;
  readonly verdict: Verdict;
  /** Why it is dropped, for the log. */
  readonly because?: (seen: Seen) => string;
}

/** The first row that applies decides about a slot that exists. */
export const slotRows: readonly Row[] = [
  // PostgreSQL 17 and newer: the server carries it over from the primary by itself.
  { id: 'slot.synchronized', when: ({ c, slot }) => c.isStandby && slot.synced === true, verdict: 'keep' },
  { id: 'slot.ignored', when: ({ c, slot }) => isIgnored(c, slot), verdict: 'keep' },
  { id: 'slot.in-use', when: ({ slot }) => slot.active, verdict: 'keep' },
  // An operator has given up the member: also in a pause.
  {
    id: 'slot.forgotten',
    when: ({ slot, wanted, forgotten }) => wanted === undefined && forgotten.has(slot.name),
    verdict: 'drop',
    because: () => 'an operator has forgotten its member',
  },
  // No other slot can be made while this one has the name: also in a pause.
  {
    id: 'slot.of-another-kind',
    when: ({ slot, wanted }) => wanted !== undefined && !isOfKind(slot, wanted),
    verdict: 'drop',
    because: () => 'another type, plugin or database is wanted under its name',
  },
  { id: 'slot.paused', when: ({ c, wanted }) => c.paused && wanted === undefined, verdict: 'keep' },
  {
    id: 'slot.strange',
    when: ({ c, slot, wanted }) => isStrange(c, slot, wanted) && isOld(c, slot),
    verdict: 'drop',
    because: ({ c, slot }) => whyStrange(c, slot),
  },
  { id: 'slot.unknown', when: ({ wanted }) => wanted === undefined, verdict: 'keep' },
  // Its WAL is gone: whoever comes for it finds nothing kept.
  {
    id: 'slot.lost',
    when: ({ c, slot }) => slot.walStatus === 'lost' && !c.paused,
    verdict: 'renew',
    because: () => 'PostgreSQL has removed the WAL that its consumer needs, which must start over',
  },
  // Also of use to nobody after a promotion; it holds WAL and the catalogs' dead rows.
  {
    id: 'slot.broken',
    when: ({ c, slot }) => slot.type === 'logical' && c.m.logical.broken.includes(slot.name) && !c.paused,
    verdict: 'drop',
    because: () => 'nobody can read it: WAL that it needs is gone here, or PostgreSQL has given it up',
  },
  { id: 'slot.reserves-nothing', when: ({ slot }) => reservesNothing(slot), verdict: 'renew' },
  { id: 'slot.holds-xmin', when: ({ c, slot }) => holdsXmin(c, slot), verdict: 'renew' },
  {
    id: 'slot.in-the-way',
    when: ({ c, slot }) => isInTheWay(c, slot),
    verdict: 'drop',
    because: () => 'PostgreSQL is to synchronize it from the primary',
  },
  { id: 'slot.wanted', when: () => true, verdict: 'keep' },
];

/** Returns null when nothing has to change. Logical slots are made and moved in `logical.ts`. */
export function slotPlan(c: Context): Effect | null {
  const { view, o } = c;
  const sql = o.pg.sql;
  if (view === null || sql === null || !o.settings.dynamic.useSlots) return null;
  const wanted = wantedSlots(c);
  const existing = new Set(sql.slots.map(({ name }) => name));
  const forgotten = forgottenSlots(view);
  const create = [...wanted].filter(([name, { type }]) => type === 'physical' && !existing.has(name)).map(([name]) => name);
  const drop: string[] = [];
  const advance: Record<string, Lsn> = {};
  const renew: string[] = [];
  const reasons: Record<string, string> = {};
  for (const slot of sql.slots) {
    const { name } = slot;
    const spec = wanted.get(name);
    const seen = { c, slot, wanted: spec, forgotten };
    const { verdict, because } = judged(seen);
    // A logical one is made again apart from the others, or comes from the leader.
    if (verdict === 'drop' || (verdict === 'renew' && slot.type === 'logical')) {
      drop.push(name);
      if (because !== undefined) reasons[name] = because(seen);
    } else if (spec?.type === 'physical' && slot.type === 'physical' && !isIgnored(c, slot)) {
      if (verdict === 'renew') renew.push(name);
      if (mayMove(c, slot, spec.target)) advance[name] = spec.target;
    }
  }
  if (create.length + drop.length + renew.length + Object.keys(advance).length === 0) return null;
  return { kind: 'sync-slots', create, drop, advance, ...(renew.length > 0 && { renew }), ...(drop.length > 0 && { reasons }) };
}

function judged(seen: Seen): Pick<Row, 'verdict' | 'because'> {
  return slotRows.find(({ when }) => when(seen)) ?? { verdict: 'keep' };
}

/** The members come to the leader of a standby cluster for WAL, as they do to a primary. */
const isFollower = (c: Context): boolean => c.isStandby && !isStandbyLeader(c);

function mayMove(c: Context, slot: SlotFacts, target: Lsn | null): target is Lsn {
  return isFollower(c) && !slot.active && target !== null && slot.restartLsn !== null && target > slot.restartLsn;
}

export function isOfKind(slot: SlotFacts, wanted: WantedSlot): boolean {
  if (wanted.type === 'physical') return slot.type === 'physical';
  return slot.type === 'logical' && slot.plugin === wanted.plugin && slot.database === wanted.database;
}

/**
 * Nothing that this cluster knows of accounts for it, and nobody uses it. On a former primary such
 * a slot would hold WAL, and a logical one the catalog's dead rows, for ever. Slots by which Citus
 * moves shards stay on every node. Others stay while this node is the primary: PostgreSQL's own
 * failover slots, and those by which a new subscription copies its tables, which it does not use
 * all the time.
 */
export function isStrange(c: Context, slot: SlotFacts, wanted: WantedSlot | undefined): boolean {
  if (wanted !== undefined || slot.active || isIgnored(c, slot)) return false;
  if (c.isStandby) return slot.synced !== true && hasLeader(c) && !CITUS.test(slot.name);
  const isOthers = slot.type === 'logical' && (slot.failover || TABLE_COPY.test(slot.name));
  return c.lockMine && c.mayLeadNow && !isOthers && !CITUS.test(slot.name);
}

const CITUS = /^citus_shard_(move|split)_slot(_[1-9][0-9]*){2,3}$/;
/** ReplicationSlotNameForTablesync() in PostgreSQL 14 to 18. */
const TABLE_COPY = /^pg_[0-9]+_sync_[0-9]+_[0-9]+$/;

/** For a loop_wait, as in a Patroni that does not look more often. */
function isOld({ m, o }: Context, { name }: SlotFacts): boolean {
  const since = m.strangeSlots[name];
  return since !== undefined && o.nowMs - since >= o.settings.dynamic.loopWaitSeconds * 1000;
}

const reservesNothing = ({ type, restartLsn, walStatus }: SlotFacts) => type === 'physical' && restartLsn === null && walStatus !== 'lost';

/**
 * An unused slot on a standby keeps the xmin of the server that streamed from it while this node
 * was the primary. No server advances it, and this node feeds it back to its own primary, where
 * vacuum then removes nothing any more. Advancing a slot leaves its xmin as it is; a new one has
 * none.
 */
const holdsXmin = (c: Context, { type, xmin }: SlotFacts) => type === 'physical' && isFollower(c) && xmin !== null;

/**
 * This server synchronizes failover slots, and cannot where one of that name is left from the time
 * when it was the primary.
 */
const isInTheWay = (c: Context, { failover, synced }: SlotFacts) =>
  c.isStandby && !c.paused && failover && synced !== true && c.o.pg.sql?.syncsSlots === true;

/** By every key that is given, as Patroni compares them. */
export function isIgnored(c: Context, { name, type, plugin, database }: SlotFacts): boolean {
  const facts = { name, type, plugin, database };
  return c.o.settings.dynamic.ignoreSlots.some((matcher) =>
    Object.entries(facts).every(([key, value]) => !matcher[key] || matcher[key] === value),
  );
}
