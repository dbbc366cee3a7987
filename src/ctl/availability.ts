/**
 * Finds the members that are not there, whatever their keys in etcd say. The key of a node that was
 * cut off stays for up to ttl and is out of date. Then it is gone, and nothing shows the member any
 * more. So the tool connects to every member's REST API, and asks the leader which slots it still
 * keeps.
 */
import { bracketed, unbracketed } from '../config/hostport.ts';
import { absentMembers } from '../core/absent-members.ts';
import type { ClusterView, Member } from '../core/cluster.ts';
import { isJsonObject } from '../support/big-json.ts';
import type { JsonObject } from '../support/json.ts';
import type { Ctx } from './context.ts';
import type { Address } from './reach.ts';

export const UNAVAILABLE = 'unavailable';
/**
 * The time for all members together, name resolution included. A member that needs longer to accept
 * a connection is not well.
 */
const REACH_MS = 900;
/**
 * An agent answers this from memory. An agent that is stopped or hangs never answers, although its
 * kernel accepts the connection.
 */
const MUTE_MS = 2_000;
const MUTE = `accepts the connection and sends nothing for ${MUTE_MS / 1000} seconds: its agent hangs or is stopped`;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export interface Availability {
  /**
   * The reason by member name, worded as the end of a sentence: `172.20.0.6:8008 does not answer`.
   */
  readonly unreachable: ReadonlyMap<string, string>;
  /** Members without a key whose slots are kept. */
  readonly absent: readonly string[];
}

export const EXPIRED = 'its key in etcd has expired; its slot is kept for its return';

/**
 * Takes as long as the members need to answer: at most REACH_MS, and MUTE_MS more if a member
 * accepts the connection and stays silent. Never rejects.
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
  // If no member can be reached, the operator's own host is cut off.
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

/** The member published this itself before it stopped, and it is more exact. */
function isDown(member: Member): boolean {
  return member.state === 'stopped';
}

export function restAddress(member: Member): Address | null {
  if (member.apiUrl === null || !URL.canParse(member.apiUrl)) return null;
  const url = new URL(member.apiUrl);
  const port = url.port === '' ? DEFAULT_PORTS[url.protocol] : Number(url.port);
  return port === undefined || url.hostname === '' ? null : { host: unbracketed(url.hostname), port };
}

function shown({ host, port }: Address): string {
  return `${bracketed(host)}:${port}`;
}

/**
 * The body of `/cluster` with what availability() found. It has the state of each member that is
 * not there, and a row for each member that no longer has a key.
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

/** The last position stays as published. How far behind the member is now is not known. */
function unavailable(member: JsonObject): JsonObject {
  const lags = Object.keys(member).filter((key) => key === 'lag' || key.endsWith('_lag'));
  // Its role is not known either: its key may date from before another member took over.
  const role = member['role'] === 'primary' ? { role: 'replica' } : {};
  return { ...member, ...role, state: UNAVAILABLE, ...Object.fromEntries(lags.map((key) => [key, 'unknown'])) };
}

/** One line for each member, printed below the table. */
export function reasonsOf({ unreachable, absent }: Availability): string[] {
  const reasons = [...unreachable, ...absent.map((name) => [name, EXPIRED] as const)];
  return reasons.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, reason]) => ` ${name} is ${UNAVAILABLE}: ${reason}`);
}
