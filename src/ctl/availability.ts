/**
 * Which members are not there, whatever their keys in etcd say: the key of a node that was cut off
 * lasts for up to ttl and tells of better days, and then it is gone and tells nothing. So the tool
 * knocks at every member's REST API, and remembers with the leader whose slots are still kept.
 */
import { bracketed } from '../config/hostport.ts';
import { absentMembers } from '../core/absent-members.ts';
import type { ClusterView, Member } from '../core/cluster.ts';
import { isJsonObject } from '../support/big-json.ts';
import type { JsonObject } from '../support/json.ts';
import type { Ctx } from './context.ts';
import type { Address } from './reach.ts';

export const UNAVAILABLE = 'unavailable';
/**
 * For all members together, names included. A member that needs longer to say hello is no good
 * member.
 */
const REACH_MS = 900;
/**
 * An agent answers this from memory. One that is stopped, or hangs, never does, and its kernel
 * takes the connection all the same.
 */
const MUTE_MS = 2_000;
const MUTE = `takes the connection and says nothing for ${MUTE_MS / 1000} seconds: its agent hangs or is stopped`;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export interface Availability {
  /** Why, by name, in the words of a sentence: `172.20.0.6:8008 does not answer`. */
  readonly unreachable: ReadonlyMap<string, string>;
  /** Members without a key whose slots are kept. */
  readonly absent: readonly string[];
}

export const EXPIRED = 'its key in etcd has expired; its slot is kept for its return';

/**
 * Takes as long as the members take to answer, REACH_MS at most, and MUTE_MS more where one is
 * mute. Never rejects.
 */
export async function availability(ctx: Ctx, view: ClusterView): Promise<Availability> {
  const rest = await ctx.rest();
  const knocks = await Promise.all(
    view.members.map(async (member): Promise<Knock | null> => {
      const address = restAddress(member);
      if (address === null) return null;
      const reason = await ctx.io.reach(address, REACH_MS);
      if (reason !== null) return { member, isReached: false, reason: `${shown(address)} ${reason}` };
      const isMute = await rest.isMute(member, MUTE_MS);
      return { member, isReached: true, reason: isMute ? `${shown(address)} ${MUTE}` : null };
    }),
  );
  const answers = knocks.filter((knock) => knock !== null);
  // Where nobody can be reached, it is the operator who is cut off.
  const someoneThere = answers.some(({ isReached }) => isReached);
  const gone = someoneThere
    ? answers.flatMap(({ member, reason }) => (reason === null || isDown(member) ? [] : [[member.name, reason] as const]))
    : [];
  return { unreachable: new Map(gone), absent: absentMembers(view) };
}

interface Knock {
  readonly member: Member;
  readonly isReached: boolean;
  /** Null: it answers. */
  readonly reason: string | null;
}

/** Said by the member itself before it went, and more exact. */
function isDown(member: Member): boolean {
  return member.state === 'stopped';
}

export function restAddress(member: Member): Address | null {
  if (member.apiUrl === null || !URL.canParse(member.apiUrl)) return null;
  const url = new URL(member.apiUrl);
  const port = url.port === '' ? DEFAULT_PORTS[url.protocol] : Number(url.port);
  return port === undefined || url.hostname === '' ? null : { host: url.hostname.replace(/^\[|\]$/g, ''), port };
}

function shown({ host, port }: Address): string {
  return `${bracketed(host)}:${port}`;
}

/**
 * The body of `/cluster` with what availability() found: the state of who is not there, and a row
 * for who has no key any more.
 */
export function marked(body: JsonObject, { unreachable, absent }: Availability): JsonObject {
  const members = Array.isArray(body['members']) ? body['members'].filter(isJsonObject) : [];
  const present = members.map((member) => {
    if (unreachable.has(String(member['name']))) return unavailable(member);
    return member['unresponsive'] === true ? { ...member, state: 'unknown' } : member;
  });
  const gone = absent.map((name) => unavailable({ name, role: 'replica', lag: 'unknown' }));
  const all = [...present, ...gone].sort((a, b) => (String(a['name']) < String(b['name']) ? -1 : 1));
  return { ...body, members: all };
}

/** The last position is kept as published; how far behind it is by now, nobody knows. */
function unavailable(member: JsonObject): JsonObject {
  const lags = Object.keys(member).filter((key) => key === 'lag' || key.endsWith('_lag'));
  // Nor which role it has: what its key says may be of before it was replaced.
  const role = member['role'] === 'primary' ? { role: 'replica' } : {};
  return { ...member, ...role, state: UNAVAILABLE, ...Object.fromEntries(lags.map((key) => [key, 'unknown'])) };
}

/** One line a member, for below the table. */
export function reasonsOf({ unreachable, absent }: Availability): string[] {
  const reasons = [...unreachable, ...absent.map((name) => [name, EXPIRED] as const)];
  return reasons.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, reason]) => ` ${name} is ${UNAVAILABLE}: ${reason}`);
}
