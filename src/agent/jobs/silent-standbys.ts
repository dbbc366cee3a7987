/**
 * Ends the walsenders of standbys that are no longer there, before a primary is stopped in good
 * order and while its clients still work. The stop then does not wait for them
 * (core/shutdown-wait.ts). A standby that was there after all connects again at once.
 */
import type { ClusterView } from '../../core/cluster.ts';
import type { Job } from '../../core/effects.ts';
import { SILENT_MS, type Silence, silenceBetween, successorsOf } from '../../core/shutdown-wait.ts';
import { type Clock, sleep } from '../../ports/clock.ts';
import type { Dcs } from '../../ports/dcs.ts';
import type { Log } from '../../ports/log.ts';
import type { Postgres } from '../../ports/postgres.ts';
import type { SettingsSource } from '../../ports/settings.ts';
import { ensureError, RegentError } from '../../support/errors.ts';

const LOOK_EVERY_MS = 50;
const OBSERVE_MS = 1000;
const END_MS = 1000;
/** A stop may happen without etcd. */
const ETCD_MS = 2000;

export interface SilentPorts {
  readonly pg: Pick<Postgres, 'endWalsenders' | 'observe'>;
  readonly dcs: Pick<Dcs, 'read'>;
  readonly settings: Pick<SettingsSource, 'current'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
  readonly clock: Pick<Clock, 'bootMs' | 'timer'>;
}

type Handover = Extract<Job, { kind: 'handover' }>;

export interface Drain {
  /** An option of Postgres.stop; absent: the stop is as patient as PostgreSQL. */
  readonly successors?: readonly string[];
}

export interface Plan {
  readonly successors: readonly string[];
  /** The stop is called off when none of the successors says anything. */
  readonly inVain: boolean;
}

/**
 * An operator's failover by name is carried out, whatever its candidate has. An agent that is told
 * to end has no other choice.
 */
export function planFor(settings: Pick<SettingsSource, 'current'>, { action, candidate }: Handover): (view: ClusterView) => Plan {
  const { local, dynamic } = settings.current();
  return (view) => ({ successors: successorsOf(view, local.name, candidate, dynamic.synchronousMode), inVain: action === 'switchover' });
}

/** The plan of a restart: no other member takes over. */
export const nobodyTakesOver = (): Plan => ({ successors: [], inVain: false });

/**
 * Takes no time while every standby answers, and SILENT_MS at most otherwise. Throws
 * SUCCESSORS_SILENT, and nothing was done then. It throws nothing else: a question without an
 * answer only makes the stop as slow as PostgreSQL is.
 */
export async function withoutTheSilent(ports: SilentPorts, plan: (view: ClusterView) => Plan, signal: AbortSignal): Promise<Drain> {
  const { dcs, log, settings } = ports;
  try {
    const view = await dcs.read({ timeoutMs: Math.min(ETCD_MS, settings.current().dynamic.retryTimeoutSeconds * 1000) });
    const { successors: names, inVain } = plan(view);
    const { silent, successorsSilent } = await look(ports, view, names, signal);
    if (successorsSilent && inVain) throw successorsSilentError(names);
    if (signal.aborted || silent.length === 0 || successorsSilent) return { successors: names };
    log.info(`${silent.map(({ name }) => name).join(', ')}: silent for ${SILENT_MS / 1000} s, so the stop does not wait for them`);
    await ports.pg.endWalsenders(
      silent.map(({ pid }) => pid),
      { timeoutMs: END_MS, signal },
    );
    return { successors: names };
  } catch (error) {
    if (error instanceof RegentError && error.code === 'SUCCESSORS_SILENT') throw error;
    log.warning(`could not check which standbys are still confirming WAL before the shutdown: ${ensureError(error).message}`);
    return {};
  }
}

function successorsSilentError(names: readonly string[]): RegentError {
  const who = names.length === 1 ? `${names[0]} has` : `none of ${names.join(', ')} has`;
  const message = `${who} confirmed no WAL for ${SILENT_MS / 1000} s, and would not get the WAL that is still to be written`;
  return new RegentError('SUCCESSORS_SILENT', message, { policy: 'transient', mend: 'see whether its host and its disk are well' });
}

const NOBODY: Silence = { silent: [], successorsSilent: false };

async function look(
  { pg, clock }: Pick<SilentPorts, 'pg' | 'clock'>,
  view: ClusterView,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Silence> {
  const { sql: first } = await pg.observe({ timeoutMs: OBSERVE_MS });
  if (first === null) return NOBODY;
  const deadlineMs = clock.bootMs() + SILENT_MS;
  for (;;) {
    const { sql } = await pg.observe({ timeoutMs: OBSERVE_MS });
    const seen = sql === null ? NOBODY : silenceBetween(first, sql, view, names);
    if (seen.silent.length === 0 || signal.aborted || clock.bootMs() >= deadlineMs) return seen;
    await sleep(clock, LOOK_EVERY_MS, signal);
  }
}
