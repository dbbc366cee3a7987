/**
 * What HAProxy should be told, decided without telling it.
 *
 * HAProxy's own health checks go on all the time. `health up` and `health down` are verdicts that
 * hold until `fall` checks have failed or `rise` checks have passed; the agents' REST answers will
 * say the same as etcd does, so the checks confirm what was said here a few seconds earlier. When
 * the two disagree for long, the checks are right about what HAProxy can reach: the primary is
 * raised only for a while after it took office. A server that is not the primary is put down
 * whenever it looks up: etcd knows better who leads.
 *
 * Between two primaries nothing is said. With no server up HAProxy closes a new connection at once;
 * while the old one still counts as up, a refused connection is tried again
 * (`retries`, each after the shorter of `timeout connect` and 1 s, on another server with `option
 * redispatch 1`), and so reaches the new primary without an error. Holding clients by the
 * frontend's maxconn would be quicker, but raising it from 0 again with clients waiting deadlocks
 * HAProxy (haproxy/haproxy#2726, seen with 2.6.12: its own watchdog kills it).
 */
import { type ClusterView, memberOf } from '../core/cluster.ts';

export interface HaproxyServer {
  readonly name: string;
  readonly up: boolean;
  /**
   * False while an operator has it in maintenance or drain, or it has no health checks: left alone.
   */
  readonly ours: boolean;
  readonly sessions: number;
}

/** The servers of the primary backend. */
export type HaproxyState = readonly HaproxyServer[];

export interface RouterCommand {
  /** cut: end all its sessions. */
  readonly kind: 'up' | 'down' | 'cut';
  readonly server: string;
}

export interface RouterMemory {
  /** `name@revision of the leader key` of the last primary routed to. */
  readonly routed: string | null;
  /** That primary was still serving at the last look. */
  readonly serving: boolean;
  readonly routedAtMs: number;
}

export const NEW_ROUTER: RouterMemory = { routed: null, serving: false, routedAtMs: 0 };

/** More than HAProxy takes to try a connection again: the shorter of `timeout connect` and 1 s. */
export const CUT_AFTER_MS = 1000;

export interface RouterInput {
  readonly view: ClusterView;
  readonly haproxy: HaproxyState;
  readonly memory: RouterMemory;
  /** How long after a change the primary is raised against the checks' opinion. */
  readonly assertMs: number;
  readonly monotonicMs: number;
}

export interface RouterDecision {
  readonly commands: readonly RouterCommand[];
  readonly memory: RouterMemory;
  /** A sentence for the log when something changes, else null. */
  readonly because: string | null;
}

export function routerCommands({ view, haproxy, memory, assertMs, monotonicMs }: RouterInput): RouterDecision {
  const primary = servingPrimary(view);
  if (!primary) {
    const lost = memory.serving ? (view.leader ? `${view.leader.name} leads, but is not a running primary (yet)` : 'nobody leads') : null;
    return { commands: [], memory: { ...memory, serving: false }, because: lost };
  }
  const key = `${primary.name}@${primary.term}`;
  const fresh = memory.routed !== key || !memory.serving;
  const routed: RouterMemory = { routed: key, serving: true, routedAtMs: fresh ? monotonicMs : memory.routedAtMs };
  if (!haproxy.some(({ name }) => name === primary.name)) {
    return {
      commands: [],
      memory: routed,
      because: fresh ? `HAProxy has no server named ${primary.name}, which is the primary now` : null,
    };
  }
  const inOfficeMs = monotonicMs - routed.routedAtMs;
  const commands = steer(haproxy, primary.name, { assert: inOfficeMs <= assertMs, cut: inOfficeMs >= CUT_AFTER_MS });
  if (fresh) return { commands, memory: routed, because: `${primary.name} is the primary` };
  return { commands, memory: routed, because: overruled(commands) ? `HAProxy disagreed that ${primary.name} is the primary` : null };
}

/**
 * The leader, once its own record says that it is a running primary: before, its promotion is not
 * finished.
 */
function servingPrimary(view: ClusterView): { readonly name: string; readonly term: string } | null {
  if (!view.leader) return null;
  const member = memberOf(view, view.leader.name);
  return member?.role === 'primary' && member.state === 'running' ? { name: member.name, term: view.leader.modRevision } : null;
}

function overruled(commands: readonly RouterCommand[]): boolean {
  return commands.some(({ kind }) => kind !== 'cut');
}

/**
 * The primary first: while both look up, a client may still be refused and tried again; with none
 * up it is sent away.
 *
 * Sessions are cut only once the primary has been in office for CUT_AFTER_MS. HAProxy 3.0 forgets
 * the client of a session that is ended while it is still being connected (seen with 3.0.11: the
 * client gets neither an answer nor an end until `timeout client`). By then whoever was being
 * connected to the old primary has been tried again on the new one, and what is left there is
 * established.
 */
function steer(
  servers: HaproxyState,
  primary: string,
  { assert, cut }: { readonly assert: boolean; readonly cut: boolean },
): RouterCommand[] {
  const mine = servers.filter(({ ours }) => ours);
  const raise = mine.filter(({ name, up }) => name === primary && !up && assert);
  const others = mine.filter(({ name }) => name !== primary);
  return [
    ...raise.map(({ name }) => ({ kind: 'up', server: name }) as const),
    ...others.flatMap(({ name, up, sessions }) => [
      ...(up ? [{ kind: 'down', server: name } as const] : []),
      ...(sessions > 0 && cut ? [{ kind: 'cut', server: name } as const] : []),
    ]),
  ];
}
