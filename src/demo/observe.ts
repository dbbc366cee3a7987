/**
 * What a demo looks like from outside: etcd's health, the members' REST API, HAProxy's servers.
 * Short questions; no answer is an answer.
 */
import { createConnection } from 'node:net';
import { exchange } from '../support/http.ts';
import { PRIMARY_BACKEND, REPLICA_BACKEND } from './haproxy-config.ts';
import type { DemoPlan, NodePlan } from './plan.ts';

const ASK_TIMEOUT_MS = 500;
const BODY_BYTES_MAX = 1_000_000;

/** null when nothing answered in time. */
export function httpGet(port: number, path: string): Promise<{ readonly status: number; readonly body: string } | null> {
  return exchange(`http://127.0.0.1:${port}${path}`, {}, { timeoutMs: ASK_TIMEOUT_MS, maxBytes: BODY_BYTES_MAX }).then(
    ({ status, text }) => ({ status, body: text }),
    () => null,
  );
}

function jsonOf(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Names of the members of etcd that say they are healthy. */
export async function healthyEtcd(plan: DemoPlan): Promise<string[]> {
  const answers = await Promise.all(plan.etcd.map((member) => httpGet(member.clientPort, '/health')));
  return plan.etcd.filter((_, index) => jsonOf(answers[index]?.body)['health'] === 'true').map((member) => member.name);
}

/** The node that says it is the leader, or null. */
export async function findLeader(plan: DemoPlan): Promise<string | null> {
  const answers = await Promise.all(plan.nodes.map((node) => httpGet(node.restPort, '/primary')));
  return plan.nodes.find((_, index) => answers[index]?.status === 200)?.name ?? null;
}

/** A member's own word about itself. */
export interface NodeView {
  /** `creating replica`, `running`, `streaming` … */
  readonly state: string;
  readonly isLeader: boolean;
  readonly timeline: number | null;
}

/**
 * `leads`: what /primary answers. The role alone would show a primary that has just lost its lease
 * as a second leader.
 */
export function parseNode(text: string, leads: boolean): NodeView {
  const body = jsonOf(text);
  const { timeline } = body;
  const state = body['replication_state'] ?? body['state'];
  return {
    state: typeof state === 'string' ? state : 'starting',
    isLeader: leads,
    timeline: typeof timeline === 'number' ? timeline : null,
  };
}

/** null while its REST API is not there. */
export async function viewNode(node: NodePlan): Promise<NodeView | null> {
  const answer = await httpGet(node.restPort, '/primary');
  return answer === null ? null : parseNode(answer.body, answer.status === 200);
}

/**
 * Whether the cluster waits for synchronous standbys but has not named any yet, as its leader tells
 * it.
 */
export function lacksStandbys(cluster: string, config: string): boolean {
  const mode = jsonOf(config)['synchronous_mode'];
  if (mode === undefined || mode === false || mode === 'off' || mode === null) return false;
  const { members } = jsonOf(cluster);
  return !(Array.isArray(members) && members.some((member) => ['sync_standby', 'quorum_standby'].includes(member?.role)));
}

export async function waitsForStandbys(leader: NodePlan): Promise<boolean> {
  const [cluster, config] = await Promise.all([httpGet(leader.restPort, '/cluster'), httpGet(leader.restPort, '/config')]);
  return cluster === null || config === null || lacksStandbys(cluster.body, config.body);
}

/** Whether somebody paused the cluster; false while no node can tell. */
export async function isPaused(plan: DemoPlan): Promise<boolean> {
  const answers = await Promise.all(plan.nodes.map((node) => httpGet(node.restPort, '/config')));
  return answers.some((answer) => answer?.status === 200 && jsonOf(answer.body)['pause'] === true);
}

/** One command to HAProxy's runtime API; '' when it does not answer. */
export function askHaproxy(socketPath: string, command: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath);
    let answer = '';
    socket.setEncoding('utf8');
    socket.setTimeout(ASK_TIMEOUT_MS, () => socket.destroy());
    socket.on('connect', () => socket.write(`${command}\n`));
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

export interface Pools {
  readonly write: readonly string[];
  readonly read: readonly string[];
}

/**
 * The servers that are UP in `show stat` (CSV; management guide, section 9.1: pxname, svname,
 * status).
 */
export function parsePools(csv: string): Pools {
  const [header = '', ...lines] = csv.split('\n');
  const columns = header.replace(/^# /, '').split(',');
  const [proxy, server, status] = ['pxname', 'svname', 'status'].map((name) => columns.indexOf(name));
  const up = (backend: string) =>
    lines
      .map((line) => line.split(','))
      .filter((fields) => fields[proxy!] === backend && fields[server!] !== 'BACKEND' && fields[status!]?.startsWith('UP'))
      .map((fields) => fields[server!]!);
  return { write: up(PRIMARY_BACKEND), read: up(REPLICA_BACKEND) };
}

export async function haproxyPools(plan: DemoPlan): Promise<Pools> {
  return parsePools(await askHaproxy(plan.haproxy.runtimeSocket, 'show stat'));
}
