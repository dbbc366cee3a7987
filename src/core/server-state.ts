/** What PostgreSQL is doing, in the words of the dialect: the member key, /patroni and metrics. */
import type { PostgresState } from './cluster.ts';
import type { Context } from './context.ts';
import type { Memory } from './model.ts';
import type { LocalSettings } from './settings.ts';

/** A new cluster is made by a program of the user's, and not by initdb. */
export function isCustomBootstrap({ bootstrap }: Pick<LocalSettings, 'bootstrap'>): boolean {
  const command = bootstrap?.methodOptions?.['command'];
  return bootstrap !== null && bootstrap.method !== 'initdb' && typeof command === 'string' && command !== '';
}

/** `memory`: after the jobs that ended since the last round. */
export function stateOf(c: Context, memory: Memory): PostgresState {
  const { job, pg } = c.o;
  switch (job?.job.kind) {
    case 'bootstrap':
      return bootstrapState(c);
    case 'bootstrap-standby':
    case 'clone':
    case 'reinitialize':
      return 'creating replica';
    case 'restart':
      return 'restarting';
    case 'copy-slots':
    case 'retarget':
      return pg.state === 'running' ? 'running' : 'restarting';
    case 'demote-cluster':
    case 'handover':
      return pg.state === 'running' ? 'running' : pg.state === 'stopped' ? 'stopped' : 'stopping';
    case 'start':
      return pg.state === 'running' ? 'running' : 'starting';
    default:
      break;
  }
  if (pg.state === 'running') return c.unadopted && pg.sql === null ? 'unknown' : 'running';
  if (pg.unexplained !== undefined) return 'unknown';
  if (hasOutlivedStop(c)) return 'stop failed';
  if (pg.state === 'starting') return 'starting';
  if (pg.state === 'unresponsive') return c.m.state === 'running' ? 'running' : 'starting';
  if (memory.failures.bootstrap) return isCustomBootstrap(c.o.settings.local) ? 'custom bootstrap failed' : 'initdb failed';
  if (memory.failures.start) return 'start failed';
  if (memory.failures.restart) return 'restart failed';
  return hasCrashed(c) ? 'crashed' : 'stopped';
}

/** The server that recovers a restored cluster lets only the agent's bootstrap in. */
function bootstrapState({ o: { pg, settings } }: Context): PostgresState {
  const custom = isCustomBootstrap(settings.local);
  if (pg.postmaster === null) return custom ? 'running custom bootstrap script' : 'initializing new cluster';
  if (pg.state === 'running' && pg.sql?.inRecovery === false) return 'running';
  return custom ? 'starting after custom bootstrap' : 'starting';
}

/**
 * Its stop is over, with SIGKILL at the end, and its postmaster is still there: it hangs in the
 * kernel. A stop that was called off goes on by itself, and has not failed.
 */
function hasOutlivedStop({ m, o: { pg, ended } }: Context): boolean {
  if (pg.postmaster === null) return false;
  if (ended.length > 0) return ended.some(({ code }) => code === 'PG_STOP_FAILED');
  return m.state === 'stopping' || m.state === 'stop failed';
}

/** It ran, is down, and has not shut down in good order. */
function hasCrashed({ m, o: { pg } }: Context): boolean {
  if (m.state !== 'running' && m.state !== 'crashed') return false;
  return pg.control === null || !pg.control.state.startsWith('shut down');
}
