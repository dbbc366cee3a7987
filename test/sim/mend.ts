/** The end of all faults. */
import type { World } from './world.ts';

const SUPERVISE_MS = 5000;

export function mend(world: World): void {
  world.trace('everything is mended');
  world.net.healAll();
  world.etcd.start();
  for (const machine of world.machines) {
    machine.server.failStarts = 0;
    machine.boot();
    machine.startAgent();
    machine.thawAgent();
  }
}

/** An agent that was just ending needs somebody to start it again. */
export function supervise(world: World): void {
  for (const machine of world.machines) machine.startAgent();
  world.sim.after(SUPERVISE_MS, () => supervise(world));
}
