/** `regent router`: keeps HAProxy's idea of the primary in step with etcd. */
import { dirname, join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { createSystemClock } from '../adapters/clock/system.ts';
import { createEtcdDcs } from '../adapters/etcd/store.ts';
import { createLog } from '../adapters/log/log.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { keepDebuggerClosed } from '../support/runtime.ts';
import { loadRouterSettings, type RouterSettings } from './config.ts';
import { createHaproxy, type Haproxy } from './haproxy-socket.ts';
import { postgresAnswers } from './probe.ts';
import { watchReaders } from './readers.ts';
import { watchReloads } from './reload-sign.ts';
import { createRouter, ROUTER_ASSERT_MS, type RouterOptions } from './router.ts';
import { createWaitingRoom } from './waiting-room.ts';

const HAPROXY_TIMEOUT_MS = 1000;

const USAGE = `usage: regent router [FILE | DIRECTORY]

Watches etcd and tells HAProxy through its stats socket which member is primary, so that HAProxy follows a switchover in milliseconds.
A server for reads that does not answer is taken out of its pool. HAProxy's own health checks go on. Without the router, they alone decide.

Reads scope, namespace, etcd3 and log of the cluster's file (or the PATRONI_* variables), and:

  router:
    haproxy_socket: /run/haproxy/admin.sock   # stats socket ... level admin
    primary_backend: postgres_primary         # its servers have the members' names
    replica_backend: postgres_replicas        # a server here that does not answer gets no readers
    reconcile_interval: 5                     # seconds
`;

/**
 * Runs until SIGTERM or SIGINT. Resolves to the exit code: 0 stopped, 2 wrong usage. Throws
 * ConfigError, ROUTER_CONFIG.
 */
export async function routerMain(argv: readonly string[]): Promise<number> {
  const path = readArguments(argv);
  if (path === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  if (path === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  await run(loadRouterSettings(path.file, process.env));
  return 0;
}

async function run(settings: RouterSettings): Promise<void> {
  const { scope, namespace, etcd, socketPath, backend, readBackend, reconcileMs } = settings;
  const clock = createSystemClock();
  const log = createLog(settings.log, {
    secrets: () => [etcd.password ?? ''],
    publicWords: () => [scope, namespace, etcd.username ?? ''],
  });
  for (const warning of settings.warnings) log.warning(warning);
  const dcs = createEtcdDcs({ settings: etcd, scope, namespace, log, clock });
  const haproxy = createHaproxy({ socketPath, backend, clock, timeoutMs: HAPROXY_TIMEOUT_MS });
  const router = createRouter({
    dcs,
    haproxy,
    clock,
    log,
    assertMs: ROUTER_ASSERT_MS,
    reconcileMs,
    ...besideHaproxy({ directory: dirname(socketPath), haproxy, clock, log }),
  });
  keepDebuggerClosed();
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
  const readers = watchReaders({
    haproxy: createHaproxy({ socketPath, backend: readBackend, clock, timeoutMs: HAPROXY_TIMEOUT_MS }),
    answers: (address, timeoutMs) => postgresAnswers(address, timeoutMs, clock),
    clock,
    log,
  });
  router.start();
  log.info(`router of ${scope}: backend ${backend} of HAProxy at ${socketPath}`);
  const signal = await stopped;
  log.info(`${signal}: HAProxy continues with its own health checks`);
  await Promise.all([router.stop(), readers.close()]);
  dcs.close();
  await log.close();
}

interface Beside {
  /** Where HAProxy has its Unix sockets. */
  readonly directory: string;
  readonly haproxy: Haproxy;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the frontends regent_wait and regent_sign of HAProxy's file are for. */
export function besideHaproxy({ directory, haproxy, clock, log }: Beside): Required<Pick<RouterOptions, 'waitingRoom' | 'watchReloads'>> {
  const announce = (host: string, port: number) => haproxy.placeWaitingRoom(host, port);
  return {
    waitingRoom: createWaitingRoom({ socketPath: join(directory, 'wait.sock'), announce, clock, log }),
    watchReloads: (onReload) => watchReloads({ socketPath: join(directory, 'sign.sock'), clock, onReload }),
  };
}

/** undefined: wrong usage. */
function readArguments(argv: readonly string[]): { readonly file: string | null } | 'help' | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) return 'help';
    return positionals.length > 1 ? undefined : { file: positionals[0] ?? null };
  } catch {
    return undefined;
  }
}
