/** The real terminal, clock and etcd. */
import { createSystemClock } from '../adapters/clock/system.ts';
import { requireEtcd } from './config.ts';
import { withDemo } from './demo-fallback.ts';
import type { CtlIo } from './io.ts';

export function processIo(): CtlIo {
  const interrupt = new AbortController();
  // The first Ctrl-C ends the tool in order. The second one has the system's own effect.
  process.once('SIGINT', () => interrupt.abort());
  // `regentctl list | head -1`: a reader that has closed the pipe is not an error.
  const gone = (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1);
  process.stdout.on('error', gone);
  process.stderr.on('error', gone);
  const clock = createSystemClock();
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: withDemo(process.env, process.getuid?.() ?? -1),
    clock,
    signal: interrupt.signal,
    openDcs: async (config, scope, log) => {
      const settings = requireEtcd(config);
      const { createEtcdDcs } = await import('../adapters/etcd/store.ts');
      return createEtcdDcs({ settings, scope, namespace: config.namespace, log, clock });
    },
    identify: async (...args) => (await import('./identify.ts')).identifyServer(...args),
    reach: async (address, timeoutMs) => (await import('./reach.ts')).reachTcp(address, timeoutMs),
  };
}
