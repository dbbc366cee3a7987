/** Servers that are no member's, and stream under a member's name. */
import { slotNameOf } from '../../../src/core/slot-names.ts';
import { MEMBERS } from '../etcd.ts';
import type { Machine } from '../machine.ts';
import type { World } from '../world.ts';
import { drawMs, type Fault, fault } from './fault.ts';

const LOOK_MS = 200;

export const strangerFaults: Readonly<Record<string, Fault>> = {
  /** A base backup of the leader, started by hand as a standby that calls itself like a member. */
  stranger: fault({
    draw: (rng, { nodes }) => ({ on: rng.pick(nodes), forMs: drawMs(rng, 15_000, 45_000) }),
    apply: (world, { on, forMs }) => {
      const { leader } = world;
      if (leader !== null && leader.name !== on) stream(world, leader, world.node(on), world.sim.now + forMs);
    },
  }),
};

/**
 * PostgreSQL counts it once it has caught up. That takes as long as the leader's agent needs to
 * hear of it, to write /sync and to change the names. Nobody can keep what is acknowledged on a
 * stranger's word before. The same holds for what an agent that has just begun cannot tell while
 * the member is away (docs/limits.md).
 */
function stream(world: World, leader: Machine, member: Machine, endMs: number): void {
  const { server, agent } = leader;
  const { replication, process } = server;
  const sender = replication.admitStranger(member.server);
  let noticeableSinceMs = world.sim.now;
  const look = () => {
    const same = server.process === process && leader.agent === agent && replication.has(sender);
    if (!same || world.mended || world.sim.now > endMs) return replication.dismissStranger(sender);
    if (sender.state === 'catchup') {
      if (!isNoticeable(world, leader, member)) noticeableSinceMs = world.sim.now;
      else if (world.sim.now - noticeableSinceMs > world.orders.ttlMs + world.orders.retryMs) {
        sender.state = 'streaming';
        world.trace(`a stranger streams from ${leader.name} under the name of ${member.name}`);
        server.changed();
      }
    }
    world.sim.after(LOOK_MS, look);
  };
  world.sim.after(LOOK_MS, look);
}

/**
 * The agent works, holds the key and can write /sync, and the member's own walsender is there to
 * tell it by. A machine that stands still keeps its `steadySince`.
 */
function isNoticeable(world: World, leader: Machine, member: Machine): boolean {
  const { server } = leader;
  if (world.holder !== leader.name || leader.still || !canWrite(world, leader)) return false;
  if (leader.steadySince > world.sim.now || server.hangs || server.lockedOut || server.stuckFiles !== 'none') return false;
  const slot = slotNameOf(member.name);
  return server.replication
    .senders()
    .some((own) => own.stranger !== true && own.standby === member.server && own.standby.live.slot === slot);
}

/** While etcd answers late the agent may give a write up, and nothing limits how often. */
function canWrite({ etcd, net }: World, { name }: Machine): boolean {
  if (net.slowRequests.chance > 0 || net.slowReplies.chance > 0) return false;
  if (etcd.full || !MEMBERS.some((member) => etcd.serves(member))) return false;
  return net.lostReplies.size === 0 && net.up(name, 'etcd') && net.up('etcd', name);
}
