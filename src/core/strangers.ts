/**
 * Strangers: servers that stream from this primary under the name of a member without being it.
 * PostgreSQL knows standbys by application_name alone, and counts what a stranger has flushed for
 * the member. So commits that only a stranger confirmed are lost with this primary.
 *
 * What tells them apart, the surest first:
 *   slot       another walsender uses the member's slot. A slot has one user, so this is certain
 *              at once, whatever the network does to addresses.
 *   twins      two walsenders have one name, and both go on replying. When a member reconnects, its
 *              old walsender never replies again.
 *   position   it has confirmed WAL that the member has not received, as the member says in etcd,
 *              for longer than that word can be old.
 * Addresses prove nothing (proxies, NAT, several networks on a host); the operator is told them.
 */
import { type Member, sameName } from './cluster.ts';
import type { Context } from './context.ts';
import type { Effect } from './effects.ts';
import type { WalsenderFacts } from './postgres-facts.ts';
import { slotNameOf } from './slot-names.ts';
import { type Claim, noStrangers, type Stranger, type StrangerMemory } from './stranger-memory.ts';
import { parseSyncNames, realNames } from './sync-names.ts';
import { type Lsn, ZERO_LSN } from './units.ts';
import { includes } from './voters.ts';

/**
 * A stranger that is gone may be back: a standby that lost its connection tries again every few
 * seconds.
 */
const SUSPECT_MS = 30_000;
/** A standby replies at least every 10 s, unless it was told otherwise. */
const REPLY_MS = 15_000;
/**
 * Time for writing a member's key and reading it. It is added to two rounds of the member, or to
 * the life of its key where nothing else speaks against the walsender.
 */
const WORD_SLACK_MS = 5000;
const NO_WAL: ReadonlySet<string> = new Set(['stopped', 'start failed', 'crashed', 'stop failed', 'creating replica']);

/** PostgreSQL counts its confirmations, or is about to. A base backup confirms nothing. */
const confirms = ({ state, flushLsn }: WalsenderFacts) => (state === 'streaming' || state === 'catchup') && flushLsn !== null;

export function rememberStrangers(c: Context, before: StrangerMemory): StrangerMemory {
  const { sql } = c.o.pg;
  // While the server does not answer its walsenders may go on as they were.
  if (sql === null) return c.o.pg.postmaster === null ? noStrangers : before;
  if (!c.isPrimary) return noStrangers;
  if (c.view === null) return before;
  const claims = claimsNow(c, before.claims);
  const present = strangersAmong(c, claims, before.present);
  const suspects: Record<string, { seenAtMs: number; count: number }> = {};
  const listed = [...realNames(parseSyncNames(sql.synchronousStandbyNames)), ...(c.view.sync?.standbys ?? [])];
  for (const [name, known] of Object.entries(before.suspects))
    if (includes(listed, name) || c.o.nowMs - known.seenAtMs < SUSPECT_MS) suspects[name] = known;
  for (const { name } of present) {
    const count = present.filter((other) => other.name === name).length;
    suspects[name] = { seenAtMs: c.o.nowMs, count: Math.max(count, suspects[name]?.count ?? 0) };
  }
  return { claims, suspects, present };
}

/** A name that PostgreSQL may have counted a stranger under, since it was waited for last. */
export function isSuspect(c: Context, name: string): boolean {
  return Object.keys(c.m.strangers.suspects).some((other) => sameName(other, name));
}

/** How many confirmations of a commit may have come from strangers, under these names. */
export function strangersUnder(c: Context, names: readonly string[]): number {
  let count = 0;
  for (const [name, suspect] of Object.entries(c.m.strangers.suspects)) if (includes(names, name)) count += suspect.count;
  return count;
}

/**
 * Only a stranger's member may confirm, and a server streams under one of these names: waiting for
 * them goes on. It proves no copy, but going on alone would wait for no standby at all. It ends
 * with the suspicion, so that the names come back as of a position that no stranger has confirmed.
 */
export function keepsWaiting(c: Context, names: readonly string[]): boolean {
  const isRecent = Object.entries(c.m.strangers.suspects).some(
    ([name, { seenAtMs }]) => includes(names, name) && c.o.nowMs - seenAtMs < SUSPECT_MS,
  );
  const streams = ({ state, applicationName }: WalsenderFacts) => state === 'streaming' && includes(names, applicationName);
  return isRecent && c.o.pg.sql?.replication.some(streams) === true;
}

/**
 * Ends the walsenders of strangers, where the settings ask for that. One that may be the member's
 * own is left alone.
 */
export function expel(c: Context): readonly Effect[] {
  if (!c.o.settings.dynamic.terminateStrangers || c.paused) return [];
  const certain = c.m.strangers.present.filter((stranger) => stranger.certain);
  return certain.map(({ pid, name }) => ({ kind: 'end-walsender', pid, name }));
}

export function describeStranger({ name, pid, address, user, because }: Stranger): string {
  return `another server streams under the name of ${name}: walsender ${pid}, from ${address ?? 'a local socket'}, as ${user}: ${because}`;
}

/** Strangers that are present, and names that do not count yet because a stranger used them. */
export function describeStrangers({ present, suspects }: StrangerMemory): readonly string[] {
  const gone = Object.keys(suspects).filter((name) => !present.some((stranger) => stranger.name === name));
  return [
    ...present.map(describeStranger),
    ...gone.map(
      (name) => `another server streamed under the name of ${name} a moment ago; ${name} counts again ${SUSPECT_MS / 1000} s after that`,
    ),
  ];
}

/** Lines of the log: which strangers have appeared, and whose names are free again. */
export function strangerNotes(before: StrangerMemory, after: StrangerMemory): readonly { level: 'warning' | 'info'; text: string }[] {
  const fresh = after.present.filter(({ pid }) => !before.present.some((known) => known.pid === pid));
  const cleared = Object.keys(before.suspects).filter((name) => after.suspects[name] === undefined);
  return [
    ...fresh.map((stranger) => ({
      level: 'warning' as const,
      text: `${describeStranger(stranger)}. ${stranger.name} does not confirm commits until that server is stopped or given another application_name`,
    })),
    ...cleared.map((name) => ({ level: 'info' as const, text: `no other server streams under the name of ${name} any more` })),
  ];
}

/** How far the member is by its own word; null: it says nothing. */
function ownWord(member: Member): Lsn | null {
  return member.lsn ?? (NO_WAL.has(member.state) ? ZERO_LSN : null);
}

function claimsNow(c: Context, before: StrangerMemory['claims']): StrangerMemory['claims'] {
  const claims: Record<number, Claim> = {};
  for (const sender of c.o.pg.sql?.replication ?? []) {
    const member = memberUnder(c, sender);
    const word = member === null ? null : ownWord(member);
    if (word === null || sender.flushLsn === null || !confirms(sender)) continue;
    const known = before[sender.pid];
    if (known !== undefined && word < known.lsn) claims[sender.pid] = known;
    else if (word < sender.flushLsn) claims[sender.pid] = { lsn: sender.flushLsn, sinceMs: c.o.nowMs };
  }
  return claims;
}

function memberUnder(c: Context, sender: WalsenderFacts): Member | null {
  return c.view?.members.find(({ name }) => name !== c.me && sameName(name, sender.applicationName)) ?? null;
}

function strangersAmong(c: Context, claims: StrangerMemory['claims'], before: StrangerMemory['present']): readonly Stranger[] {
  const { sql } = c.o.pg;
  if (sql === null || c.view === null) return [];
  const names = new Map<string, string>();
  const listed = [...realNames(parseSyncNames(sql.synchronousStandbyNames)), ...(c.view.sync?.standbys ?? [])];
  for (const name of [...c.view.members.map((member) => member.name), ...listed])
    if (!sameName(name, c.me) && !names.has(name.toLowerCase())) names.set(name.toLowerCase(), name);
  const found: Stranger[] = [];
  for (const [lower, name] of names) {
    const senders = sql.replication.filter((sender) => sender.applicationName.toLowerCase() === lower && confirms(sender));
    if (senders.length > 0) found.push(...strangersOf(c, name, senders, claims, before));
  }
  return found;
}

function strangersOf(
  c: Context,
  name: string,
  senders: readonly WalsenderFacts[],
  claims: StrangerMemory['claims'],
  before: StrangerMemory['present'],
): readonly Stranger[] {
  const slot = c.o.pg.sql?.slots.find((candidate) => candidate.name === slotNameOf(name));
  const owner = slot?.active ? (slot.activePid ?? null) : null;
  const as = (because: string, certain: boolean) => (sender: WalsenderFacts) => ({
    name,
    pid: sender.pid,
    address: sender.clientAddr,
    user: sender.usename,
    because,
    certain,
  });
  if (owner !== null) {
    // A slot that a walsender of another name uses says nothing of these.
    const proves = c.o.pg.sql?.replication.some((sender) => sender.pid === owner && sameName(sender.applicationName, name)) === true;
    if (proves)
      return senders
        .filter(({ pid }) => pid !== owner)
        .map(as(`the slot ${slotNameOf(name)} of ${name} is in use by walsender ${owner}`, true));
  }
  // While the member is away nothing contradicts it, but it is the same stranger as before.
  const known = before.filter((one) => one.certain && one.name === name && senders.some(({ pid }) => pid === one.pid));
  if (known.length > 0) return known;
  const live = senders.filter(({ pid }) => repliesOn(c, pid, senders));
  if (live.length > 1) return live.map(as('two walsenders of this name go on replying, and nothing tells which is the member', false));
  // An etcd that takes no writes does not store the member's word either.
  if (c.m.chores.status !== undefined) return [];
  const { loopWaitSeconds, ttlSeconds } = c.o.settings.dynamic;
  const unused = c.o.settings.dynamic.useSlots && slot?.active === false;
  const patienceMs = (unused ? 2 * loopWaitSeconds : Math.max(ttlSeconds, 2 * loopWaitSeconds)) * 1000 + WORD_SLACK_MS;
  const ahead = senders.filter(({ pid }) => c.o.nowMs - (claims[pid]?.sinceMs ?? c.o.nowMs) > patienceMs);
  return ahead.map(as(`it has confirmed WAL that ${name}, by its own word, has not received`, false));
}

/** It has replied since all of them have been there, and lately. */
function repliesOn(c: Context, pid: number, all: readonly WalsenderFacts[]): boolean {
  const heard = c.m.replies[pid];
  const since = Math.max(...all.map((sender) => c.m.replies[sender.pid]?.sinceMs ?? Number.POSITIVE_INFINITY));
  return heard !== undefined && heard.seenAtMs > since && c.o.nowMs - heard.seenAtMs < REPLY_MS;
}
