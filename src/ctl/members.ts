/**
 * Which members a command is about (docs/dialect.md, "Which members"), and the table that is
 * printed before the questions.
 */
import { absentMembers } from '../core/absent-members.ts';
import { type ClusterView, type Member, memberOf } from '../core/cluster.ts';
import { clusterBody } from '../dialect/cluster-body.ts';
import type { JsonObject } from '../support/json.ts';
import { EXPIRED, UNAVAILABLE } from './availability.ts';
import type { Format, RoleChoice } from './choices.ts';
import { type Ctx, leaderMember } from './context.ts';
import { type CtlError, refuse } from './errors.ts';
import { renderMembers } from './render/members.ts';

/**
 * Roles as etcd has them: the leader key decides which member leads, not what a member says about
 * itself.
 */
export function membersByRole(view: ClusterView, role: RoleChoice): readonly Member[] {
  const leader = leaderMember(view);
  switch (role) {
    case 'any':
      return view.members;
    case 'leader':
      return leader ? [leader] : [];
    case 'primary':
      return leader && leader.role === 'primary' ? [leader] : [];
    case 'standby-leader':
      return leader && leader.role === 'standby_leader' ? [leader] : [];
    case 'replica':
    case 'standby':
      return view.members.filter((member) => member.name !== view.leader?.name);
  }
}

/**
 * Patroni shows whoever does not hold the leader key as a replica, whatever that member says. One
 * that says it is a primary beside the leader is shown as that: writes may go two ways.
 */
export function shownBody(view: ClusterView, cluster: string): JsonObject {
  return view.leader === null ? patroniBody(view, cluster) : clusterBody(view, cluster);
}

export function patroniBody(view: ClusterView, cluster: string): JsonObject {
  const members = view.members.map((member): Member => (isStray(view, member) ? { ...member, role: 'replica' } : member));
  return clusterBody({ ...view, members }, cluster);
}

/** It says that it is a primary, and does not hold the leader key. */
export const isStray = (view: ClusterView, { name, role }: Member) => role === 'primary' && name !== view.leader?.name;

export async function showMembers(ctx: Ctx, view: ClusterView, cluster: string, format: Format = 'pretty'): Promise<void> {
  const [group, lsn] = await Promise.all([ctx.group(), ctx.showsLsn(undefined, format)]);
  ctx.print(renderMembers(shownBody(view, cluster), { cluster, initialize: view.initialize, group, format, extended: false, lsn }));
}

/** Which member did the operator mean? There are few names, so all of them are shown. */
export function strangerText(view: ClusterView, cluster: string, name: string): string {
  if (absentMembers(view).includes(name)) return `Member ${name} of cluster ${cluster} is ${UNAVAILABLE}: ${EXPIRED}`;
  return `There is no member '${name}' in cluster ${cluster}; ${membersOf(view)}`;
}

function membersOf(view: ClusterView): string {
  return view.members.length === 0 ? 'the cluster has no members' : `members: ${view.members.map((member) => member.name).join(', ')}`;
}

/**
 * A mistyped name must not look like an empty cluster. Null: the cluster exists. The second line
 * says what to do.
 */
export async function absenceOf(ctx: Ctx, view: ClusterView, cluster: string): Promise<string | null> {
  const { initialize, leader, config, members, history } = view;
  if (initialize !== null || leader !== null || config !== null || members.length > 0 || history.length > 0) return null;
  const { namespace, scope } = await ctx.config();
  const group = await ctx.group();
  const place = [namespace, cluster, ...(group === null ? [] : [group])].join('/').replace(/\/+/g, '/').replace(/^\/?/, '/');
  const message = `There is no cluster '${cluster}': etcd has no keys below ${place}/`;
  if (scope === null || scope === cluster) return `${message}\nCheck scope, namespace and the address of etcd (-c FILE, -d URL).`;
  return `${message}\nThe configured cluster is ${scope}; ${membersOf(await ctx.read(scope))}`;
}

/** Says so on standard error. True: there is no such cluster, which is no success. */
export async function warnOfAbsence(ctx: Ctx, view: ClusterView, cluster: string): Promise<boolean> {
  const absence = await absenceOf(ctx, view, cluster);
  if (absence !== null) ctx.io.stderr.write(`${absence}\n`);
  return absence !== null;
}

/** A refusal in Patroni's words, and below them that the cluster does not exist, if that is so. */
export async function refuseFor(ctx: Ctx, view: ClusterView, cluster: string, message: string, mend?: string): Promise<CtlError> {
  return refuse(message, (await absenceOf(ctx, view, cluster)) ?? mend);
}

export interface Target {
  readonly cluster: string;
  readonly names: readonly string[];
  readonly view: ClusterView;
  /** What to say when this cluster turns out not to exist. */
  readonly mend?: string;
}

/**
 * `CLUSTER MEMBER...`, where the cluster may be left out if the configuration names one: the
 * tutorial's `restart patroni1` means the member. If the first word is the name of a cluster, it
 * always means that cluster.
 */
export async function targetOf(ctx: Ctx, words: readonly string[]): Promise<Target> {
  const { scope } = await ctx.config();
  const [first, ...rest] = words;
  if (first === undefined) {
    const cluster = await ctx.cluster(undefined);
    return { cluster, names: [], view: await ctx.read(cluster) };
  }
  const view = await ctx.read(first);
  if (scope && first !== scope && view.members.length === 0) {
    const own = await ctx.read(scope);
    if (own.members.some((member) => member.name === first) || absentMembers(own).includes(first))
      return { cluster: scope, names: words, view: own };
    return {
      cluster: first,
      names: rest,
      view,
      mend: `Cluster ${scope}, the configured one, has no member of this name either; ${membersOf(own)}`,
    };
  }
  return { cluster: first, names: rest, view };
}

export interface Selection {
  readonly role: RoleChoice;
  readonly force: boolean;
  /** The verb in the questions: reload, restart, reinitialize, flush. */
  readonly action: string;
  /** False: the command asks its own question. */
  readonly confirm: boolean;
}

/**
 * Shows the table, picks the members and asks. The result is ordered by name. Throws CTL_REFUSED,
 * Aborted.
 */
export async function selectMembers(ctx: Ctx, target: Target, selection: Selection): Promise<readonly Member[]> {
  const { view, cluster } = target;
  const candidates = membersByRole(view, selection.role);
  if (target.names.length === 0 && candidates.length === 0) {
    const mend = target.mend ?? (await absenceOf(ctx, view, cluster)) ?? undefined;
    throw refuse(`${cluster} cluster doesn't have any members`, mend);
  }
  await showMembers(ctx, view, cluster);
  const names = await chosenNames(ctx, target, candidates, selection);
  const members = candidates.filter((member) => names.includes(member.name));
  if (selection.confirm) await confirmAction(ctx, members, selection);
  return members;
}

/**
 * Every name must be one of the candidates. Patroni passes over a wrong name beside a right one;
 * here it is refused, because the operator meant some member by it.
 */
async function chosenNames(ctx: Ctx, target: Target, candidates: readonly Member[], selection: Selection): Promise<readonly string[]> {
  const available = candidates.map((member) => member.name);
  const { names, view, cluster } = target;
  const reinit = selection.action === 'reinitialize';
  const wrong = names.filter((name) => !available.includes(name));
  const [first] = wrong;
  if (first !== undefined) {
    const role = reinit ? selection.role : `'${selection.role}'`;
    const message = wrong.length === names.length ? `No ${role} among provided members` : `${first} is not a member of cluster`;
    throw await refuseFor(ctx, view, cluster, message, whyNot(view, cluster, first, selection));
  }
  if (names.length > 0) return names;
  if (!reinit) return available;
  if (selection.force) return [];
  const name = await ctx.prompter.text(`Which member do you want to reinitialize [${available.join(', ')}]?`, { fallback: '' });
  if (!available.includes(name)) throw refuse(`${name} is not a member of cluster`, whyNot(view, cluster, name, selection));
  return [name];
}

function whyNot(view: ClusterView, cluster: string, name: string, { role }: Selection): string {
  return memberOf(view, name) === null ? strangerText(view, cluster, name) : `Member ${name} is no ${role}`;
}

/** `at`: the time for which the action is scheduled. Null: now. */
export async function confirmAction(
  ctx: Ctx,
  members: readonly Pick<Member, 'name'>[],
  selection: Pick<Selection, 'force' | 'action'>,
  at: string | null = null,
): Promise<void> {
  if (selection.force) return;
  const names = members.map((member) => member.name).join(', ');
  const question =
    at === null
      ? `Are you sure you want to ${selection.action} members ${names}?`
      : `Are you sure you want to schedule ${selection.action} of members ${names} at ${at}?`;
  if (!(await ctx.prompter.confirm(question))) throw refuse(`Aborted ${at === null ? '' : 'scheduled '}${selection.action}`);
}
