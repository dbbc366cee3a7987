/**
 * What a range read of a cluster's prefix says. Tolerant, as others write here too: older and newer
 * versions, other programs, people. A value that cannot be read never throws. Formats:
 * docs/wire.md.
 */
import type { ClusterView, ConfigKey, FailoverKey, FailsafeKey, HistoryEntry, Member, StatusKey, SyncKey } from '../../core/cluster.ts';
import type { Lsn } from '../../core/units.ts';
import { isJsonObject } from '../../support/big-json.ts';
import type { JsonValue } from '../../support/json.ts';
import type { KeyValue } from './answers.ts';
import { decodeMember } from './decode-member.ts';
import { compareNames, countOf, isTruthy, lsnOf, textOf, tryParse, tryParseObject } from './decode-values.ts';
import { decodeText, memberNameOf, relativeKey } from './keys.ts';

interface Entry {
  readonly value: string;
  readonly leaseId: string;
  readonly modRevision: string;
}

type View = { -readonly [K in keyof ClusterView]: ClusterView[K] } & { readonly members: Member[] };

interface Known {
  readonly kv: KeyValue;
  /** Enters what the key says. */
  readonly enter: (view: View) => void;
}

/**
 * Reads the same cluster again and again: what one key said is kept for as long as the key stays as
 * it is.
 */
export class ClusterReader {
  readonly #prefix: string;
  readonly #known = new Map<string, Known>();

  /**
   * `prefix`: the cluster's, e.g. `/service/demo/`. Keys that are not below it, or not known, are
   * passed over.
   */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  read(kvs: readonly KeyValue[], revision: string): ClusterView {
    const view: View = {
      revision,
      initialize: null,
      config: null,
      leader: null,
      members: [],
      failover: null,
      sync: null,
      history: [],
      status: null,
      failsafe: null,
    };
    for (const kv of kvs) this.#know(kv).enter(view);
    view.members.sort((a, b) => compareNames(a.name, b.name));
    if (this.#known.size > kvs.length) this.#forget(new Set(kvs.map((kv) => kv.key)));
    return view;
  }

  #know(kv: KeyValue): Known {
    const before = this.#known.get(kv.key);
    if (before !== undefined && unchanged(before.kv, kv)) return before;
    const known = { kv, enter: decodeKey(this.#prefix, kv) };
    this.#known.set(kv.key, known);
    return known;
  }

  #forget(present: ReadonlySet<string>): void {
    for (const key of this.#known.keys()) if (!present.has(key)) this.#known.delete(key);
  }
}

/** A revision is given once; but a cluster restored from a copy gives it again. */
const unchanged = (a: KeyValue, b: KeyValue): boolean => a.mod_revision === b.mod_revision && a.lease === b.lease && a.value === b.value;

export function decodeCluster(prefix: string, kvs: readonly KeyValue[], revision: string): ClusterView {
  return new ClusterReader(prefix).read(kvs, revision);
}

function decodeKey(prefix: string, kv: KeyValue): Known['enter'] {
  const key = relativeKey(prefix, decodeText(kv.key));
  if (key === null) return () => {};
  const entry = { value: decodeText(kv.value), leaseId: kv.lease ?? '0', modRevision: kv.mod_revision ?? '0' };
  const name = memberNameOf(key);
  if (name !== null) {
    const member = decodeMember(name, entry.value, entry.leaseId === '0' ? null : entry.leaseId);
    return (view) => view.members.push(member);
  }
  const said = decodeTopLevel(key, entry);
  // `status` goes before the older `optime/leader`, whichever comes first.
  if (key === 'optime/leader') return (view) => Object.assign(view, { status: view.status ?? said.status });
  return (view) => Object.assign(view, said);
}

function decodeTopLevel(key: string, entry: Entry): Partial<ClusterView> {
  switch (key) {
    case 'initialize':
      return { initialize: entry.value };
    case 'config':
      return { config: decodeConfig(entry) };
    case 'leader':
      return { leader: { name: entry.value, leaseId: entry.leaseId, modRevision: entry.modRevision } };
    case 'failover':
      return { failover: decodeFailover(entry) };
    case 'sync':
      return { sync: decodeSync(entry) };
    case 'history':
      return { history: decodeHistory(entry) };
    case 'failsafe':
      return { failsafe: decodeFailsafe(entry) };
    case 'status':
    case 'optime/leader':
      return { status: decodeStatus(entry) };
    default:
      return {};
  }
}

/**
 * Null also when the value is not an object. Then the last good configuration stays in force, and
 * the leader writes it again.
 */
function decodeConfig(entry: Entry): ConfigKey | null {
  const data = tryParseObject(entry.value);
  return data ? { data, modRevision: entry.modRevision } : null;
}

/**
 * Null when nothing is asked for. A request whose time cannot be read is none: acting at once is
 * not what was asked.
 */
function decodeFailover(entry: Entry): FailoverKey | null {
  const parsed = tryParse(entry.value);
  if (parsed === undefined) return decodeLegacyFailover(entry);
  if (!isJsonObject(parsed)) return null;
  const leader = textOf(parsed['leader']);
  const candidate = textOf(parsed['member']);
  if (leader === null && candidate === null) return null;
  const scheduledAt = isTruthy(parsed['scheduled_at']) ? String(parsed['scheduled_at']) : null;
  const scheduledAtMs = scheduledAt === null ? null : parseInstant(scheduledAt);
  if (scheduledAt !== null && scheduledAtMs === null) return null;
  const [by, at] = [textOf(parsed['requested_by']), textOf(parsed['requested_at'])];
  return {
    leader,
    candidate,
    scheduledAtMs,
    scheduledAt,
    ...(by === null ? {} : { requestedBy: by }),
    ...(at === null ? {} : { requestedAt: at }),
    modRevision: entry.modRevision,
  };
}

/** `leader:candidate`, either of them possibly missing. */
function decodeLegacyFailover({ value, modRevision }: Entry): FailoverKey | null {
  const [leader, candidate] = value.split(':').map((name) => name.trim());
  if (!leader && !candidate) return null;
  if (/[{["\n]/.test(value)) return null;
  return { leader: leader || null, candidate: candidate || null, scheduledAtMs: null, scheduledAt: null, modRevision };
}

/**
 * ISO 8601 with a time zone, a blank allowed for the T; no zone means UTC. Null when it is no
 * instant.
 */
export function parseInstant(text: string): number | null {
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)\s*(Z|[-+]\d\d(?::?\d\d)?)?$/i.exec(text.trim());
  if (!match) return null;
  const [, day, time, zone = 'Z'] = match;
  const digits = /^([-+]\d\d):?(\d\d)?$/.exec(zone);
  const offset = digits ? `${digits[1]}:${digits[2] ?? '00'}` : 'Z';
  // ECMAScript promises only three digits of a fraction.
  const instant = Date.parse(`${day}T${time!.replace(',', '.').replace(/(\.\d{3})\d+$/, '$1')}${offset}`);
  return Number.isNaN(instant) ? null : instant;
}

/**
 * Kept even when it cannot be read, because the program that mends the key compares with its
 * revision.
 */
function decodeSync(entry: Entry): SyncKey {
  const data = tryParseObject(entry.value) ?? {};
  const leader = textOf(data['leader']);
  const text = data['sync_standby'];
  const names = typeof text === 'string' ? text.split(',').map((name) => name.trim()) : [];
  const others = names.filter((name) => name !== '' && name.toLowerCase() !== leader?.toLowerCase());
  return {
    leader,
    quorum: leader === null ? 0 : (countOf(data['quorum']) ?? 0),
    standbys: [...new Set(others)].sort(compareNames),
    modRevision: entry.modRevision,
  };
}

function decodeHistory(entry: Entry): HistoryEntry[] {
  const lines = tryParse(entry.value);
  if (!Array.isArray(lines)) return [];
  return lines.flatMap((line): HistoryEntry[] => {
    if (!Array.isArray(line)) return [];
    const timeline = countOf(line[0]);
    const switchLsn = lsnOf(line[1]);
    if (timeline === null || timeline === 0 || switchLsn === null) return [];
    const timestamp = textOf(line[3]);
    const newLeader = textOf(line[4]);
    return [
      {
        timeline,
        switchLsn,
        reason: typeof line[2] === 'string' ? line[2] : '',
        ...(timestamp === null ? {} : { timestamp }),
        ...(newLeader === null ? {} : { newLeader }),
      },
    ];
  });
}

function decodeFailsafe({ value, modRevision }: Entry): FailsafeKey {
  const listed = Object.entries(tryParseObject(value) ?? {});
  const map = listed.filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[0] !== '__proto__');
  return { map: Object.fromEntries(map), modRevision };
}

/** A bare integer is the leader's position. */
function decodeStatus(entry: Entry): StatusKey {
  const value = tryParse(entry.value) ?? null;
  if (!isJsonObject(value)) return { optime: lsnOf(value), slots: {}, retainSlots: [] };
  const slots: Record<string, Lsn> = {};
  const listed = inner(value['slots']);
  for (const [slot, position] of isJsonObject(listed) ? Object.entries(listed) : []) {
    const lsn = lsnOf(position);
    if (lsn !== null && slot !== '__proto__') slots[slot] = lsn;
  }
  const retained = inner(value['retain_slots']);
  return {
    optime: lsnOf(value['optime']),
    slots,
    retainSlots: Array.isArray(retained) ? retained.filter((slot): slot is string => typeof slot === 'string') : [],
    ...writesOn(value['writes_on']),
    ...forgotten(value['forgotten']),
  };
}

/** Regent's own. */
function writesOn(value: JsonValue | undefined): Pick<StatusKey, 'writesOn'> {
  if (!isJsonObject(value)) return {};
  const { leader, timeline, beginning: timelineFingerprint } = value;
  if (typeof leader !== 'string' || typeof timeline !== 'number' || typeof timelineFingerprint !== 'string') return {};
  return { writesOn: { leader, timeline, timelineFingerprint } };
}

/** Regent's own. */
function forgotten(value: JsonValue | undefined): Pick<StatusKey, 'forgotten'> {
  if (!isJsonObject(value)) return {};
  const slots = Object.entries(value).flatMap(([slot, at]) =>
    typeof at === 'number' && slot !== '__proto__' ? [[slot, at] as const] : [],
  );
  return slots.length === 0 ? {} : { forgotten: Object.fromEntries(slots) };
}

/** Some stores hold nested values as JSON in a string. */
function inner(value: JsonValue | undefined): JsonValue | undefined {
  return typeof value === 'string' ? tryParse(value) : value;
}
