/** The end of all faults. */
import { MEMBERS } from './etcd.ts';
import { emptyForeign } from './faults/nodes.ts';
import type { SimServer } from './server.ts';
import { isPrefix } from './wal.ts';
import type { World } from './world.ts';

const SUPERVISE_MS = 5000;
/** Rules by which an agent waits until an operator has it make a new copy. */
export const ASKS_FOR_COPY = /^mend\.rewind-(blind|refused|impossible)$|\.leader-has-less$/;

export function mend(world: World): void {
  world.trace('everything is mended');
  world.mended = true;
  world.net.healAll();
  world.etcd.start();
  world.routing?.start();
  world.etcd.full = false;
  for (const member of MEMBERS) world.etcd.mend(member);
  if (world.orders.pausedSince !== null) world.patchConfig({ pause: false });
  if (world.outside?.options.ends !== true && world.orders.followsRemote) world.patchConfig({ standby_cluster: null });
  for (const machine of world.machines) {
    const { server, guard } = machine;
    machine.stranger = null;
    server.failStarts = 0;
    server.failPromotions = 0;
    server.full = 'no';
    server.stuckFiles = 'none';
    server.slotsTaken = false;
    server.scriptsGone = false;
    server.lockedOut = false;
    server.archiverBusyUntilMs = 0;
    server.sessions.checkpointerBusyUntilMs = 0;
    server.unseen = null;
    server.pidTaken = false;
    if (server.diskHung) server.freeDisk();
    if (server.process !== null) {
      server.process.hung = false;
      server.process.postmasterHung = false;
    }
    if (guard.mute) guard.heardAgainAt = world.sim.now;
    guard.mute = false;
    guard.thaw();
    emptyForeign(machine);
    machine.resume();
    machine.boot();
    machine.startAgent();
    machine.thawAgent();
  }
}

/**
 * An agent that was just ending must be started again. An agent that asks which data to keep needs
 * an operator who wants the present leader.
 */
export function supervise(world: World): void {
  for (const machine of world.machines) {
    machine.startAgent();
    // Only the operator restarts a replica that follows a leader.
    if (isLed(world) && machine.server.replayPaused && machine.server.running) machine.server.resumeReplay();
    if (ASKS_FOR_COPY.test(machine.agent?.rounds.last?.decision.rule ?? '') && !needsNoCopy(world, machine.server))
      void machine.operator.reinitialize({ force: false, fromLeader: true });
  }
  world.sim.after(SUPERVISE_MS, () => supervise(world));
}

/**
 * A crashed primary whose WAL is all in the leader's history: the agent is to find that out by
 * itself, and the operator sees no reason for a copy.
 */
function needsNoCopy({ leader }: World, { process, controlState, work, position }: SimServer): boolean {
  if (leader === null || process !== null || work !== null || controlState !== 'in production') return false;
  const leads = leader.server.position;
  return position.branch.timeline < leads.branch.timeline && isPrefix(position, leads);
}

/**
 * Somebody takes writes, or will as soon as the standbys that replay confirm what it recovered; or
 * it leads a standby cluster.
 */
const isLed = (world: World): boolean =>
  world.leader !== null ||
  (world.orders.followsRemote && world.holder !== null) ||
  world.machines.some(({ server }) => server.process?.clientsOut === true);

export interface Bounds {
  /** From the end of all faults until a primary takes writes. */
  readonly leaderMs: number;
  /** … then until everybody follows it, and then until clients have had commits acknowledged. */
  readonly allMs: number;
  readonly commitsMs: number;
  /** From then until HAProxy leads to the leader and nowhere else. */
  readonly routedMs: number;
  /**
   * Until every node's callbacks have been told its role: a script that could not be started is
   * held off.
   */
  readonly toldMs: number;
}

/**
 * Several waits may add up. The lease of the last leader must end, and etcd may have restarted it;
 * one that abstains waits for another ttl. An operator's request is honoured for a ttl, a failed
 * job is held off for half a minute, and a primary that starts may take primary_start_timeout.
 */
export function boundsOf(world: World): Bounds {
  const { ttlMs, startMs, backoff } = world.orders;
  // A connection that was cut is found dead by wal_receiver_timeout.
  const streamMs = world.net.lastingStreams ? 60_000 : 5000;
  return {
    leaderMs: 4 * ttlMs + startMs + 60_000 + backoff.mostMs,
    allMs: 2 * ttlMs + 180_000,
    commitsMs: ttlMs + 25_000 + streamMs,
    routedMs: 15_000,
    toldMs: 40_000,
  };
}
