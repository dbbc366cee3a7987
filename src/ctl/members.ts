/**
 * Which members a command is about (docs/dialect.md, "Which members"), and the table that is
 * printed before the questions.
 */
import { absentMembers } from '../core/absent-members.ts';
import type { ClusterView, Member } from '../core/cluster.ts';
import { clusterBody } from '../dialect/cluster-body.ts';
import { EXPIRED, UNAVAILABLE } from './availability.ts';
import type { RoleChoice } from './choices.ts';
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

export function showMembers(ctx: Ctx, view: ClusterView, cluster: string): void {
  const options = { cluster, initialize: view.initialize, format: 'pretty', extended: false, lsn: false } as const;
  ctx.print(renderMembers(clusterBody(view, cluster), options));
}

/** Which member did the operator mean? There are few names, so all of them are shown. */
export function noSuchMember(view: ClusterView, cluster: string, name: string): CtlError {
  if (absentMembers(view).includes(name)) return refuse(`Member ${name} of cluster ${cluster} is ${UNAVAILABLE}: ${EXPIRED}`);
  return refuse(`There is no member '${name}' in cluster ${cluster}; ${membersOf(view)}`);
}

function membersOf(view: ClusterView): string {
  return view.members.length === 0 ? 'the cluster has no members' : `members: ${view.members.map((member) => member.name).join(', ')}`;
}

/**
 * For commands that show what a cluster has: a mistyped name must not look like an empty cluster.
 * Throws CTL_REFUSED.
 */
export async function existing(ctx: Ctx, cluster: string): Promise<ClusterView> {
  const view = await ctx.read(cluster);
  const { initialize, leader, config, members, history } = view;
  if (initialize !== null || leader !== null || config !== null || members.length > 0 || history.length > 0) return view;
  const { namespace, scope } = await ctx.config();
  const message = `There is no cluster '${cluster}': etcd has no keys below ${['', namespace.replace(/^\/+|\/+$/g, ''), cluster, ''].join('/').replace('//', '/')}`;
  if (scope === null || scope === cluster) throw refuse(message, 'Check scope, namespace and the address of etcd (-c FILE, -d URL).');
  throw refuse(message, `The configured cluster is ${scope}; ${membersOf(await ctx.read(scope))}`);
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
  if (target.names.length === 0 && candidates.length === 0) throw refuse(`${cluster} cluster doesn't have any members`, target.mend);
  showMembers(ctx, view, cluster);
  const isMember = (name: string) => view.members.some((member) => member.name === name);
  const named = target.names.find((name) => !isMember(name));
  if (named !== undefined) throw noSuchMember(view, cluster, named);
  const names = await chosenNames(ctx, target.names, candidates, selection);
  const unknown = names.find((name) => !candidates.some((member) => member.name === name));
  if (unknown !== undefined) throw isMember(unknown) ? notWithRole(unknown, selection) : noSuchMember(view, cluster, unknown);
  const members = candidates.filter((member) => names.includes(member.name));
  if (selection.confirm) await confirmAction(ctx, members, selection);
  return members;
}

function notWithRole(name: string, selection: Selection): CtlError {
  return refuse(`Member ${name} is no ${selection.role}`);
}

async function chosenNames(ctx: Ctx, given: readonly string[], candidates: readonly Member[], selection: Selection): Promise<string[]> {
  const available = candidates.map((member) => member.name);
  const reinit = selection.action === 'reinitialize';
  if (given.length > 0) {
    const chosen = available.filter((name) => given.includes(name));
    const role = reinit ? selection.role : `'${selection.role}'`;
    if (chosen.length === 0) throw refuse(`No ${role} among provided members`);
    return chosen;
  }
  if (!reinit) return available;
  if (selection.force) return [];
  return [await ctx.prompter.text(`Which member do you want to reinitialize [${available.join(', ')}]?`, { fallback: '' })];
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
