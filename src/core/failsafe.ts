/**
 * Failsafe mode: Patroni's way to keep a leader where no voters could vouch for it. While etcd does
 * not answer, the leader asks every other member of the map in the key `failsafe`. If all of them
 * agree, it goes on for one ttl, counted from when it asked (authority.ts). Whoever has agreed does
 * not take the lead for one ttl, counted from when it was asked, which is later; and a member that
 * the map does not name never takes it before each that it names says that it does not lead. So
 * nobody is left that could.
 *
 * What a process has agreed to is forgotten when it ends. So for one ttl its successor counts every
 * member of the map as one that may go on by its word, unless that member says that it does not.
 */
import { isKeptByFailsafe } from './authority.ts';
import { type ClusterView, type FailsafeMap, memberOf } from './cluster.ts';
import { type Context, isPrimaryOrSilent } from './context.ts';
import type { Effect } from './effects.ts';
import type { PeerFacts } from './peer-facts.ts';
import { keptLeader } from './quorum/link-facts.ts';

const isEmpty = (map: FailsafeMap): boolean => Object.keys(map).length === 0;

/** The map that is in force; null: there is none, so that it binds nobody. */
export function failsafeMap(view: ClusterView | null): FailsafeMap | null {
  const map = view?.failsafe?.map;
  return map === undefined || isEmpty(map) ? null : map;
}

/** The same, where failsafe mode is on. */
const mapInForce = ({ view, o }: Context): FailsafeMap | null => (o.settings.dynamic.failsafeMode ? failsafeMap(view) : null);

/** Those in the map whose member keys are gone, as that of a leader without etcd is. */
export function failsafeMembersOnly(view: ClusterView): readonly { readonly name: string; readonly apiUrl: string }[] {
  const listed = Object.entries(failsafeMap(view) ?? {}).filter(([name]) => memberOf(view, name) === null);
  return listed.map(([name, apiUrl]) => ({ name, apiUrl }));
}

/**
 * A leader has to ask all that etcd may name now. It may not know what became of a write: then it
 * asks those of both maps. Null: nobody can be asked, because the leader is not named.
 */
export function membersToAsk(me: string, maps: readonly FailsafeMap[]): FailsafeMap | null {
  if (maps.length === 0 || !maps.every((map) => Object.hasOwn(map, me))) return null;
  const all = Object.assign({}, ...maps) as Record<string, string>;
  delete all[me];
  return all;
}

/**
 * Word of that leader itself: it is no primary, and will not be one by what others agreed to. What
 * it has agreed to itself does not matter.
 */
function hasStoodDown(c: Context, leader: string): boolean {
  if (leader === c.me) return true;
  const answer = c.o.peers?.get(leader);
  return answer?.inRecovery === true && answer.failsafe !== leader;
}

/** The leader that this node has agreed with, for a time that is not over; null: none. */
export const agreedWith = ({ o: { nowMs, links } }: Context): string | null => keptLeader(links.agreed, nowMs);

/** The leader that goes on by this node's word, as far as is known; null: none does. */
export function standsBy(c: Context): string | null {
  const leader = agreedWith(c);
  return leader === null || hasStoodDown(c, leader) ? null : leader;
}

/** Another member that has agreed, and the leader that goes on by its word; null: none has. */
export function otherStandsBy(c: Context): { readonly name: string; readonly leader: string } | null {
  const words = [...(c.o.peers?.values() ?? [])].flatMap(({ name, failsafe }: PeerFacts) => (failsafe ? [{ name, leader: failsafe }] : []));
  return words.find(({ leader }) => leader !== c.me && !hasStoodDown(c, leader)) ?? null;
}

/**
 * Members that may go on by the word of this node's agent before the present one; none once one ttl
 * has passed.
 */
export function mayStandBy(c: Context): readonly string[] {
  const { nowMs, links, settings } = c.o;
  const map = mapInForce(c);
  if (map === null || !Object.hasOwn(map, c.me) || nowMs >= links.sinceMs + settings.dynamic.ttlSeconds * 1000) return [];
  return Object.keys(map)
    .filter((name) => name !== c.me && !hasStoodDown(c, name))
    .sort();
}

/**
 * Failsafe mode is on, and a leader without etcd would not ask this node. The map names everybody
 * who can be that leader. So this node need not hold back once each of them says that it is not.
 */
export const isOutsideFailsafe = (c: Context): boolean => goesOnUnasked(c) !== null;

/** Those of the map, which does not name this node, that may go on as leaders; null: none. */
export function goesOnUnasked(c: Context): string | null {
  const map = mapInForce(c);
  if (map === null || Object.hasOwn(map, c.me)) return null;
  const may = Object.keys(map).filter((name) => !hasStoodDown(c, name));
  return may.length === 0 ? null : may.sort().join(' or ');
}

/**
 * May this member agree, by what it knew at the end of its last round? Null: yes; else why not.
 * `as a leader`: it may take writes, or is about to.
 */
export function refusesFailsafe(c: Context): 'as a leader' | 'for an operator' | null {
  if (c.lockMine || c.mayBeWritable || c.o.job?.job.kind === 'promote') return 'as a leader';
  // An operator wants another leader: this one's time must end.
  return c.view?.failover == null ? null : 'for an operator';
}

/** May this node ask others to let it go on? In a pause it goes on anyway. */
export const mayAskForFailsafe = (c: Context): boolean =>
  c.o.settings.dynamic.failsafeMode && isPrimaryOrSilent(c) && !c.paused && c.o.job === null && !c.o.requests.shutdown;

/**
 * The key `failsafe`, when it does not name the members that there are; null: it is as it should
 * be.
 */
export function failsafeKey(c: Context): Effect | null {
  const { view, me } = c;
  if (view === null || !c.o.settings.dynamic.failsafeMode) return null;
  // A member that is added now has not agreed to this leader, and need not wait for it.
  if (isKeptByFailsafe(c.authority, c.o.nowMs)) return null;
  const named = view.members.flatMap(({ name, apiUrl }) => (apiUrl === null ? [] : [[name, apiUrl] as const]));
  // Without this node in it, nobody could go on by it.
  if (!named.some(([name]) => name === me)) return null;
  const now = view.failsafe?.map ?? {};
  const asItIs = named.length === Object.keys(now).length && named.every(([name, url]) => now[name] === url);
  return asItIs
    ? null
    : { kind: 'write-failsafe', map: Object.fromEntries(named), expected: view.failsafe, term: view.leader?.modRevision ?? null };
}
