import { setFlagsFromString } from 'node:v8';

/**
 * Share of one core, over at least so long, from which on a process is busy. An idle agent takes
 * 0.002.
 */
const BUSY_SHARE = 0.1;
const BUSY_FOR_MS = 10_000;

export interface Load {
  /** CPU time of all threads so far, microseconds. */
  readonly cpuUs: () => number;
  readonly nowMs: () => number;
}

const ownLoad: Load = {
  cpuUs: () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  nowMs: () => performance.now(),
};

/**
 * Nobody debugs a running agent or router. Without a listener for SIGUSR1, Node opens its debugger
 * on loopback, where every user of the machine may then run code as this process does.
 */
export function keepDebuggerClosed(): void {
  process.on('SIGUSR1', () => {});
}

/**
 * Serves a process that mostly waits: V8's optimizing compiler stays off until there is enough work
 * to make it pay. Otherwise it would optimize what is merely repeated all day. The compiler, its
 * machine code and the type feedback would make an idle agent 5 MB larger. Call it before the rest
 * is loaded. Returns a function that the caller runs now and then.
 */
export function optimizeOnceBusy(load: Load = ownLoad, setFlag: (flag: string) => void = setFlagsFromString): () => void {
  setFlag('--no-opt');
  let optimizes = false;
  let since = { ms: load.nowMs(), cpuUs: load.cpuUs() };
  return () => {
    const now = { ms: load.nowMs(), cpuUs: load.cpuUs() };
    const tookMs = now.ms - since.ms;
    if (optimizes || tookMs < BUSY_FOR_MS) return;
    optimizes = (now.cpuUs - since.cpuUs) / 1000 / tookMs >= BUSY_SHARE;
    since = now;
    if (optimizes) setFlag('--opt');
  };
}
