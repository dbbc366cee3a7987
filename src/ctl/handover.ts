/**
 * switchover and failover by hand (docs/dialect.md, "Switchover and failover"). Here are the
 * questions, the request to the leader, and the request written into etcd when no member can be
 * reached.
 */
import { costOfNaming, electionHindrance, electionMend } from '../core/advice/election.ts';
import { type ClusterView, type Member, mayLead, memberOf, sameName } from '../core/cluster.ts';
import { clusterModes } from '../core/cluster-modes.ts';
import { isoFromEpochMs } from '../support/iso-time.ts';
import type { JsonObject } from '../support/json.ts';
import { shellWord } from '../support/shell-words.ts';
import { availability } from './availability.ts';
import { type Ctx, DCS_TIMEOUT_MS, leaderMember, noAnswer } from './context.ts';
import { electionNow } from './election.ts';
import { type CtlError, refuse } from './errors.ts';
import { awaitRequest, outcomeMs } from './handover-wait.ts';
import { refuseFor, showMembers, strangerText } from './members.ts';
import { operatorName } from './operator-name.ts';
import { type RestAnswer, said } from './rest.ts';
import { slotWarnings } from './slot-warnings.ts';
import { followed, toTakeWrites } from './standby-warnings.ts';
import { localTime, nextHour, parseScheduled } from './time.ts';
import { sentence, warn } from './warn.ts';

export type Action = 'switchover' | 'failover';

export interface HandoverOptions {
  readonly leader?: string;
  readonly candidate?: string;
  readonly scheduled?: string;
  readonly force?: boolean;
}

interface Asked {
  readonly action: Action;
  readonly cluster: string;
  readonly view: ClusterView;
  readonly options: HandoverOptions;
}

interface Plan {
  readonly leader: string | null;
  readonly candidate: string | null;
  /** ISO 8601, or null for now. */
  readonly at: string | null;
}

export async function handOver(ctx: Ctx, action: Action, named: string | undefined, options: HandoverOptions): Promise<number> {
  const cluster = await ctx.cluster(named);
  const view = await ctx.read(cluster);
  ctx.print('Current cluster topology');
  await showMembers(ctx, view, cluster);
  const isRefused = action === 'switchover' && view.leader === null;
  if (clusterModes(view).standbyCluster && !isRefused) warn(ctx, staysStandby(ctx, action, cluster, view));
  const plan = await planOf(ctx, action, cluster, view, options);
  if (!options.force) await confirmed(ctx, action, cluster, view, plan);
  return request(ctx, action, cluster, view, plan);
}

function staysStandby(ctx: Ctx, action: Action, cluster: string, view: ClusterView): string {
  const from = followed(view.config?.data['standby_cluster']);
  return `this is a standby cluster of ${from}: a ${action} changes which member follows it, and none takes writes. ${toTakeWrites(ctx, cluster)}`;
}

async function planOf(ctx: Ctx, action: Action, cluster: string, view: ClusterView, options: HandoverOptions): Promise<Plan> {
  const force = options.force ?? false;
  const current = view.leader?.name ?? null;
  if (action === 'switchover' && current === null) {
    throw await refuseFor(ctx, view, cluster, 'This cluster has no leader', await withoutLeader(ctx, view, cluster));
  }
  const leader = action === 'failover' || force ? (options.leader ?? current) : (options.leader ?? (await askLeader(ctx, view)));
  if (leader !== null && current !== null && leader !== current)
    throw notTheLeader(ctx, { action, cluster, view, options }, leader, current);

  const names = view.members.filter((member) => member.name !== leader && mayLead(member.tags)).map((member) => member.name);
  if (names.length === 0) throw await refuseFor(ctx, view, cluster, `No candidates found to ${action} to`);
  const candidate = options.candidate ?? (force ? '' : await askCandidate(ctx, names));
  if (action === 'failover' && candidate === '') throw refuse('Failover could be performed only to a specific candidate');
  if (candidate !== '' && candidate === leader) throw refuse(`Member ${candidate} is already the leader of cluster ${cluster}`);
  if (candidate !== '' && !names.includes(candidate)) {
    const why = memberOf(view, candidate) === null ? strangerText(view, cluster, candidate) : `It is tagged as nofailover`;
    throw refuse(
      `Member ${candidate} does not exist in cluster ${cluster} or is tagged as nofailover`,
      `${why}. Candidates: ${names.join(', ')}`,
    );
  }
  if (action === 'failover') await warnOfLoss(ctx, view, candidate);
  for (const line of await slotWarnings(ctx, view, candidate === '' ? names : [candidate])) warn(ctx, line);
  if (action === 'failover' && !force && current !== null) await confirmAsynchronous(ctx, view, candidate);
  const at = action === 'failover' ? null : await scheduleOf(ctx, view, options);
  return { leader, candidate: candidate === '' ? null : candidate, at };
}

/** What to do instead of a switchover. */
async function withoutLeader(ctx: Ctx, view: ClusterView, cluster: string): Promise<string> {
  const byName = `name a candidate: ${ctx.called} failover ${cluster} --candidate MEMBER`;
  if (clusterModes(view).paused) return `It is paused, so nobody is elected: ${ctx.called} resume ${cluster}, or ${byName}`;
  const election = await electionNow(ctx, view);
  const hindrance = election && electionHindrance(election);
  if (election === null || hindrance === null) return `Wait for the election, or ${byName}`;
  const mend = electionMend(election);
  return `${sentence(hindrance)}.\n${mend === null ? sentence(byName) : `${sentence(mend)}. Or ${byName}`}`;
}

/** Before the question, and in place of it. A leader that answers hands over in good order. */
async function warnOfLoss(ctx: Ctx, view: ClusterView, candidate: string): Promise<void> {
  const election = await electionNow(ctx, view);
  if (election !== null) for (const line of costOfNaming(election, candidate)) warn(ctx, line);
}

/** Scripts often name a former leader. So does a tutorial after the failover it has just shown. */
function notTheLeader(ctx: Ctx, asked: Asked, named: string, current: string): CtlError {
  const { action, cluster, view, options } = asked;
  const message = `Member ${named} is not the leader of cluster ${cluster}`;
  const stranger = memberOf(view, named) === null ? `${named} is not one of its members. ` : '';
  if (options.candidate === current) return refuse(message, `${current}, the candidate, is already the leader: there is nothing to do`);
  const words = Object.entries({ leader: current, candidate: options.candidate, scheduled: options.scheduled }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} ${shellWord(value)}`],
  );
  return refuse(
    message,
    `${stranger}The leader is ${current}. Use: ${[ctx.called, action, cluster, ...words, ...(options.force ? ['--force'] : [])].join(' ')}`,
  );
}

function askLeader(ctx: Ctx, view: ClusterView): Promise<string> {
  const what = clusterModes(view).standbyCluster ? 'Standby Leader' : 'Primary';
  return ctx.prompter.text(what, { fallback: view.leader?.name ?? '' });
}

function askCandidate(ctx: Ctx, names: readonly string[]): Promise<string> {
  return ctx.prompter.text(`Candidate [${names.map((name) => `'${name}'`).join(', ')}]`, { fallback: '' });
}

async function confirmAsynchronous(ctx: Ctx, view: ClusterView, candidate: string): Promise<void> {
  if (clusterModes(view).synchronousMode === 'off') return;
  if (view.sync?.standbys.some((name) => sameName(name, candidate))) return;
  const question = `Are you sure you want to failover to the asynchronous node ${candidate}?`;
  if (!(await ctx.prompter.confirm(question))) throw refuse('Aborting failover');
}

async function scheduleOf(ctx: Ctx, view: ClusterView, options: HandoverOptions): Promise<string | null> {
  const example = nextHour(ctx.io.clock.wallMs());
  const question = `When should the switchover take place (e.g. ${example} ) `;
  const text = options.scheduled ?? (options.force ? 'now' : await ctx.prompter.text(question, { fallback: 'now' }));
  const at = parseScheduled(text, ctx.io.clock.wallMs());
  if (at && clusterModes(view).paused) throw refuse("Can't schedule switchover in the paused state");
  return at?.iso ?? null;
}

async function confirmed(ctx: Ctx, action: Action, cluster: string, view: ClusterView, plan: Plan): Promise<void> {
  const demoted = plan.leader !== null && view.leader ? `, demoting current leader ${plan.leader}` : '';
  const question =
    plan.at === null
      ? `Are you sure you want to ${action} cluster ${cluster}${demoted}?`
      : `Are you sure you want to schedule ${action} of cluster ${cluster} at ${plan.at}${demoted}?`;
  if (!(await ctx.prompter.confirm(question))) throw refuse(`Aborting ${plan.at === null ? '' : 'scheduled '}${action}`);
}

/**
 * Exit code 0: what was asked for has happened, or is scheduled. Patronictl exits with 0 whatever
 * happened.
 */
async function request(ctx: Ctx, action: Action, cluster: string, view: ClusterView, plan: Plan): Promise<number> {
  const asked = leaderMember(view) ?? (plan.candidate === null ? null : memberOf(view, plan.candidate));
  const stamp = () => localTime(ctx.io.clock.wallMs(), 5);
  const answer = asked && (await post(ctx, action, asked, view, plan));
  let exitCode = 0;
  if (!answer) {
    ctx.print(`${stamp()} Could not ${action} using Patroni api, falling back to DCS`);
    await writeRequest(ctx, action, cluster, plan);
    const told = plan.at === null ? await awaitRequest(ctx, { action, cluster, before: view, candidate: plan.candidate }) : null;
    if (told !== null) ctx.print(`${stamp()} ${told.line}`);
    exitCode = told === null || told.ok ? 0 : 1;
  } else if (answer.status === 200 || answer.status === 202) {
    ctx.print(`${stamp()} ${answer.text}`);
    // Another member leads now. That is not what was asked for.
    exitCode = / instead of "/.test(answer.text) ? 1 : 0;
  } else {
    const what = answer.text.includes('status unknown') ? 'result unknown' : 'failed';
    ctx.print(`${action === 'switchover' ? 'Switchover' : 'Failover'} ${what}, details: ${answer.status}, ${said(answer)}`);
    return 1;
  }
  const after = await ctx.read(cluster);
  await showMembers(ctx, after, cluster);
  if (exitCode === 0 && plan.at === null) await warnOfWaitingCommits(ctx, after);
  return exitCode;
}

/** The last one left leads, but its commits wait until it may do without those that are gone. */
async function warnOfWaitingCommits(ctx: Ctx, view: ClusterView): Promise<void> {
  const { leader, sync } = view;
  if (leader === null || sync === null || clusterModes(view).synchronousMode === 'off') return;
  const awaited = [...sync.standbys, ...(sync.leader === null ? [] : [sync.leader])].filter((name) => !sameName(name, leader.name));
  const { unreachable } = await availability(ctx, view);
  const isGone = (name: string) => {
    const member = view.members.find((one) => sameName(one.name, name));
    return member === undefined || unreachable.has(member.name);
  };
  if (awaited.length === 0 || !awaited.every(isGone)) return;
  const names = [...new Set(awaited)].join(', ');
  ctx.io.stderr.write(
    `Commits on ${leader.name} still wait: its synchronous standbys do not answer (${names}). They go on when it has dropped them, or one is back.\n`,
  );
}

/** Null: the member could not be reached. */
async function post(ctx: Ctx, action: Action, member: Member, view: ClusterView, plan: Plan): Promise<RestAnswer | null> {
  const body: JsonObject = {
    ...(action === 'switchover' && plan.leader !== null ? { leader: plan.leader } : {}),
    ...(plan.candidate === null ? {} : { candidate: plan.candidate }),
    ...(plan.at === null ? {} : { scheduled_at: plan.at }),
  };
  // The member waits this long for the outcome (3.9, step 8).
  const timeoutMs = outcomeMs(view) + 10_000;
  const rest = await ctx.rest();
  try {
    const answer = await rest.call(member, 'POST', action, { body, timeoutMs });
    const tooOld = action === 'switchover' && answer.status === 501 && answer.text.includes('Server does not support this operation');
    return tooOld ? await rest.call(member, 'POST', 'failover', { body, timeoutMs }) : answer;
  } catch (error) {
    if (!noAnswer(error)) throw error;
    ctx.log.warning(error.message);
    return null;
  }
}

async function writeRequest(ctx: Ctx, action: Action, cluster: string, plan: Plan): Promise<void> {
  const failover = {
    ...(action === 'switchover' && plan.leader !== null ? { leader: plan.leader } : {}),
    ...(plan.candidate === null ? {} : { member: plan.candidate }),
    ...(plan.at === null ? {} : { scheduled_at: plan.at }),
    requested_by: operatorName(),
    requested_at: isoFromEpochMs(ctx.io.clock.wallMs()),
  };
  await (await ctx.dcs(cluster)).writeFailover(failover, null, { timeoutMs: DCS_TIMEOUT_MS });
}
