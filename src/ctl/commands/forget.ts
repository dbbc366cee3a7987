/**
 * Gives up a member that does not come back: its key, and the slot that every node keeps for it.
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
import { confirmAction, noSuchMember, showMembers, targetOf } from '../members.ts';

const REACH_MS = 2000;
const LOOK_MS = 500;
/** Beyond a lease, or beyond two rounds of the leader. */
const GRACE_MS = 5000;

export async function run(ctx: Ctx, words: readonly string[], options: { readonly force?: boolean }): Promise<number> {
  if (words.length === 0) throw usage("Missing argument 'MEMBER'.");
  const target = await targetOf(ctx, words.length === 1 ? [await ctx.cluster(undefined), ...words] : words);
  const { cluster, view } = target;
  const [name, ...others] = target.names;
  if (name === undefined || others.length > 0) throw usage('Write one member: forget [CLUSTER] MEMBER');
  const slot = slotNameOf(name);
  if (!isKnown(view, name, slot)) throw noSuchMember(view, cluster, name);
  await refuseAlive(ctx, view, name);
  showMembers(ctx, view, cluster);
  await confirmAction(ctx, [{ name } as Member], { force: options.force ?? false, action: 'forget' });
  await removeKey(ctx, cluster, name);
  const left = await untilDropped(ctx, cluster, name, slot);
  if (left !== null) {
    ctx.print(`Failed: ${name} is forgotten, but its slot ${slot} is still on the leader: ${left}`);
    return 1;
  }
  ctx.print(`Success: ${name} is forgotten; its slot is dropped and kept no longer`);
  const named = (await ctx.read(cluster)).config?.data['slots'];
  if (isJsonObject(named) && Object.hasOwn(named, slot))
    ctx.print(`The cluster's own setting slots names ${slot}: that slot stays until it is taken out there`);
  return 0;
}

/**
 * By its key, or by the slot that is kept: of a name that is spelled otherwise nothing else may be
 * left.
 */
function isKnown({ members, status }: ClusterView, name: string, slot: string): boolean {
  const kept = status !== null && (status.retainSlots.includes(slot) || status.slots[slot] !== undefined);
  return members.some((member) => member.name === name) || kept;
}

/**
 * Throws CTL_REFUSED: forgetting a member that lives would take WAL from it that it needs, and it
 * would be back at once.
 */
async function refuseAlive(ctx: Ctx, view: ClusterView, name: string): Promise<void> {
  const mend = `If ${name} is to go: stop its agent and its PostgreSQL first, then forget it.`;
  const leader = leaderMember(view);
  if (view.leader === null || leader === null) throw refuse(`cluster has no leader that could forget ${name}`, 'Wait until there is one.');
  if (view.leader.name === name) throw refuse(`${name} is alive: it holds the leader key`, `Switch over to another member first. ${mend}`);
  const same = view.members.find((member) => member.name !== name && slotNameOf(member.name) === slotNameOf(name));
  if (same) throw refuse(`the slot of ${name} is that of ${same.name} too, which is there`, 'Remove or rename one of the two.');
  const member = memberOf(view, name);
  const address = member === null ? null : restAddress(member);
  if (address !== null && (await ctx.io.reach(address, REACH_MS)) === null) {
    throw refuse(`${name} is alive: it answers on ${address.host}:${address.port}`, mend);
  }
  if (await streams(ctx, leader, name)) throw refuse(`${name} is alive: its PostgreSQL streams from ${leader.name}`, mend);
}

/**
 * Whether a walsender of the leader carries its name. A leader that does not answer tells nothing;
 * its slot will.
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

/** A key on a lease is renewed by somebody, or was a moment ago: only time tells which. */
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
 * Tells the leader, and the others by the same key, and waits until the leader has no such slot.
 * The leader writes the key without looking, so what was told may be overwritten once, and is told
 * again. Null: done; else why not.
 */
async function untilDropped(ctx: Ctx, cluster: string, name: string, slot: string): Promise<string | null> {
  const dcs = await ctx.dcs(cluster);
  const roundMs = (secondsOf(await ctx.read(cluster), 'loop_wait') ?? 10) * 1000;
  const end = ctx.io.clock.monotonicMs() + 2 * roundMs + GRACE_MS;
  for (;;) {
    const view = await ctx.read(cluster);
    if (memberOf(view, name) !== null) throw new CtlError('CTL_CONFLICT', `${name} has published itself again: it is alive`);
    const kept = view.status?.retainSlots.includes(slot) ?? false;
    if (kept || !forgottenSlots(view).has(slot))
      await dcs.amendStatus((status) => withForgotten(status, slot, ctx.io.clock.wallMs()), { timeoutMs: DCS_TIMEOUT_MS });
    else if (view.status?.slots[slot] === undefined) return null;
    if (ctx.io.clock.monotonicMs() >= end) {
      return kept
        ? 'the leader keeps it: is it an agent that knows no forgetting?'
        : 'something streams through it, or no round of the leader has passed; it goes once nothing uses it';
    }
    await sleep(ctx.io.clock, LOOK_MS);
  }
}

function secondsOf(view: ClusterView, key: string): number | null {
  const value = view.config?.data[key];
  return typeof value === 'number' && value > 0 ? value : null;
}
