/**
 * What HAProxy should be told, decided without telling it.
 *
 * HAProxy's own health checks go on all the time. `health up` and `health down` are verdicts that hold until `fall` checks have failed or `rise` checks
 * have passed; the agents' REST answers will say the same as etcd does, so the checks confirm what was said here a few seconds earlier. When the two
 * disagree for long, the checks are right about what HAProxy can reach: the primary is raised only for a while after it took office. A server that is
 * not the primary is put down whenever it looks up: etcd knows better who leads.
 *
 * Between two primaries nothing can be served. A connection made then would be refused by the old server (HAProxy tries the same one again a second
 * later) or, with no server up, closed at once. So the frontend stops accepting for that moment (its maxconn becomes 0): connections wait in the
 * kernel's queue, and go on as soon as the new primary is known. That is bounded by `holdMs`, once for each change.
 */
import { type ClusterView, memberOf } from '../core/cluster.ts';

export interface HaproxyServer {
  readonly name: string;
  readonly up: boolean;
  /** False while an operator has it in maintenance or drain, or it has no health checks: left alone. */
  readonly ours: boolean;
  readonly sessions: number;
}

export interface HaproxyState {
  /** Those of the primary backend. */
  readonly servers: readonly HaproxyServer[];
  /** The frontend's limit of connections; null when there is no such frontend, and nothing can be held. */
  readonly frontendLimit: number | null;
}

export type RouterCommand =
  | { readonly kind: 'up' | 'down' | 'cut'; readonly server: string }
  /** limit: what the frontend had, to be restored. */
  | { readonly kind: 'hold'; readonly limit: number }
  /** limit null: nobody remembers it; HAProxy's global one will do. */
  | { readonly kind: 'release'; readonly limit: number | null };

export interface RouterMemory {
  /** `name@revision of the leader key` of the last primary routed to. */
  readonly routed: string | null;
  /** That primary was still serving at the last look. */
  readonly serving: boolean;
  readonly routedAtMs: number;
  readonly hold: { readonly sinceMs: number; readonly limit: number; readonly cause: string } | null;
  /** Causes that have had their hold. */
  readonly spent: readonly string[];
}

export const NEW_ROUTER: RouterMemory = { routed: null, serving: false, routedAtMs: 0, hold: null, spent: [] };

export interface RouterLimits {
  /** Longest time connections may wait for a new primary; 0: never hold. */
  readonly holdMs: number;
  /** How long after a change the primary is raised against the checks' opinion. */
  readonly assertMs: number;
}

export interface RouterInput {
  /** null: etcd could not be read. */
  readonly view: ClusterView | null;
  readonly haproxy: HaproxyState;
  readonly memory: RouterMemory;
  readonly limits: RouterLimits;
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface RouterDecision {
  readonly commands: readonly RouterCommand[];
  readonly memory: RouterMemory;
  /** A sentence for the log when something changes, else null. */
  readonly because: string | null;
}

export function routerCommands(input: RouterInput): RouterDecision {
  const primary = input.view && servingPrimary(input.view);
  if (!primary) return withoutPrimary(input);
  const { memory, haproxy, monotonicMs } = input;
  const key = `${primary.name}@${primary.term}`;
  const fresh = memory.routed !== key || !memory.serving;
  const routed: RouterMemory = {
    ...memory,
    routed: key,
    serving: true,
    routedAtMs: fresh ? monotonicMs : memory.routedAtMs,
    spent: fresh ? [] : memory.spent,
  };
  if (!haproxy.servers.some(({ name }) => name === primary.name)) {
    return release(input, routed, fresh ? `HAProxy has no server named ${primary.name}, which is the primary now` : null);
  }
  const commands = steer(haproxy.servers, primary.name, monotonicMs - routed.routedAtMs <= input.limits.assertMs);
  const because = fresh
    ? `${primary.name} is the primary`
    : commands.length > 0
      ? `HAProxy disagreed that ${primary.name} is the primary`
      : null;
  const cause = handoverCause(input.view!, primary.name, input.wallMs);
  const next =
    cause === null ? release(input, routed, because) : hold(input, routed, cause, `${primary.name} is about to hand over`, because);
  return { ...next, commands: [...commands, ...next.commands] };
}

/** The leader, once its own record says that it is a running primary: before, its promotion is not finished. */
function servingPrimary(view: ClusterView): { readonly name: string; readonly term: string } | null {
  if (!view.leader) return null;
  const member = memberOf(view, view.leader.name);
  return member?.role === 'primary' && member.state === 'running' ? { name: member.name, term: view.leader.modRevision } : null;
}

/** A switchover away from this primary that is due: its server will refuse connections within moments. */
function handoverCause(view: ClusterView, primary: string, wallMs: number): string | null {
  const { failover } = view;
  if (!failover || failover.leader !== primary) return null;
  if (failover.scheduledAtMs !== null && failover.scheduledAtMs > wallMs) return null;
  return `failover@${failover.modRevision}`;
}

function steer(servers: readonly HaproxyServer[], primary: string, assert: boolean): RouterCommand[] {
  const commands: RouterCommand[] = [];
  for (const server of servers) {
    if (server.name === primary && server.ours && !server.up && assert) commands.push({ kind: 'up', server: server.name });
  }
  for (const server of servers) {
    if (server.name === primary) continue;
    if (server.ours && server.up) commands.push({ kind: 'down', server: server.name });
    if (server.ours && server.sessions > 0) commands.push({ kind: 'cut', server: server.name });
  }
  return commands;
}

/** Servers are left as they are: putting the old primary down would turn waiting into refusing, and the checks will see to it if it stays away. */
function withoutPrimary(input: RouterInput): RouterDecision {
  const { memory, view } = input;
  if (!view) return keepOrExpire(input, memory);
  const lost: RouterMemory = { ...memory, serving: false };
  if (memory.routed === null) return release(input, lost, null);
  const name = memory.routed.slice(0, memory.routed.lastIndexOf('@'));
  const sentence = `${name} is no longer the primary, and nobody else is yet`;
  return hold(input, lost, `after ${memory.routed}`, sentence, memory.serving ? sentence : null);
}

/** `beginning` is said when the hold begins, `because` otherwise. */
function hold(input: RouterInput, memory: RouterMemory, cause: string, beginning: string, because: string | null): RouterDecision {
  if (memory.hold) return keepOrExpire(input, { ...memory, hold: { ...memory.hold, cause } }, because);
  const limit = input.haproxy.frontendLimit;
  if (memory.spent.includes(cause) || input.limits.holdMs <= 0 || limit === null || limit === 0) return { commands: [], memory, because };
  const held: RouterMemory = { ...memory, hold: { sinceMs: input.monotonicMs, limit, cause } };
  return { commands: [{ kind: 'hold', limit }], memory: held, because: `${beginning}: new clients wait` };
}

function keepOrExpire(input: RouterInput, memory: RouterMemory, because: string | null = null): RouterDecision {
  if (!memory.hold || input.monotonicMs - memory.hold.sinceMs < input.limits.holdMs) return { commands: [], memory, because };
  const spent = { ...memory, hold: null, spent: [...memory.spent, memory.hold.cause] };
  const sentence = `no primary within ${input.limits.holdMs} ms: clients are no longer kept waiting`;
  return { commands: [{ kind: 'release', limit: memory.hold.limit }], memory: spent, because: sentence };
}

/** Also lifts what a router that died while holding has left. */
function release(input: RouterInput, memory: RouterMemory, because: string | null): RouterDecision {
  const held = memory.hold !== null || input.haproxy.frontendLimit === 0;
  if (!held) return { commands: [], memory, because };
  return { commands: [{ kind: 'release', limit: memory.hold?.limit ?? null }], memory: { ...memory, hold: null }, because };
}
