/**
 * Carries a plan out: faults while it lasts, then everything is mended, and the cluster has to come
 * back within a bound.
 */
import { ensureError } from '../../src/support/errors.ts';
import { nobodyMayLead } from './electable.ts';
import { pauseForGood } from './faults/history.ts';
import { applyFault } from './faults/index.ts';
import { boundsOf, mend, supervise } from './mend.ts';
import { describePlan, type Outcome, type Plan } from './plan.ts';
import { Routing } from './routing.ts';
import { switchSites } from './switch-sites.ts';
import { isPrefix } from './wal.ts';
import { World } from './world.ts';

const COMMITS = 5;
/** So long nothing changes any more. */
const STABLE_MS = 60_000;
const CALM_MS = 30_000;
/**
 * Clients are busy around a fault, so that it strikes in the middle of commits and its end is seen
 * at once.
 */
const BEFORE_FAULT_MS = 1000;
const AFTER_FAULT_MS = 10_000;
const TAIL = 200;

export interface RunHooks {
  /** Called before anything runs: the place to break an agent on purpose. */
  readonly arrange?: (world: World) => void;
}

type Failure = Pick<Outcome, 'verdict' | 'message'> & { readonly invariant?: string };

export async function runPlan(plan: Plan, hooks: RunHooks = {}): Promise<Outcome> {
  const { outside, ...rest } = plan.options;
  const world = new World({ ...rest, ...(outside && { outside }), seed: plan.seed });
  world.trace(describePlan(plan));
  hooks.arrange?.(world);
  let failure: Failure | null = null;
  try {
    failure = await carryOut(plan, world);
  } catch (error) {
    failure = violationOf(world) ?? { verdict: 'crash', message: ensureError(error).stack ?? String(error) };
  }
  world.clients.stop();
  return {
    ...(failure ?? { verdict: 'pass', message: '' }),
    hash: world.hash(),
    virtualMs: world.sim.now,
    events: world.sim.events,
    acknowledged: world.clients.acknowledged.length,
    tail: world.lines.slice(-TAIL),
  };
}

async function carryOut(plan: Plan, world: World): Promise<Failure | null> {
  const { options, faults } = plan;
  world.startAll();
  if (options.clients.haproxy) world.routing = new Routing(world);
  world.clients.start(options.clients);
  for (const fault of faults) {
    world.sim.at(Math.max(0, fault.at - BEFORE_FAULT_MS), () => world.clients.rush(BEFORE_FAULT_MS + AFTER_FAULT_MS));
    world.sim.at(fault.at, () => applyFault(world, fault));
  }
  await world.sim.until(() => world.checkers.violations.length > 0, options.untilMs);
  if (world.checkers.violations.length > 0) return violationOf(world);
  mend(world);
  supervise(world);
  const switched = await switchSites(world);
  if (switched.failed !== null)
    return violationOf(world) ?? { verdict: 'liveness', invariant: 'S22', message: `${switched.failed}\n${world.describe()}` };
  let failure = await recover(world, []);
  if (failure === null && switched.drained) failure = lacksOutside(world);
  // What the agents have in mind from before the end of all faults may come to pass yet.
  await world.sim.until(() => world.checkers.violations.length > 0, world.orders.ttlMs + CALM_MS);
  failure ??= (await recover(world, [])) ?? (await stay(world));
  if (failure !== null || options.leftBroken.length === 0) return failure;
  // Now that all is well, some go for good, and the others have to do without them.
  if (options.leftHow === 'full') return recover(await withoutRoom(world), options.leftBroken);
  const gone = options.leftBroken.filter((name) => world.checkers.promises.canLose(world.node(name)));
  if (options.leftHow === 'hindered') hinder(world);
  if (options.leftHow === 'locked-out') for (const { server } of world.machines) server.lockedOut = true;
  if (options.leftHow === 'paused') for (const machine of world.machines) pauseForGood(machine);
  const stuck = options.leftHow === 'read-only' ? withFullDisk(world, gone) : [];
  for (const name of gone) {
    if (options.leftHow === 'deaf') world.net.cutOneWay('etcd', name);
    else world.node(name).crash();
  }
  // Who cannot hear leads until its lease is over.
  if (options.leftHow === 'deaf') await world.sim.until(() => world.checkers.violations.length > 0, 2 * world.orders.ttlMs);
  return recover(world, [...gone, ...stuck]);
}

/**
 * There is something to do everywhere that cannot be done: a slot to make, a file to write. Nothing
 * else may depend on it.
 */
function hinder(world: World): void {
  for (const { server } of world.machines) {
    server.slotsTaken = true;
    server.stuckFiles = 'access';
  }
  world.patchConfig({ slots: { wanted: { type: 'physical' } } });
}

/**
 * A standby that answers, and whose disk takes nothing: it cannot follow any member, and no member
 * should wait for it.
 */
function withFullDisk(world: World, gone: readonly string[]): readonly string[] {
  const stuck = world.machines.find(({ name, server }) => !gone.includes(name) && server.inRecovery);
  if (stuck === undefined) return [];
  stuck.server.full = 'wal';
  stuck.server.stuckFiles = 'all';
  return [stuck.name];
}

/**
 * Nobody could take the lead now: who has it must keep it, also as an agent that was just started.
 */
async function withoutRoom(world: World): Promise<World> {
  world.etcd.full = true;
  const leader = world.leader;
  leader?.killAgent();
  leader?.startAgent();
  await world.sim.until(() => world.checkers.violations.length > 0, 2 * world.orders.ttlMs);
  return world;
}

/** Strict mode, and no standby is left that could confirm what the leader recovered. */
function keepsClientsOut({ machines, keyHolder, orders }: World): boolean {
  const leader = keyHolder?.server;
  if (leader?.process?.clientsOut !== true || !orders.strict) return false;
  return !machines.some(({ server }) => server.replication.source === leader);
}

/** What was written outside before the sites were switched in good order is here. */
function lacksOutside({ leader, outside }: World): Failure | null {
  if (leader === null || outside === null || isPrefix(outside.server.position, leader.server.position)) return null;
  return { verdict: 'safety', invariant: 'S1', message: `${leader.name} was promoted without what was written outside` };
}

/**
 * Within the bound there is a writable primary (S19), everybody is back (S22) and clients are
 * served.
 */
async function recover(world: World, except: readonly string[]): Promise<Failure | null> {
  const { sim, checkers, clients } = world;
  const start = sim.now;
  const bounds = boundsOf(world);
  const within = async (ms: number, done: () => boolean) => {
    const reached = await sim.until(() => checkers.violations.length > 0 || done(), ms);
    return reached && checkers.violations.length === 0;
  };
  const unless = (invariant: string, message: string): Failure =>
    violationOf(world) ?? {
      verdict: 'liveness',
      invariant,
      message: `${message} ${Math.round(sim.now - start)} ms after all was mended\n${world.describe()}`,
    };
  if (!(await within(bounds.leaderMs, () => world.leader !== null || nobodyMayLead(world))) && !keepsClientsOut(world))
    return unless('S19', 'no primary takes writes');
  if (world.leader === null) return violationOf(world);
  if (!(await within(bounds.allMs, () => world.recovered(except)))) return unless('S22', 'not all nodes are back');
  clients.rush(bounds.commitsMs);
  const before = clients.acknowledged.length;
  const served = () => clients.acknowledged.length > before + COMMITS || world.waitsByPolicy();
  if (!(await within(bounds.commitsMs, served))) return unless('S19', 'no commits are acknowledged');
  if (!(await within(bounds.routedMs, () => world.routing === null || world.routing.settled)))
    return unless(
      'S16',
      `HAProxy leads to ${world.routing?.haproxy.up.join(', ') || 'nobody'}, sessions are on ${world.routing?.haproxy.inUse.join(', ')}`,
    );
  if (!(await within(bounds.toldMs, () => checkers.callbacks.misled(except).length === 0)))
    return unless('S25', `callbacks have not been told the role of ${checkers.callbacks.misled(except).join(', ')}`);
  checkers.checkLoss();
  return violationOf(world);
}

/**
 * S23: nobody takes the lead from anybody while nothing happens. By then every agent has heard of
 * every change.
 */
async function stay(world: World): Promise<Failure | null> {
  // Nobody could lead, or nobody had to.
  if (world.leader === null) return violationOf(world);
  const { successions } = world.checkers;
  const leader = world.holder;
  const before = successions.length;
  await world.sim.until(() => world.checkers.violations.length > 0 || (successions.length > before && world.holder !== leader), STABLE_MS);
  const violation = violationOf(world);
  const deaf = world.checkers.watches.deaf();
  if (violation === null && deaf.length > 0)
    return { verdict: 'liveness', invariant: 'S19', message: `a watch did not tell of changes: ${deaf.join('; ')}` };
  if (violation !== null || world.holder === leader || world.orders.asks) return violation;
  return {
    verdict: 'liveness',
    invariant: 'S23',
    message: `the lead went from ${leader} to ${world.holder} although nothing happened\n${world.describe()}`,
  };
}

function violationOf(world: World): Failure | null {
  const first = world.checkers.violations[0];
  if (first === undefined) return null;
  const { invariant, message } = first;
  return invariant === 'crash' ? { verdict: 'crash', message } : { verdict: 'safety', invariant, message };
}
