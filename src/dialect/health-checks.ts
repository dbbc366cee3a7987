/**
 * The HTTP code of a health check, from the last observation alone. Load balancers are configured
 * with these paths; which code each gives in which state is Patroni's, so that a pool may hold
 * nodes of both.
 */
import type { ClusterView } from '../core/cluster.ts';
import { modesOf } from '../core/cluster-modes.ts';
import type { Settings } from '../core/settings.ts';
import { type Lsn, maxLsn } from '../core/units.ts';
import type { AgentStatus, Standing } from '../ports/agent-status.ts';
import { replicationState, servedRole } from './member-record.ts';
import { shownPostgresState, syncStanding } from './status-body.ts';

/** Query parameters, first value of each. */
export type Query = ReadonlyMap<string, string>;

interface Check {
  readonly query: Query;
  readonly status: Standing;
  readonly view: ClusterView | null;
  readonly settings: Settings;
  readonly role: string;
}

interface RoleCodes {
  readonly leader: boolean;
  readonly primary: boolean;
  readonly standbyLeader: boolean;
  readonly replica: boolean;
}

/** 200 or 503. `path` comes without its query. */
export function healthCheck(path: string, query: Query, status: Standing, view: ClusterView | null, settings: Settings): number {
  const check: Check = { query, status, view, settings, role: servedRole(status, settings) };
  return isHealthy(path === '/' ? '/primary' : path, check) ? 200 : 503;
}

/** Whether what is asked depends on how far this member is behind at this very moment. */
export const limitsLag = (query: Query): boolean => parseBytes(query.get('lag')) !== null;

/**
 * 200 while the loop goes round. A stuck primary is reported within ttl, before somebody else may
 * take over.
 */
export function livenessCheck(status: AgentStatus, settings: Settings): number {
  if (status.paused) return 200;
  const runningPrimary = status.sql !== null && !status.sql.inRecovery;
  const graceMs = settings.dynamic.ttlSeconds * 1000 * (runningPrimary ? 1 : 2);
  return status.nextRoundAtMs + graceMs > status.nowMs ? 200 : 503;
}

/**
 * 200 on the leader and on a standby that streams and is not far behind.
 * `lag`: bytes or with a unit; `mode=write`: count what is received, not replayed.
 */
export function readinessCheck(query: Query, status: AgentStatus, view: ClusterView | null, settings: Settings): number {
  if (status.isLeader) return 200;
  const { sql } = status;
  if (shownPostgresState(status) !== 'running' || sql === null || replicationState(sql) !== 'streaming') return 503;
  const ahead = leaderLsn(status, view);
  if (ahead === null) return status.failsafeMode?.isActive ? 200 : 503;
  const reached = query.get('mode') === 'write' ? (sql.receiveLsn ?? sql.replayLsn) : sql.replayLsn;
  const allowed = parseBytes(query.get('lag')) ?? settings.dynamic.maximumLagOnFailoverBytes;
  return isBehind(ahead, reached, allowed) ? 503 : 200;
}

const READ_ONLY_OF_THE_SET: ReadonlySet<string> = new Set(['/read-only-quorum', '/read-only-sync', '/read-only-synchronous']);

/** First match decides; the order and the plain substring tests are Patroni's. */
function isHealthy(path: string, check: Check): boolean {
  const codes = roleCodes(check);
  const has = (...words: string[]): boolean => words.some((word) => path.includes(word));
  if (has('standby_leader', 'standby-leader')) return codes.standbyLeader;
  if (has('leader')) return codes.leader;
  if (has('master', 'primary', 'read-write')) return codes.primary;
  if (!tagsMatch(check)) return false;
  if (has('replica')) return codes.replica;
  const writable = codes.primary || codes.standbyLeader;
  if (has('read-only') && !has('sync', 'quorum')) return writable || codes.replica;
  if (has('health')) return shownPostgresState(check.status) === 'running';
  if (writable && READ_ONLY_OF_THE_SET.has(path)) return true;
  // Who is in the synchronous set is etcd's to say.
  if (check.view === null) return false;
  const standing = syncStanding(check.status, check.view, check.settings);
  switch (path) {
    case '/sync':
    case '/synchronous':
    case '/read-only-sync':
    case '/read-only-synchronous':
      return codes.replica && standing === 'sync_standby';
    case '/quorum':
    case '/read-only-quorum':
      return codes.replica && standing === 'quorum_standby';
    case '/async':
    case '/asynchronous':
      return codes.replica && standing === null;
    default:
      return false;
  }
}

function roleCodes(check: Check): RoleCodes {
  const { status, view, settings, role } = check;
  const replica = isServingReplica(check);
  if (view === null && status.paused) {
    const [primary, standbyLeader] = [role === 'primary', role === 'standby_leader'];
    return { leader: primary || standbyLeader, primary, standbyLeader, replica };
  }
  if (!status.isLeader) return { leader: false, primary: false, standbyLeader: false, replica };
  if (!modesOf(settings.dynamic.raw).standbyCluster) {
    // Between taking the key and the end of promotion the server refuses writes: Patroni answers
    // 200 even then and clients see errors.
    return { leader: true, primary: status.sql?.inRecovery !== true, standbyLeader: false, replica };
  }
  return { leader: true, primary: false, standbyLeader: role === 'replica' || role === 'standby_leader', replica: false };
}

function isServingReplica({ query, status, view, settings, role }: Check): boolean {
  const { sql } = status;
  if (sql === null || role !== 'replica' || shownPostgresState(status) !== 'running' || settings.local.tags.noloadbalance) return false;
  const wanted = query.get('replication_state');
  if (wanted !== undefined && wanted !== replicationState(sql)) return false;
  const allowed = parseBytes(query.get('lag'));
  const ahead = leaderLsn(status, view);
  return allowed === null || ahead === null || !isBehind(ahead, sql.replayLsn, allowed);
}

/** The furthest position of the leader this node has heard of. */
function leaderLsn(status: Standing, view: ClusterView | null): Lsn | null {
  return maxLsn(view?.status?.optime, status.sql?.receiver?.latestEndLsn);
}

function isBehind(ahead: Lsn, reached: Lsn | null, allowedBytes: number): boolean {
  return Number(ahead - (reached ?? 0n)) > allowedBytes;
}

/** Every `tag_<name>=<value>` must equal the configured tag, as text. */
function tagsMatch({ query, settings }: Check): boolean {
  const tags: Readonly<Record<string, unknown>> = settings.local.tags;
  for (const [parameter, wanted] of query) {
    if (!parameter.startsWith('tag_')) continue;
    const name = parameter.slice('tag_'.length);
    const value = Object.hasOwn(tags, name) ? tags[name] : null;
    if (value === null || value === undefined) return false;
    if ((typeof value === 'string' ? value : String(value).toLowerCase()) !== wanted) return false;
  }
  return true;
}

const BYTES_PER_UNIT: Readonly<Record<string, number>> = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };

/**
 * PostgreSQL's way with units (case matters, 1024 to the step). Null when absent or not a size: no
 * limit then.
 */
export function parseBytes(text: string | undefined): number | null {
  const match = /^\s*([-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)\s*([A-Za-z]*)\s*$/.exec(text ?? '');
  if (!match) return null;
  const factor = match[2] === '' ? 1 : BYTES_PER_UNIT[match[2]!];
  return factor === undefined ? null : Math.round(Number(match[1]) * factor);
}
