/** All kinds of faults, and the schedule of a run. */
import type { PlannedFault, PlanOptions } from '../plan.ts';
import type { Rng } from '../rng.ts';
import type { World } from '../world.ts';
import { choreFaults } from './chores.ts';
import { copyFaults } from './copies.ts';
import { etcdFaults, laterEtcdFaults } from './etcd.ts';
import { failsafeFaults } from './failsafe.ts';
import type { Fault } from './fault.ts';
import { historyFaults } from './history.ts';
import { identityFaults } from './identity.ts';
import { lockOutFaults } from './locked-out.ts';
import { networkFaults } from './network.ts';
import { nodeFaults } from './nodes.ts';
import { operatorFaults } from './operator.ts';
import { outsideFaults, stagedOutsideFaults } from './outside.ts';
import { laterPostgresFaults, postgresFaults } from './postgres.ts';
import { quorumFaults, stagedQuorumFaults } from './quorum.ts';
import { routingFaults } from './routing.ts';
import { stagedFaults } from './staged.ts';
import { standbyClusterFaults } from './standby-cluster.ts';
import { strangerFaults } from './strangers.ts';
import { togetherFaults } from './together.ts';

/**
 * Each of these is drawn by itself. So a new kind leaves the runs without it as they were: add new
 * kinds here.
 */
const later: Readonly<Record<string, Fault>> = {
  ...choreFaults,
  ...laterEtcdFaults,
  ...identityFaults,
  ...historyFaults,
  ...copyFaults,
  ...strangerFaults,
  ...lockOutFaults,
  ...togetherFaults,
  ...quorumFaults,
  ...failsafeFaults,
  ...laterPostgresFaults,
  ...standbyClusterFaults,
};

const first: Readonly<Record<string, Fault>> = {
  ...nodeFaults,
  ...postgresFaults,
  ...networkFaults,
  ...etcdFaults,
  ...operatorFaults,
  ...routingFaults,
};

export const faults: Readonly<Record<string, Fault>> = {
  ...first,
  ...later,
  ...outsideFaults,
  ...stagedOutsideFaults,
  ...stagedFaults,
  ...stagedQuorumFaults,
};

/** Every kind is in a run or is not. */
export function drawKinds(rng: Rng, share: number): readonly string[] {
  const early = Object.keys(first).filter(() => rng.chance(share));
  return [...early, ...Object.keys(later).filter((kind) => rng.fork(`kind ${kind}`).chance(share))];
}

/** Of a run with a server outside. Most of them are rare among all the others. */
export const outsideKinds = Object.keys(outsideFaults);

export function drawFaults(rng: Rng, options: PlanOptions): readonly PlannedFault[] {
  const planned: PlannedFault[] = [];
  if (options.kinds.length === 0) return planned;
  let at = options.fromMs;
  for (let i = 0; ; i += 1) {
    const own = rng.fork(`fault ${i}`);
    at += Math.round(own.between(0, 2 * options.everyMs));
    if (at >= options.untilMs) return planned;
    const kind = own.pick(options.kinds);
    const args = faults[kind]?.draw(own, options) ?? {};
    planned.push({ at, kind, args });
  }
}

export function applyFault(world: World, { kind, args }: PlannedFault): void {
  const found = faults[kind];
  if (found === undefined) throw new RangeError(`no fault ${kind}`);
  world.trace(`fault ${kind} ${JSON.stringify(args)}`);
  found.apply(world, args);
  // It may have asked an agent for something directly.
  world.sim.touched();
}
