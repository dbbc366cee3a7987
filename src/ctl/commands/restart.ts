import type { ClusterView, Member } from '../../core/cluster.ts';
import { clusterModes } from '../../core/cluster-modes.ts';
import type { JsonObject } from '../../support/json.ts';
import { shellWord } from '../../support/shell-words.ts';
import type { RoleChoice } from '../choices.ts';
import { untilConfigIsRead } from '../config-read.ts';
import type { Ctx } from '../context.ts';
import { refuse } from '../errors.ts';
import { failed, failureLine, memberRequests, succeeded } from '../member-requests.ts';
import { confirmAction, selectMembers, type Target, targetOf } from '../members.ts';
import { said } from '../rest.ts';
import { nextHour, parseScheduled, type ScheduledTime } from '../time.ts';

export interface RestartOptions {
  readonly role: RoleChoice;
  readonly any?: boolean;
  readonly scheduled?: string;
  readonly pgVersion?: string;
  readonly pending?: boolean;
  readonly timeout?: string;
  /** Restart the others even if one restart failed. */
  readonly keepGoing?: boolean;
  readonly force?: boolean;
}

/**
 * Patroni's primary_start_timeout and primary_stop_timeout at their defaults limit a restart. This
 * is longer than both.
 */
const RESTART_MS = 900_000;

export async function run(ctx: Ctx, words: readonly string[], options: RestartOptions): Promise<number> {
  const named = await targetOf(ctx, words);
  const target = { ...named, view: await untilConfigIsRead(ctx, named.cluster, named.view) };
  const force = options.force ?? false;
  const selected = await selectMembers(ctx, target, { role: options.role, force, action: 'restart', confirm: false });
  const at = parseScheduled(options.scheduled ?? (force ? null : await askWhen(ctx)), ctx.io.clock.wallMs());
  // Without a schedule, the members that need the restart are chosen now. With one, that is decided
  // at the scheduled time.
  const pending = options.pending ? selected.filter((member) => member.pendingRestart) : selected;
  const members = inOrder(target.view, at === null ? pending : selected);
  if (options.pending && at !== null) await confirmPending(ctx, members, force, at);
  else await confirmAction(ctx, members, { force, action: 'restart' }, at?.iso.replace('T', ' ') ?? null);
  if (at === null) {
    warnOfLimits(ctx, target.view, members);
    warnOfBroken(ctx, target.view, members);
  }
  const content = await contentOf(ctx, target, options, at);
  const rest = await ctx.rest();
  const conditional = options.pending === true || content['postgres_version'] !== undefined;
  const ask = async (member: Member) => {
    if (at !== null && force && member.scheduledRestart) {
      const flushed = await rest.call(member, 'DELETE', 'restart');
      if (flushed.status >= 400) ctx.print(failureLine('flush scheduled restart', member, flushed));
    }
    const answer = await rest.call(member, 'POST', 'restart', { body: content, timeoutMs: RESTART_MS });
    if (answer.status === 200) return succeeded(`Success: restart on member ${member.name}`);
    if (answer.status === 202) return succeeded(`Success: restart scheduled on member ${member.name}`);
    if (answer.status === 409) return failed(`Failed: another restart is already scheduled on member ${member.name}`);
    if (conditional && said(answer) === NOT_NEEDED) return succeeded(`Skipped: restart on member ${member.name}, ${NOT_NEEDED}`);
    return answer;
  };
  const brake = (left: readonly Member[]) => stopped(ctx, target.cluster, left, options);
  return memberRequests(ctx, options.any ? pickOne(ctx, members) : members, {
    action: 'restart',
    ask,
    ...(at !== null || options.keepGoing ? {} : { brake }),
  });
}

/** The answer of a member that does not meet the conditions. */
const NOT_NEEDED = 'restart conditions are not satisfied';

/**
 * What prevented one member from starting again (a setting, a full disk) may prevent the next one
 * too.
 */
function stopped(ctx: Ctx, cluster: string, left: readonly Member[], { pending, pgVersion, timeout }: RestartOptions): string {
  const names = left.map((member) => member.name);
  const again = [
    ctx.called,
    'restart',
    ...[cluster, ...names].map(shellWord),
    ...(pending ? ['--pending'] : []),
    ...(pgVersion === undefined ? [] : ['--pg-version', shellWord(pgVersion)]),
    ...(timeout === undefined ? [] : ['--timeout', shellWord(timeout)]),
  ];
  return (
    `Not restarted: ${names.join(', ')}, because a restart failed. Find the cause (list, that member's log), then continue: ${again.join(' ')}\n` +
    'With --keep-going, a failed restart does not keep the others from being restarted.'
  );
}

/** A standby pauses replay if it has a lower value of one of these than its primary. */
const LIMITS = ['max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction'];

/**
 * The leader would have a higher value than replicas that also need a restart but are not going to
 * be restarted.
 */
function warnOfLimits(ctx: Ctx, view: ClusterView, members: readonly Member[]): void {
  const leader = members.find((member) => member.name === view.leader?.name);
  const raised = raisedBy(leader);
  if (leader === undefined || raised.length === 0) return;
  const chosen = new Set(members.map((member) => member.name));
  const left = view.members.filter(({ name, pendingRestartReason }) => {
    return !chosen.has(name) && raised.some((limit) => isRaised(pendingRestartReason?.[limit]));
  });
  if (left.length === 0) return;
  const names = left.map((member) => member.name).join(', ');
  ctx.io.stderr.write(
    `Warning: ${leader.name} leads and will have a higher ${raised.join(', ')} than ${names}: replay stops there, and they restart for it, perhaps all at once. Restart the replicas first.\n`,
  );
}

/**
 * Members whose PostgreSQL did not come up are restarted first: if that fails again, no other is
 * touched. The leader is restarted last if it gets a higher value than its replicas have.
 */
function inOrder(view: ClusterView, members: readonly Member[]): readonly Member[] {
  const leader = members.find((member) => member.name === view.leader?.name);
  const place = (member: Member) => {
    if (isBroken(member)) return 0;
    return member === leader && raisedBy(leader).length > 0 ? 2 : 1;
  };
  return [...members].sort((a, b) => place(a) - place(b));
}

const isBroken = ({ state }: Member) => state === 'start failed' || state === 'restart failed' || state === 'crashed';

/** A broken member that was not chosen tells nothing about whether the others would come up. */
function warnOfBroken(ctx: Ctx, view: ClusterView, members: readonly Member[]): void {
  const left = view.members.filter((member) => isBroken(member) && !members.some(({ name }) => name === member.name));
  for (const { name, state } of left) {
    ctx.io.stderr.write(
      `Warning: the state of ${name} is '${state}'. What keeps it from starting may keep the others from starting again: see its log first.\n`,
    );
  }
}

const raisedBy = (member: Member | undefined) => LIMITS.filter((limit) => isRaised(member?.pendingRestartReason?.[limit]));

const isRaised = (reason: { readonly old_value: string; readonly new_value: string } | undefined) =>
  reason !== undefined && Number(reason.new_value) > Number(reason.old_value);

function askWhen(ctx: Ctx): Promise<string> {
  const example = nextHour(ctx.io.clock.wallMs());
  return ctx.prompter.text(`When should the restart take place (e.g. ${example}) `, { fallback: 'now' });
}

async function confirmPending(ctx: Ctx, members: readonly Member[], force: boolean, at: ScheduledTime): Promise<void> {
  if (force) return;
  const names = members.map((member) => member.name).join(', ');
  const question =
    `Are you sure you want to schedule restart of members ${names} at ${at.iso}? ` +
    'Which of them need it (pending restart) is determined at that time.';
  if (!(await ctx.prompter.confirm(question))) throw refuse('Aborted scheduled restart');
}

async function contentOf(ctx: Ctx, { view }: Target, options: RestartOptions, at: ScheduledTime | null): Promise<JsonObject> {
  const asked = options.pgVersion === undefined && !options.force;
  const version = asked
    ? await ctx.prompter.text('Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) ', { fallback: '' })
    : (options.pgVersion ?? '');
  const content: JsonObject = {};
  if (options.pending) content['restart_pending'] = true;
  if (version !== '') content['postgres_version'] = checkedVersion(version);
  if (at) {
    if (clusterModes(view).paused) throw refuse("Can't schedule restart in the paused state");
    content['schedule'] = at.iso;
  }
  if (options.timeout !== undefined) content['timeout'] = options.timeout;
  return content;
}

/** X.Y or X.Y.Z. */
function checkedVersion(version: string): string {
  const parts = version.trim().split('.');
  if (!parts.every((part) => /^\d{1,4}$/.test(part))) throw refuse(`Invalid PostgreSQL version: ${version}`);
  if (parts.length < 2 || parts.length > 3) {
    throw refuse(`Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: ${version}`);
  }
  return version.trim();
}

function pickOne(ctx: Ctx, members: readonly Member[]): readonly Member[] {
  const at = Math.floor(ctx.io.clock.random() * members.length);
  return members.slice(at, at + 1);
}
