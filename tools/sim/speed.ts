/** `regent sim --speed`: how fast the simulator is on this machine. */
import { Worker } from 'node:worker_threads';
import type { Speed } from '../../test/sim/speed.ts';
import { bundleSimulator } from './bundle.ts';
import { EXIT } from './options.ts';

const ENTRY = 'test/sim/speed.ts';

/**
 * Resolves to the exit code. Throws what building the simulator throws, and what goes wrong in it.
 */
export async function speedMain(root: string, signal: AbortSignal): Promise<number> {
  const worker = new Worker(await bundleSimulator(root, [], ENTRY), { eval: true });
  process.stdout.write('simulated hours of one cluster, in a minute of one core:\n');
  worker.on('message', (speed: Speed) => void process.stdout.write(`${speedLine(speed)}\n`));
  const stop = () => void worker.terminate();
  signal.addEventListener('abort', stop);
  try {
    await new Promise<void>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', () => resolve());
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return signal.aborted ? EXIT.stopped : EXIT.pass;
}

export function speedLine({ name, hoursPerMinute, faults, hours, eventsPerHour }: Speed): string {
  const often = faults === 0 ? 'no faults' : `${(faults / hours).toFixed(0)} faults an hour`;
  return `${hoursPerMinute.toFixed(0).padStart(7)}  ${name} (${often}, ${eventsPerHour.toFixed(0)} events an hour)`;
}
