/**
 * What a demo looks like from outside: etcd's health, the members' REST API, HAProxy's servers.
 * Short questions; no answer is an answer.
 */
import { createConnection } from 'node:net';
import pg from 'pg';
import { isMapping } from '../config/merge.ts';
import { modesOf } from '../core/cluster-modes.ts';
import { codeOf, ensureError } from '../support/errors.ts';
import { exchange } from '../support/http.ts';
import type { JsonObject } from '../support/json.ts';
import { PRIMARY_BACKEND, REPLICA_BACKEND } from './haproxy-config.ts';
import { SUPERUSER } from './node-config.ts';
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

function objectOf(value: unknown): JsonObject {
  return isMapping(value) ? value : {};
}

function jsonOf(text: string | undefined): JsonObject {
  try {
    return objectOf(JSON.parse(text ?? '{}'));
  } catch {
    return {};
  }
}

/** Names of the members of etcd that say they are healthy. */
export async function healthyEtcd(plan: DemoPlan): Promise<string[]> {
  const answers = await Promise.all(plan.etcd.map((member) => httpGet(member.clientPort, '/health')));
  return plan.etcd.filter((_, index) => jsonOf(answers[index]?.body)['health'] === 'true').map((member) => member.name);
}

/** The node that leads. */
export interface Head {
  readonly name: string;
  /** It leads a standby cluster: it takes no writes. */
  readonly isStandby: boolean;
  readonly node: NodePlan;
}

export async function findHead(plan: DemoPlan): Promise<Head | null> {
  const views = await Promise.all(plan.nodes.map(async (node) => ({ node, view: await viewNode(node) })));
  const heads = views.flatMap(({ node, view }) => (view?.isLeader ? [{ name: node.name, isStandby: view.isStandbyLeader, node }] : []));
  return heads.find(({ isStandby }) => !isStandby) ?? heads[0] ?? null;
}

/** The node that says it is the leader, or null. */
export async function findLeader(plan: DemoPlan): Promise<string | null> {
  return (await findHead(plan))?.name ?? null;
}

/** A member's own word about itself. */
export interface NodeView {
  /** `creating replica`, `running`, `streaming` … */
  readonly state: string;
  /** In a standby cluster too. */
  readonly isLeader: boolean;
  readonly isStandbyLeader: boolean;
  readonly timeline: number | null;
}

/**
 * `leads`: what /primary answers. The role alone would show a primary that has just lost its lease
 * as a second leader.
 */
export function parseNode(text: string, leads: boolean): NodeView {
  const body = jsonOf(text);
  const { timeline } = body;
  const isStandbyLeader = body['role'] === 'standby_leader';
  const state = body['replication_state'] ?? body['state'];
  return {
    state: typeof state === 'string' ? state : 'starting',
    isLeader: leads || isStandbyLeader,
    isStandbyLeader,
    timeline: typeof timeline === 'number' ? timeline : null,
  };
}

/** null while its REST API is not there. */
export async function viewNode(node: NodePlan): Promise<NodeView | null> {
  const answer = await httpGet(node.restPort, '/primary');
  return answer === null ? null : parseNode(answer.body, answer.status === 200);
}

/** What three answers of the leader say: GET /cluster, /config and /patroni. */
export interface LeaderAnswers {
  readonly cluster: string;
  readonly config: string;
  readonly status: string;
}

/** Rows `lease.no-voter` and `lease.nobody-leads` of docs/rules.md: /sync is as it was before. */
const SYNC_IS_OLD: ReadonlySet<unknown> = new Set(['lease.no-voter', 'lease.nobody-leads']);

/**
 * What keeps a failover now from being without loss, as its leader tells it: a replica that has not
 * followed it to its timeline, or synchronous replication that is not in force yet.
 */
export function missingBehind({ cluster, config, status }: LeaderAnswers): string | null {
  const { members } = jsonOf(cluster);
  const all = Array.isArray(members) ? members.filter(isMapping) : [];
  const timeline = all.find(({ role }) => role === 'leader' || role === 'standby_leader')?.['timeline'];
  const behind = all.filter((member) => timeline !== undefined && member['timeline'] !== timeline).map(({ name }) => name);
  if (behind.length > 0) return `${behind.join(', ')} not yet on timeline ${timeline}`;
  if (modesOf(jsonOf(config)).synchronousMode === 'off') return null;
  const fence = objectOf(objectOf(jsonOf(status)['regent'])['failover_fence']);
  const confirms = all.some(({ role }) => role === 'sync_standby' || role === 'quorum_standby');
  return confirms && !SYNC_IS_OLD.has(fence['rule']) ? null : 'streaming; waiting for synchronous replication';
}

export async function missingBehindLeader({ restPort }: NodePlan): Promise<string | null> {
  const [cluster, config, status] = await Promise.all(['/cluster', '/config', '/patroni'].map((path) => httpGet(restPort, path)));
  if (!cluster || !config || !status) return 'the leader does not answer';
  return missingBehind({ cluster: cluster.body, config: config.body, status: status.body });
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

/** Whether HAProxy leads writes to the leader alone, and in a standby cluster nowhere. */
export function writesGoTo({ write }: Pools, { name, isStandby }: Head): boolean {
  return write.join() === (isStandby ? '' : name);
}

const WRITE_TIMEOUT_MS = 3000;
/** Invalid authorization: the user's own pg_hba. */
const NOT_LET_IN = /^28/;

/**
 * Commits a few bytes of WAL through HAProxy, which waits for synchronous standbys as any write
 * does. Returns why that failed, null when it is done, or when the demo's user is not let in.
 */
export async function tryWrite(plan: DemoPlan): Promise<string | null> {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port: plan.haproxy.writePort, user: SUPERUSER.username, password: SUPERUSER.password, database: 'postgres' },
    ...{ connectionTimeoutMillis: WRITE_TIMEOUT_MS, query_timeout: WRITE_TIMEOUT_MS },
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query("SELECT pg_logical_emit_message(true, 'regent demo', 'ready')");
    return null;
  } catch (error) {
    return NOT_LET_IN.test(codeOf(error) ?? '') ? null : ensureError(error).message;
  } finally {
    await client.end().catch(() => undefined);
  }
}
