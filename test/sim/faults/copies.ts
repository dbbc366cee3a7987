/**
 * Data directories in which somebody had a hand: a base backup that was restored, a disk that was
 * copied, a replica that was promoted.
 */
import type { Machine } from '../machine.ts';
import type { SimServer } from '../server.ts';
import type { Branch, Position } from '../wal.ts';
import type { World } from '../world.ts';
import { drawMs, drawTarget, type Fault, fault, targetOf } from './fault.ts';

/**
 * Where the WAL of that server ended at some earlier moment of which everybody still has the WAL;
 * null: there is none.
 */
function earlier({ machines }: World, { position }: SimServer, share: number): Position | null {
  const places: Position[] = [];
  for (let at: Branch | null = position.branch, end = position.lsn; at !== null; end = at.forkLsn, at = at.parent) {
    const branch = at;
    places.push(...branch.records.filter(({ lsn }) => lsn <= end).map(({ lsn }) => ({ branch, lsn })));
  }
  const kept = places.filter(({ lsn }) => machines.every(({ server }) => lsn > server.oldestLsn && lsn > server.filesFrom));
  return kept.sort((a, b) => Number(a.lsn - b.lsn))[Math.floor(share * kept.length)] ?? null;
}

function replaceData(
  world: World,
  machine: Machine,
  share: number,
  forMs: number,
  how: { readonly label: boolean; readonly signal: boolean },
): void {
  const source = world.leader?.server ?? null;
  // What nobody could get over, no policy promises to.
  if (source === null || !machine.up || !world.checkers.promises.canLose(machine)) return;
  const at = earlier(world, source, share);
  if (at === null) return;
  machine.crash();
  machine.replaceData(source, at, how);
  world.sim.after(forMs, () => machine.boot());
}

export const copyFaults: Readonly<Record<string, Fault>> = {
  'restore-backup': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), share: rng.next(), signal: rng.chance(0.5), forMs: drawMs(rng, 500, 10_000) }),
    apply: (world, args) => replaceData(world, targetOf(world, args), args.share, args.forMs, { label: true, signal: args.signal }),
  }),
  /**
   * Without a label nothing tells it from the crashed server itself, so that its vote would count
   * for what the copy does not have (docs/limits.md).
   */
  'copy-disk': fault({
    draw: (rng, options) => ({ ...drawTarget(rng, options), share: rng.next(), forMs: drawMs(rng, 500, 10_000) }),
    apply: (world, args) => {
      if (world.orders.mode === 'off') replaceData(world, targetOf(world, args), args.share, args.forMs, { label: false, signal: false });
    },
  }),
  'promote-by-hand': fault({
    draw: (rng, { nodes }) => ({ on: rng.pick(nodes) }),
    apply: (world, { on }) => {
      const { server } = world.node(on);
      const { process } = server;
      if (process === null || !server.running || !server.inRecovery || server.replication.source === null) return;
      if (process.promoting || process.ending || process.replaying) return;
      server.replication.stopReceiving();
      process.byHand = true;
      server.promoteByHand();
      server.inRecovery = false;
      server.changed();
      // Where nobody led it may have been given the lead since, and clients with it.
      world.etcd.listeners.add(() => {
        if (world.holder !== on || !process.byHand) return;
        process.byHand = false;
        // It was not judged when it opened, because no client was led there.
        if (server.process === process) world.checkers.promises.checkOpened(server);
      });
    },
  }),
};
