/**
 * Asks etcd, every member and HAProxy, each with its own deadline. It never fails: the report says
 * what could not be learned.
 */
import { bracketed } from '../../config/hostport.ts';
import { electionHindrance, electionMend, electionOf } from '../../core/advice/election.ts';
import { standbyClusterLine } from '../../core/advice/standby-line.ts';
import { type ClusterView, type Member, memberOf } from '../../core/cluster.ts';
import { clusterModes } from '../../core/cluster-modes.ts';
import { sourceOf } from '../../core/member-source.ts';
import { type Lsn, lagBytes, toLsn } from '../../core/units.ts';
import { type ShownRole, shownRole, shownState } from '../../dialect/cluster-body.ts';
import { ownFacts } from '../../dialect/own-word.ts';
import { isJsonObject, parseJson } from '../../support/big-json.ts';
import { ensureError, RegentError } from '../../support/errors.ts';
import type { JsonObject, JsonValue } from '../../support/json.ts';
import { type Availability, availability, EXPIRED, UNAVAILABLE } from '../availability.ts';
import type { Ctx } from '../context.ts';
import { dynamicOf } from '../dynamic-of.ts';
import { missingSlotsOf } from '../slot-warnings.ts';
import { fenceHealth } from './fence.ts';
import { type HaproxyAccess, readHaproxy } from './haproxy.ts';
import type { HealthReport, MemberHealth } from './report.ts';

const ETCD_MS = 4_000;
const MEMBER_MS = 3_000;

const START_IT = 'start it, because it may have acknowledged commits that no other member has';

type Answer = { readonly body: JsonObject; readonly error: null } | { readonly body: null; readonly error: string };

export interface Collected {
  readonly report: HealthReport;
  readonly view: ClusterView | null;
}

/**
 * etcd is read before the members answer. If the lead went to another one in between, the members'
 * answers do not fit what was read, and all are asked once more.
 */
export async function collect(ctx: Ctx, cluster: string, haproxy: HaproxyAccess | null): Promise<Collected> {
  const first = await collectOnce(ctx, cluster, haproxy);
  if (!first.report.members.some(({ role }) => role === 'primary')) return first;
  const now = await (await ctx.dcs(cluster)).read({ timeoutMs: ETCD_MS }).catch(() => null);
  return now === null || now.leader?.name === first.view?.leader?.name ? first : collectOnce(ctx, cluster, haproxy);
}

async function collectOnce(ctx: Ctx, cluster: string, haproxy: HaproxyAccess | null): Promise<Collected> {
  const dcs = await ctx.dcs(cluster);
  const reading = dcs.read({ timeoutMs: ETCD_MS }).catch((error: unknown) => ensureError(error));
  const names = reading.then((view) => (view instanceof Error ? [] : view.members.map(({ name }) => name)));
  const [read, etcd, proxies] = await Promise.all([reading, dcs.health({ timeoutMs: ETCD_MS }), haproxy && readHaproxy(haproxy, names)]);
  if (read instanceof Error) {
    const mend = read instanceof RegentError && read.mend !== null ? `${read.message.endsWith('.') ? '' : '.'} ${read.mend}` : '';
    return { report: { cluster, dcsError: `${read.message}${mend}`, ...CLUSTER_UNKNOWN, etcd, haproxy: proxies }, view: null };
  }
  const modes = clusterModes(read);
  const members = await membersHealth(ctx, read);
  const report = {
    cluster,
    initialize: read.initialize,
    dcsError: null,
    leader: read.leader?.name ?? null,
    hindrance: read.leader === null ? hindranceOf(read, members) : null,
    paused: modes.paused,
    synchronous: modes.synchronousMode,
    standbyCluster: standbyClusterLine(read, dynamicOf(read), cluster, ctx.called),
    fence: fenceHealth(read),
    members,
    etcd,
    haproxy: proxies,
  };
  return { report, view: read };
}

/** Of a cluster that cannot be read. */
export const CLUSTER_UNKNOWN = {
  initialize: null,
  leader: null,
  hindrance: null,
  paused: false,
  synchronous: 'off',
  standbyCluster: null,
  fence: null,
  members: [],
} as const;

function hindranceOf(view: ClusterView, members: readonly MemberHealth[]): string | null {
  const answers = ({ name }: Member) => members.some((one) => one.name === name && one.unreachable === null);
  const election = electionOf(view, dynamicOf(view), (member) => member.state === 'running' && answers(member));
  const hindrance = electionHindrance(election);
  const mend = electionMend(election);
  return (
    hindrance &&
    `; ${hindrance}${mend === null ? '' : `; ${mend}`}; "regentctl failover --candidate NAME" makes one lead, and says before what it may cost`
  );
}

/**
 * The leader is asked first. A replica that is asked later and has replayed what the leader had
 * then is not behind.
 */
async function membersHealth(ctx: Ctx, view: ClusterView): Promise<MemberHealth[]> {
  const knocking = availability(ctx, view);
  const leader = view.leader && memberOf(view, view.leader.name);
  const leaderAnswer = leader && (await ask(ctx, leader));
  const reference = positionOf(leaderAnswer?.body ?? null, 'location') ?? view.status?.optime ?? null;
  const answered = await Promise.all(
    view.members.map(async (member) => {
      const answer = member === leader && leaderAnswer ? leaderAnswer : await ask(ctx, member);
      return memberHealth(view, member, answer, reference, ctx.io.clock.wallMs());
    }),
  );
  return withAvailability(ctx, answered, await knocking, view.leader !== null);
}

/**
 * A member that has answered meanwhile is available. While nobody leads, the one that is absent may
 * be the only one that has all acknowledged commits: then it must not be given up.
 */
function withAvailability(
  ctx: Ctx,
  members: readonly MemberHealth[],
  { unreachable, absent }: Availability,
  isLed: boolean,
): MemberHealth[] {
  const marked = members.map((member) => {
    const reason = member.unreachable === null ? undefined : unreachable.get(member.name);
    return reason === undefined ? member : { ...member, state: UNAVAILABLE, unreachable: `${member.name} is ${UNAVAILABLE}: ${reason}` };
  });
  const gone = absent.map((name) => ({
    ...NOTHING_KNOWN,
    name,
    unreachable: `${name} is ${UNAVAILABLE}: ${EXPIRED}; ${isLed ? `if it will not come back: ${ctx.program} forget ${name}` : START_IT}`,
  }));
  return [...marked, ...gone].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Of a member that does not answer. */
export const NOTHING_KNOWN = {
  host: '',
  role: 'replica',
  state: UNAVAILABLE,
  timeline: null,
  lagBytes: null,
  lagSeconds: null,
  replayBacklogBytes: null,
  streams: null,
  sourceTrouble: null,
  refused: null,
  clientsWait: null,
  missingLogicalSlots: [],
  promotionTrouble: null,
  strangers: [],
  lockedOut: null,
  unexplained: null,
  failing: [],
  because: null,
  dcs: null,
  untethered: false,
  pendingRestart: false,
  version: null,
} as const;

async function ask(ctx: Ctx, member: Member): Promise<Answer> {
  try {
    const answer = await (await ctx.rest()).call(member, 'GET', 'patroni', { timeoutMs: MEMBER_MS });
    const body = parseJson(answer.text);
    return isJsonObject(body)
      ? { body, error: null }
      : { body: null, error: `member ${member.name} sent an answer that is not understood` };
  } catch (error) {
    const text = ensureError(error).message;
    return { body: null, error: text.includes(member.name) ? text : `member ${member.name}: ${text}` };
  }
}

function memberHealth(view: ClusterView, member: Member, answer: Answer, reference: Lsn | null, nowMs: number): MemberHealth {
  const role = firstHandRole(answer.body, member.name === view.leader?.name, shownRole(view, member));
  const address = sourceOf(member);
  const isLeader = member.name === view.leader?.name;
  const { body } = answer;
  const own = body === null ? {} : ownFacts(body);
  const replayed = positionOf(body, 'replayed_location');
  const received = positionOf(body, 'received_location');
  const behind = isLeader || replayed === null || reference === null ? null : lagBytes(reference, replayed);
  const timeline = body?.['timeline'] ?? member.timeline;
  return {
    name: member.name,
    host: address ? `${bracketed(address.host)}:${address.port}` : '',
    role,
    state: body ? firstHandState(body, role) : shownState(member, role),
    timeline: typeof timeline === 'number' ? timeline : null,
    lagBytes: behind,
    lagSeconds: behind === null ? null : behind === 0 ? 0 : ageSeconds(body, nowMs),
    replayBacklogBytes: received === null || replayed === null ? null : lagBytes(received, replayed),
    streams: body === null || (isLeader && role !== 'standby_leader') ? null : streams(member, body),
    sourceTrouble: textOf(own['source_trouble']),
    refused: textOf(own['standby_cluster_refused']),
    clientsWait: textOf(own['clients_wait']),
    missingLogicalSlots: missingSlotsOf(own) ?? [],
    promotionTrouble: textOf(own['promotion_trouble']),
    strangers: Array.isArray(own['strangers']) ? own['strangers'].map(String) : [],
    lockedOut: isJsonObject(own['locked_out']) ? String(own['locked_out']['reason']) : null,
    unexplained: textOf(own['unexplained']),
    failing: isJsonObject(own['failing']) ? Object.entries(own['failing']).map(([chore, why]) => `${chore}: ${String(why)}`) : [],
    because: textOf(own['because']),
    dcs: textOf(own['dcs']),
    untethered: own['untethered'] === true,
    pendingRestart: member.pendingRestart,
    version: member.version,
    unreachable: answer.error,
  };
}

const textOf = (value: JsonValue | undefined): string | null => (typeof value === 'string' ? value : null);

/**
 * Whether a member without the leader key runs as a primary anyway: the member knows this best. Its
 * key may date from before another member took over.
 */
function firstHandRole(body: JsonObject | null, isLeader: boolean, shown: ShownRole): ShownRole {
  if (isLeader) return shown;
  if (body !== null && PRIMARY_ROLES.has(String(body['role']))) return 'primary';
  return shown === 'primary' ? 'replica' : shown;
}

/** Patroni before 4.0 uses the former name. */
const PRIMARY_ROLES: ReadonlySet<string> = new Set(['primary', 'master']);

/**
 * Like shownState, but from the member's own answer, because the key in etcd may be a loop_wait
 * old.
 */
function firstHandState(body: JsonObject, role: string): string {
  const replication = body['replication_state'];
  return role !== 'leader' && typeof replication === 'string' ? replication : String(body['state'] ?? 'unknown');
}

/** Patroni before 4.0 may not publish it. */
const TELLS_STREAMING = 4;

function streams(member: Member, body: JsonObject): boolean | null {
  if (body['replication_state'] === 'streaming') return true;
  const tells = Number.parseInt(member.version ?? '', 10) >= TELLS_STREAMING;
  return tells && member.tags.nostream !== true ? false : null;
}

function positionOf(body: JsonObject | null, name: string): Lsn | null {
  const wal: JsonValue | undefined = body?.['xlog'] ?? body?.['wal'];
  const value = isJsonObject(wal) ? wal[name] : undefined;
  return (typeof value === 'number' || typeof value === 'bigint') && value > 0 ? toLsn(value) : null;
}

/** The member writes `YYYY-MM-DD HH:MM:SS.ffffff+00:00`. */
function ageSeconds(body: JsonObject | null, nowMs: number): number | null {
  const wal = body?.['xlog'];
  const text = isJsonObject(wal) ? wal['replayed_timestamp'] : null;
  const atMs = typeof text === 'string' ? Date.parse(text.replace(' ', 'T').replace(/(\.\d{3})\d+/, '$1')) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, Math.round((nowMs - atMs) / 100) / 10);
}
