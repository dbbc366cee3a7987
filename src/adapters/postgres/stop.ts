/**
 * Stops the server and does not return before the last of its processes is gone: as long as one
 * lives, it may write. A stop in good order comes first. What does not obey in time is killed,
 * which is as safe for the data as a power cut.
 */
import { carriedForms } from '../../core/server-names.ts';
import { sleep } from '../../ports/clock.ts';
import type { StopOptions } from '../../ports/postgres.ts';
import { RegentError } from '../../support/errors.ts';
import { findServerProcesses, forgetUnreaped, type HeldProcess } from './detect.ts';
import { Walsenders } from './fast-shutdown.ts';
import type { LocalServer } from './local-server.ts';
import { serverPrograms } from './programs.ts';

const LOOK_MS = 5;
/**
 * SIGKILL takes effect at once unless a process hangs in the kernel. Then the agent can only wait
 * and say so.
 */
const KILL_WAIT_MS = 5000;
/** A postmaster that shuts down is never seen stopped by a signal for this long. */
const FROZEN_MS = 100;

/**
 * Throws PG_STOP_FAILED when processes are left that even SIGKILL did not end, PG_STOP_ABORTED (it
 * goes on shutting down).
 */
export async function stopServer(server: LocalServer, mode: 'fast' | 'immediate', options: StopOptions): Promise<void> {
  const { clock, settings, watch, heartbeat, log } = server;
  const given = clock.monotonicMs() + options.timeoutMs;
  const postmaster = watch.current(settings.postgresql.dataDir);
  if (postmaster === null) return endLeftovers(server, given);
  const frozen = postmaster.state() === 'stopped';
  const reserveMs = Math.min(1500, options.timeoutMs * 0.3);
  const half = mode === 'fast' ? (options.timeoutMs - reserveMs) / 2 : 0;
  const scriptMs = frozen ? 0 : (options.beforeStopMs ?? half);
  if (scriptMs > 0) await server.beforeStop(scriptMs);
  const deadline = options.beforeStopMs === undefined ? given : clock.monotonicMs() + options.timeoutMs;
  if (mode === 'fast' && !frozen) {
    if (await stopInOrder(server, postmaster, deadline - reserveMs, options)) return endLeftovers(server, deadline);
    log.warning('PostgreSQL did not stop in time and is being stopped without a checkpoint', {
      pid: postmaster.pid,
      timeoutMs: options.timeoutMs,
    });
  }
  heartbeat.reset();
  if (postmaster.state() === 'alive') {
    postmaster.signal('SIGQUIT');
    const untilMs = mode === 'fast' ? deadline - reserveMs / 2 : deadline - Math.min(500, options.timeoutMs / 2);
    if (await untilGone(server, postmaster, untilMs, undefined)) return endLeftovers(server, deadline);
  }
  if (postmaster.state() !== 'gone') log.warning('PostgreSQL does not react and is being killed', { pid: postmaster.pid });
  // The postmaster first. Otherwise it restarts the processes that are killed next.
  postmaster.signal('SIGKILL');
  await endLeftovers(server, deadline);
}

async function stopInOrder(server: LocalServer, postmaster: HeldProcess, untilMs: number, options: StopOptions): Promise<boolean> {
  const { clock, heartbeat } = server;
  const { successors, onClosed, signal } = options;
  const timeoutMs = untilMs - clock.monotonicMs();
  const walsenders = await Walsenders.of(server, postmaster, {
    timeoutMs,
    ...(successors && { successors: successors.flatMap(carriedForms) }),
    ...(onClosed && { onClosed }),
  });
  try {
    heartbeat.reset();
    postmaster.signal('SIGINT');
    const gone = await untilGone(server, postmaster, untilMs, signal, () => walsenders.look());
    if (gone) walsenders.ended();
    else if (walsenders.closed)
      server.log.warning('PostgreSQL is closed for writes and does not end: it and what it waits for are being ended');
    return gone;
  } finally {
    walsenders.release();
  }
}

/** Kills every process of a server whose postmaster is gone, and waits until there is none. */
export async function endLeftovers(server: LocalServer, deadline: number): Promise<void> {
  const { clock, settings } = server;
  const hardDeadline = Math.max(deadline, clock.monotonicMs()) + KILL_WAIT_MS;
  for (;;) {
    const left = findServerProcesses(settings.postgresql.dataDir, serverPrograms(settings));
    if (left.length === 0) return forgetUnreaped(settings.postgresql.dataDir);
    for (const process of left) {
      process.signal('SIGKILL');
      process.release();
    }
    if (clock.monotonicMs() > hardDeadline) {
      const pids = left.map((process) => process.pid).join(', ');
      throw new RegentError('PG_STOP_FAILED', `processes of PostgreSQL are left that SIGKILL does not end: ${pids}`, {
        policy: 'transient',
        mend: 'they hang in the kernel, usually on a disk that does not answer; only the machine can end them',
      });
    }
    await sleep(clock, LOOK_MS);
  }
}

/**
 * False at the deadline, and when the postmaster is found frozen: no signal but SIGKILL reaches it
 * then.
 */
async function untilGone(
  server: LocalServer,
  postmaster: HeldProcess,
  deadline: number,
  signal: AbortSignal | undefined,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<boolean> {
  const { clock } = server;
  let frozenSinceMs: number | null = null;
  for (;;) {
    const state = postmaster.state();
    if (state === 'gone') return true;
    const now = clock.monotonicMs();
    frozenSinceMs = state === 'stopped' ? (frozenSinceMs ?? now) : null;
    if (now >= deadline || (frozenSinceMs !== null && now - frozenSinceMs >= FROZEN_MS)) return false;
    if (signal?.aborted) throw new RegentError('PG_STOP_ABORTED', 'no longer waiting for PostgreSQL to stop', { policy: 'transient' });
    await meanwhile();
    await sleep(clock, LOOK_MS, signal);
  }
}
