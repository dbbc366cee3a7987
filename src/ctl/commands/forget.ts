/**
 * Forgets a member that will not come back: its key in etcd, and the slot that every node keeps for
 * it.
 */

import type { ClusterView, Member } from '../../core/cluster.ts';
import { memberOf } from '../../core/cluster.ts';
import { forgottenSlots, withForgotten } from '../../core/forgotten.ts';
import { slotNameOf } from '../../core/slot-names.ts';
import { sleep } from '../../ports/clock.ts';
import { isJsonObject, parseJson } from '../../support/big-json.ts';
import { restAddress } from '../availability.ts';
import { type Ctx, DCS_TIMEOUT_MS, leaderMember, noAnswer } from '../context.ts';
import { CtlError, refuse, usage } from '../errors.ts';
import { confirmAction, refuseFor, showMembers, strangerText, targetOf } from '../members.ts';

const REACH_MS = 2000;
const LOOK_MS = 500;
/** Longer than a lease, and longer than two rounds of the leader. */
const GRACE_MS = 5000;

export async function run(ctx: Ctx, words: readonly string[], options: { readonly force?: boolean }): Promise<number> {
  const target = await targetOf(ctx, words.length === 1 ? [await ctx.cluster(undefined), ...words] : words);
  const { cluster, view } = target;
  const [name] = target.names;
  if (name === undefined) throw usage("Missing argument 'MEMBER_NAME'.");
  const slot = slotNameOf(name);
  if (!isKnown(view, name, slot)) throw await refuseFor(ctx, view, cluster, strangerText(view, cluster, name));
  await refuseAlive(ctx, view, name);
  await showMembers(ctx, view, cluster);
  await confirmAction(ctx, [{ name }], { force: options.force ?? false, action: 'forget' });
  await removeKey(ctx, cluster, name);
  const left = await untilDropped(ctx, cluster, name, slot);
  if (left !== null) {
    ctx.print(`Failed: ${name} is forgotten, but its slot ${slot} is still on the leader: ${left}`);
    return 1;
  }
  ctx.print(`Success: ${name} is forgotten; its slot is dropped`);
  const named = (await ctx.read(cluster)).config?.data['slots'];
  if (isJsonObject(named) && Object.hasOwn(named, slot))
    ctx.print(`The cluster's own setting slots names ${slot}: that slot stays until the setting no longer names it`);
  return 0;
}

/**
 * Finds the member by its key, or by the slot that is kept for it. The slot may be all that is left
 * of it.
 */
function isKnown({ members, status }: ClusterView, name: string, slot: string): boolean {
  const kept = status !== null && (status.retainSlots.includes(slot) || status.slots[slot] !== undefined);
  return members.some((member) => member.name === name) || kept;
}

/**
 * Throws CTL_REFUSED: a live member needs the WAL that its slot keeps, and it would be back at
 * once.
 */
async function refuseAlive(ctx: Ctx, view: ClusterView, name: string): Promise<void> {
  const mend = `If ${name} is to go: stop its agent and its PostgreSQL first, then forget it.`;
  const leader = leaderMember(view);
  if (view.leader === null || leader === null)
    throw refuse(`cluster has no leader, and only a leader can forget ${name}`, 'Wait until there is one.');
  if (view.leader.name === name) throw refuse(`${name} is alive: it holds the leader key`, `Switch over to another member first. ${mend}`);
  const same = view.members.find((member) => member.name !== name && slotNameOf(member.name) === slotNameOf(name));
  if (same) throw refuse(`${same.name} is a member and has the same slot name as ${name}`, 'Remove or rename one of the two.');
  const member = memberOf(view, name);
  const address = member === null ? null : restAddress(member);
  if (address !== null && (await ctx.io.reach(address, REACH_MS)) === null) {
    throw refuse(`${name} is alive: it answers on ${address.host}:${address.port}`, mend);
  }
  if (await streams(ctx, leader, name)) throw refuse(`${name} is alive: its PostgreSQL streams from ${leader.name}`, mend);
}

/**
 * Whether a walsender of the leader has its name. If the leader does not answer, the slot will show
 * it.
 */
async function streams(ctx: Ctx, leader: Member, name: string): Promise<boolean> {
  try {
    const body = parseJson((await (await ctx.rest()).call(leader, 'GET', 'patroni')).text);
    const walsenders = isJsonObject(body) && Array.isArray(body['replication']) ? body['replication'] : [];
    return walsenders.some((one) => isJsonObject(one) && one['application_name'] === name);
  } catch (error) {
    if (noAnswer(error)) return false;
    throw error;
  }
}

/**
 * A key on a lease is either still being renewed, or was until a moment ago. Only waiting can tell.
 */
async function removeKey(ctx: Ctx, cluster: string, name: string): Promise<void> {
  const ttlMs = (secondsOf(await ctx.read(cluster), 'ttl') ?? 30) * 1000;
  const end = ctx.io.clock.monotonicMs() + ttlMs + GRACE_MS;
  for (let told = false; ; told = true) {
    const member = memberOf(await ctx.read(cluster), name);
    if (member === null) return;
    if (member.leaseId === null) break;
    if (ctx.io.clock.monotonicMs() >= end) {
      throw refuse(
        `${name} is alive: its key in etcd is still renewed`,
        `It cannot be reached from here. Stop its agent and its PostgreSQL first.`,
      );
    }
    if (!told) ctx.print(`${name} does not answer; waiting for its key in etcd to run out (at most ${Math.ceil(ttlMs / 1000)} s)`);
    await sleep(ctx.io.clock, LOOK_MS);
  }
  await (await ctx.dcs(cluster)).deleteMember(name, { timeoutMs: DCS_TIMEOUT_MS });
}

/**
 * Tells the leader and the others by writing one key, and waits until the leader has dropped the
 * slot. The leader writes that key without reading it first, so it may overwrite the entry once.
 * The entry is then written again. Null: done. Otherwise the reason.
 */
async function untilDropped(ctx: Ctx, cluster: string, name: string, slot: string): Promise<string | null> {
  const dcs = await ctx.dcs(cluster);
  const roundMs = (secondsOf(await ctx.read(cluster), 'loop_wait') ?? 10) * 1000;
  const end = ctx.io.clock.monotonicMs() + 2 * roundMs + GRACE_MS;
  for (;;) {
    const view = await ctx.read(cluster);
    if (memberOf(view, name) !== null) throw new CtlError('CTL_CONFLICT', `${name} has published its key again: it is alive`);
    const kept = view.status?.retainSlots.includes(slot) ?? false;
    if (kept || !forgottenSlots(view).has(slot))
      await dcs.amendStatus((status) => withForgotten(status, slot, ctx.io.clock.wallMs()), { timeoutMs: DCS_TIMEOUT_MS });
    else if (view.status?.slots[slot] === undefined) return null;
    if (ctx.io.clock.monotonicMs() >= end) {
      return kept
        ? 'the leader keeps it; its agent may be too old to know this command'
        : 'something still streams through it, or the leader has not run a round yet; the leader drops it when nothing uses it';
    }
    await sleep(ctx.io.clock, LOOK_MS);
  }
}

function secondsOf(view: ClusterView, key: string): number | null {
  const value = view.config?.data[key];
  return typeof value === 'number' && value > 0 ? value : null;
}
