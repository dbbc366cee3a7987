/**
 * Whether a member is left that may lead by its settings. If not, that is for the operator to
 * settle, and no leader is waited for.
 */
import { type ClusterView, clusterTimeline, mayLead } from '../../src/core/cluster.ts';
import { lagBytes } from '../../src/core/units.ts';
import type { Machine } from './machine.ts';
import type { SimServer } from './server.ts';
import { type Branch, isPrefix } from './wal.ts';
import type { World } from './world.ts';

export function nobodyMayLead(world: World): boolean {
  const view = world.etcd.view();
  if (isForOperator(world) || areVotersLost(world, view)) return true;
  return world.machines.every(
    (machine) =>
      machine.server.dir !== 'valid' ||
      hasForgotten(world, view, machine) ||
      !mayLead(machine.tags) ||
      hasLeft(view, machine.server) ||
      isNotNamed(world, view, machine) ||
      lacksVotes(world, view, machine) ||
      isTooFarBehind(world, view, machine),
  );
}

/**
 * One was opened by hand, and data were lost elsewhere: which of them to keep only an operator can
 * say (docs/limits.md).
 */
function isForOperator({ machines }: World): boolean {
  const byHand = machines.some(({ server }) => server.dir === 'valid' && isOnBranchByHand(server.position.branch));
  return byHand && machines.some(({ server }) => server.dir !== 'valid' || server.forgetful);
}

function isOnBranchByHand(branch: Branch): boolean {
  for (let at: Branch | null = branch; at !== null; at = at.parent) if (at.isByHand) return true;
  return false;
}

/**
 * The leader has lost its data, and fewer voters have theirs than an election needs. No fault does
 * that by itself, but /sync may ask for more at the same moment, or the leader was alone.
 */
function areVotersLost({ machines, orders }: World, { sync }: ClusterView): boolean {
  if (sync?.leader == null) return false;
  const has = (name: string) =>
    machines.some((machine) => machine.name === name && machine.server.dir === 'valid' && !machine.server.forgetful);
  if (sync.standbys.length === 0) return orders.mode !== 'off' && !has(sync.leader);
  if (sync.quorum === 0) return false;
  return !has(sync.leader) && sync.standbys.filter(has).length <= sync.quorum;
}

/** Its WAL goes on where the cluster's history has turned off. */
function hasLeft({ history }: ClusterView, { position: { branch, lsn } }: SimServer): boolean {
  return history.some((entry) => entry.timeline === branch.timeline && lsn > entry.switchLsn);
}

/** A backup was restored on one whose word counts. */
function hasForgotten({ orders }: World, { sync }: ClusterView, { name, server }: Machine): boolean {
  return orders.mode !== 'off' && server.forgetful && sync?.leader != null && [sync.leader, ...sync.standbys].includes(name);
}

function isNotNamed({ orders }: World, { sync }: ClusterView, { name }: Machine): boolean {
  return orders.mode === 'on' && sync?.leader != null && ![sync.leader, ...sync.standbys].includes(name);
}

/**
 * In quorum mode, after data were lost: the votes that are left are too few without one that is
 * ahead and may not lead (docs/limits.md).
 */
function lacksVotes({ machines }: World, { sync }: ClusterView, { name, server }: Machine): boolean {
  if (sync?.leader == null || sync.leader === name || sync.quorum === 0) return false;
  const voters = machines.filter((other) => other.name !== name && sync.standbys.includes(other.name) && other.server.dir === 'valid');
  const behind = voters.filter((other) => isPrefix(other.server.position, server.position));
  const votes = behind.length + Number(sync.standbys.includes(name));
  return votes <= sync.quorum && voters.some((other) => !behind.includes(other) && !mayLead(other.tags));
}

/**
 * maximum_lag_on_failover, on the timeline that the last leader was on when it last told its
 * position.
 */
function isTooFarBehind(world: World, view: ClusterView, { name, server }: Machine): boolean {
  const { branch, lsn } = server.position;
  const { orders } = world;
  const optime = view.status?.optime ?? null;
  if (isDecidedBySync(world, view, name)) return false;
  return optime !== null && branch.timeline <= (clusterTimeline(view) ?? 1) && lagBytes(optime, lsn) > orders.maximumLagBytes;
}

/**
 * Whether that member may lead is settled by the names in /sync, or by votes: it then has what was
 * promised, however far behind it is.
 */
export function isDecidedBySync({ orders }: World, { sync }: ClusterView, name: string): boolean {
  if (sync?.leader == null) return false;
  if (orders.mode === 'off') return sync.standbys.length > 0;
  return orders.mode === 'quorum' || sync.quorum > 0 || [sync.leader, ...sync.standbys].includes(name);
}
