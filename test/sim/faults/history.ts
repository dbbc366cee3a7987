/** Data and keys that are not what the agents take them for. */
import type { Machine } from '../machine.ts';
import { Branch, plus } from '../wal.ts';
import type { World } from '../world.ts';
import { drawTarget, type Fault, fault, targetOf } from './fault.ts';

const BY_HAND_BYTES = 300;
/** The last record: the shutdown checkpoint. */
const CHECKPOINT_BYTES = 120;

export const historyFaults: Readonly<Record<string, Fault>> = {
  /**
   * Every standby meets a limit that is higher than its own: it pauses, and a start with the same
   * limits comes no further.
   */
  'pause-all-replay': fault({
    draw: drawTarget,
    apply: (world, args) => {
      const spared = targetOf(world, args);
      for (const machine of world.machines) if (machine !== spared) pauseForGood(machine);
    },
  }),
  /** Somebody takes the signal file away, starts the replica, writes a row and stops it again. */
  'open-by-hand': fault({
    draw: (rng, { nodes }) => ({ on: rng.pick(nodes) }),
    apply: (world, { on }) => {
      if (world.checkers.promises.canLose(world.node(on))) openByHand(world, on);
    },
  }),
};

export function openByHand(world: World, on: string): void {
  const machine = world.node(on);
  const { server } = machine;
  if (!machine.up || !server.running || !server.inRecovery || server.process?.promoting || world.holder === on) return;
  if (server.diskHung) return;
  server.die('was opened for writes by hand, and stopped');
  const { branch, lsn } = server.position;
  const own = Branch.byHand(branch, lsn);
  server.position = { branch: own, lsn: plus(lsn, BY_HAND_BYTES) };
  server.checkpoint = { branch: own, lsn: plus(lsn, BY_HAND_BYTES - CHECKPOINT_BYTES) };
  server.minRecovery = null;
  server.controlState = 'shut down';
  server.signal = false;
}

export function pauseForGood({ server }: Machine): void {
  if (!server.inRecovery || !server.running || server.process?.promoting) return;
  server.replayPaused = true;
  if (server.process !== null) server.process.replaying = true;
}
