/**
 * How each job is done. A job may take long; the rounds go on meanwhile and renew the lease. It
 * ends, fails or is cancelled as a whole.
 */

import type { CallbackAction, Job, ServerRole, Source } from '../core/effects.ts';
import { isCountedOn } from '../core/voters.ts';
import type { InitializeMark } from '../ports/dcs.ts';
import type { Bounded } from '../ports/postgres.ts';
import { RegentError } from '../support/errors.ts';
import { drainTo, nobodyTakesOver, planFor } from './drain.ts';
import type { Fence } from './fence.ts';
import type { Lease } from './lease.ts';
import { leaveSync } from './leave-sync.ts';
import type { Parts } from './parts.ts';

/**
 * Work whose length depends on the size of the database is bounded only so that nothing waits for
 * ever.
 */
const DAY_MS = 24 * 3600 * 1000;
const SOURCE_TIMEOUT_MS = 5000;

export interface JobDeps {
  readonly parts: Parts;
  readonly lease: Lease;
  readonly fence: Fence;
  /** The configuration files were written with the settings in force now. */
  readonly configApplied: () => void;
  /** The server is going down on purpose: it is no longer to be shown as leader. */
  readonly stopping: () => void;
  /** The server is about to go down: as a standby it is not to be waited for. */
  readonly leaving: () => void;
  /** Starts a callback script. Throws when it could not be started. */
  readonly announce: (action: CallbackAction, role: string) => Promise<void>;
}

export function runJob(deps: JobDeps, job: Job, signal: AbortSignal): Promise<void> {
  switch (job.kind) {
    case 'bootstrap':
      return bootstrap(deps, signal);
    case 'clone':
    case 'reinitialize':
      return clone(deps, job, signal);
    case 'start':
      return start(deps, job.role, null, signal);
    case 'restart':
      return restart(deps, job, signal);
    case 'promote':
      return promote(deps, job.syncNames, signal);
    case 'handover':
      return handover(deps, job, signal);
    case 'rewind':
      return rewind(deps, job, signal);
    case 'checkpoint':
      return deps.parts.pg.checkpoint({ timeoutMs: DAY_MS, signal });
  }
}

const dcsTimeout = (deps: JobDeps) => ({ timeoutMs: deps.parts.settings.current().dynamic.retryTimeoutSeconds * 1000 });

/**
 * The right to make the cluster is the empty mark in etcd, on the lease that this agent has when
 * the job begins. The new cluster is published first by its system identifier, for good, and only
 * over that mark; then by the leader key, by which others clone and clients come. Last before the
 * key goes the mark that says that nobody was led to this directory: from then on it may hold what
 * was acknowledged. What fails after that is left to the rounds, and nothing is undone.
 */
async function bootstrap(deps: JobDeps, signal: AbortSignal): Promise<void> {
  const { pg, dcs, settings } = deps.parts;
  const me = settings.local().name;
  const { leaseId } = deps.lease.facts();
  if (leaseId === null) throw lostRight('before it began');
  const reached: Reached = { made: false, written: { leaseId } };
  try {
    await pg.stop('immediate', { timeoutMs: 30_000 });
    const { systemIdentifier } = await pg.bootstrap({ timeoutMs: DAY_MS, signal });
    reached.made = true;
    deps.configApplied();
    // The mark went with its lease if that ended meanwhile, and another may have made another
    // cluster since: the log tells which. What counts is the compare.
    const { initialize } = await dcs.read(dcsTimeout(deps));
    const modRevision = initialize === '' ? await dcs.publishInitialize(systemIdentifier, leaseId, dcsTimeout(deps)) : null;
    if (modRevision === null) throw lostRight(`meanwhile: etcd has ${initialize || 'no identifier'}`);
    reached.written = { modRevision };
    // Clients come with the leader key: the guard knows its end before.
    await deps.fence.arm();
  } catch (error) {
    await undoBootstrap(deps, reached);
    throw error;
  }
  await pg.markPublished();
  const leads = await deps.lease.carry((leaseId) => dcs.acquireLeader(me, leaseId, dcsTimeout(deps)));
  if (!leads) throw new RegentError('BOOTSTRAP_LOST', 'the leader key could not be taken after initdb', { policy: 'transient' });
  await dcs.writeConfig(settings.bootstrapConfig(), null, dcsTimeout(deps));
}

const lostRight = (when: string) =>
  new RegentError('BOOTSTRAP_LOST', `the right to initialize the cluster was lost ${when}`, { policy: 'transient' });

/**
 * How far a bootstrap has come: whether the cluster is whole, and what is known to be of it in
 * etcd, the empty mark or the identifier.
 */
interface Reached {
  made: boolean;
  written: InitializeMark;
}

/**
 * Nobody was led to it. What is half made goes at once. What is whole stays, marked, while it is
 * not known whether it was published: the rounds find out, and an etcd that does not answer costs
 * nobody a long restore. What was published goes once etcd does not have it any more, and the next
 * node may try. Of etcd nothing goes but what this bootstrap wrote there: an empty mark may be
 * another's by now, and a system identifier another's success.
 */
async function undoBootstrap(deps: JobDeps, { made, written }: Reached): Promise<void> {
  const { pg, dcs, settings, log } = deps.parts;
  const me = settings.local().name;
  const tried = (step: () => Promise<unknown>): Promise<boolean> =>
    step().then(
      () => true,
      (error: unknown) => {
        log.warning(`cleaning up after a failed bootstrap: ${String(error)}`);
        return false;
      },
    );
  const remove = () => pg.removeDataDirectory({ timeoutMs: DAY_MS, keepAside: true });
  await tried(() => pg.stop('immediate', { timeoutMs: 10_000 }));
  if (!made) await tried(remove);
  await tried(() => dcs.releaseLeader(me, dcsTimeout(deps)));
  const gone = await tried(() => dcs.clearInitialize(written, dcsTimeout(deps)));
  if ('modRevision' in written && gone) await tried(remove);
}

/** Resolves to the system identifier that etcd has. */
async function seen(deps: JobDeps, source: Source, signal: AbortSignal, leavesSync = false): Promise<string | null> {
  const view = await deps.parts.dcs.read(dcsTimeout(deps));
  const { initialize } = view;
  // After etcd, which may keep us waiting for long: the source is to live now.
  const { systemIdentifier, inRecovery } = await deps.parts.pg.sourceHistory(source, { timeoutMs: SOURCE_TIMEOUT_MS, signal });
  const { dynamic, local } = deps.parts.settings.current();
  if (!leavesSync && isCountedOn(view, dynamic.synchronousMode, local.name) && (view.sync?.leader !== source.name || inRecovery)) {
    throw new RegentError(
      'MEMBER_COUNTED_ON',
      `/sync counts on what ${local.name} has confirmed, and ${source.name} need not have all of it`,
      {
        policy: 'transient',
        mend: 'reinitialize with --from-leader, or once a leader has taken this member from /sync',
      },
    );
  }
  if (initialize === null || initialize === '') return null;
  if (initialize === systemIdentifier) return initialize;
  throw new RegentError(
    'SOURCE_OTHER_CLUSTER',
    `${source.name} runs a cluster of another system identifier: ${systemIdentifier} != ${initialize}`,
    {
      policy: 'transient',
      mend: 'see which disk that node has; nothing is removed here before it is of this cluster',
    },
  );
}

async function clone(deps: JobDeps, job: Extract<Job, { kind: 'clone' | 'reinitialize' }>, signal: AbortSignal): Promise<void> {
  const { pg } = deps.parts;
  if (job.kind === 'reinitialize') {
    // What is removed here may be the last copy of what was acknowledged: it goes only while
    // another is seen to be there. And only while a copy can be made in its place.
    await pg.checkRemake(await seen(deps, job.source, signal, true));
    await leaveSync(deps.parts, deps.leaving, signal);
    deps.stopping();
    await pg.stop('immediate', { timeoutMs: 30_000 });
    // That was some time ago.
    await seen(deps, job.source, signal);
    await pg.removeDataDirectory({ timeoutMs: DAY_MS, keepAside: false });
  } else {
    // An agent that ended in the middle of a bootstrap left a server running on what it had made,
    // and nobody else would ever stop it.
    await pg.stop('immediate', { timeoutMs: 30_000 });
  }
  await pg.clone(job.source, { timeoutMs: DAY_MS, signal, fromLeader: job.fromLeader });
  await start(deps, { kind: 'standby', source: job.source }, null, signal, true);
}

/**
 * A crashed standby may have hours of WAL to replay, and nobody waits for it; after this the rounds
 * go on beside its start.
 */
const STANDBY_START_MS = 60_000;

/**
 * How long this job waits for the start. No longer than the limit by which the rules judge it, for
 * they judge a start only once its job is over: with primary_start_timeout 0 nobody else can lead,
 * or it would not be started.
 */
function startTimeoutMs(deps: JobDeps, role: ServerRole, wantedMs: number | null): number {
  const { dynamic, postgresql } = deps.parts.settings.current();
  if (wantedMs !== null) return wantedMs;
  const limitMs = dynamic.primaryStartTimeoutSeconds * 1000;
  return role.kind === 'standby' ? Math.max(STANDBY_START_MS, limitMs) : limitMs || postgresql.pgCtlTimeoutSeconds * 1000;
}

/** How long a primary may take to stop in good order. */
function stopTimeoutMs(deps: JobDeps): number {
  const { dynamic, postgresql } = deps.parts.settings.current();
  const strict = dynamic.synchronousMode !== 'off' && dynamic.primaryStopTimeoutSeconds > 0;
  return (strict ? dynamic.primaryStopTimeoutSeconds : postgresql.pgCtlTimeoutSeconds) * 1000;
}

/**
 * A server that may open for writes is started only under an armed guard, and with no lease-less
 * moment in between.
 */
async function start(deps: JobDeps, role: ServerRole, timeoutMs: number | null, signal: AbortSignal, freshCopy = false): Promise<void> {
  if (role.kind === 'primary') await deps.fence.arm();
  else await deps.fence.disarm();
  const { notWritten } = await deps.parts.pg.start(role, { timeoutMs: startTimeoutMs(deps, role, timeoutMs), signal, freshCopy });
  // What could not be written is left to the rounds.
  if (notWritten.length === 0) deps.configApplied();
}

async function restart(deps: JobDeps, job: Extract<Job, { kind: 'restart' }>, signal: AbortSignal): Promise<void> {
  const { pg } = deps.parts;
  if (job.role.kind === 'standby') await leaveSync(deps.parts, deps.leaving, signal);
  deps.stopping();
  if (job.role.kind === 'primary') {
    // Without it the stop takes longer. A server that does not let the agent in is to be restarted
    // nevertheless.
    await pg
      .checkpoint({ timeoutMs: DAY_MS, signal })
      .catch((error: unknown) => deps.parts.log.warning(`checkpoint before the restart failed: ${String(error)}`));
  }
  const drain = job.role.kind === 'primary' ? await drainTo(deps.parts, nobodyTakesOver, signal) : {};
  await pg.stop('fast', { timeoutMs: stopTimeoutMs(deps), ...drain });
  await start(deps, job.role, job.timeoutMs, signal);
}

async function promote(deps: JobDeps, syncNames: string | null, signal: AbortSignal): Promise<void> {
  const { pg, settings, log } = deps.parts;
  const { dynamic } = settings.current();
  const bounded: Bounded = { timeoutMs: dynamic.ttlSeconds * 1000, signal };
  await deps.fence.arm();
  if (!(await deps.fence.activateWatchdog())) {
    throw new RegentError('WATCHDOG_FAILED', 'the watchdog is required and could not be armed', {
      mend: `check ${settings.local().watchdog.device}, its permissions, and that ttl leaves room for loop_wait and safety_margin`,
    });
  }
  if (!(await pg.prePromote({ timeoutMs: startTimeoutMs(deps, { kind: 'primary' }, null), signal }))) {
    throw new RegentError('PRE_PROMOTE_FAILED', 'the pre_promote script exited with an error, or not within primary_start_timeout', {
      mend: 'see the script’s own log',
    });
  }
  await pg.setSyncNames(syncNames, bounded).catch((error: unknown) => {
    // The user's own value is in the file already, or one that waits for more than anybody counts
    // on: neither is worth a cluster without a primary.
    if (syncNames !== null) throw error;
    log.warning(`promoted with the files as they are: ${String(error)}`);
  });
  await pg.promote({ timeoutMs: Math.max(60_000, bounded.timeoutMs), signal });
}

/**
 * Checkpoint while the clients still work, so that the shutdown has little to write; those who are
 * not there to confirm it are found out, while the clients still work; then a fast shutdown, which
 * sends every last record to the connected standbys; then the key, with the position that the
 * successor must have. The key does not wait for the processes to end once PostgreSQL is closed for
 * writes: an archiver may take as long as it likes.
 */
async function handover(deps: JobDeps, job: Extract<Job, { kind: 'handover' }>, signal: AbortSignal): Promise<void> {
  const { pg, log } = deps.parts;
  const before = await pg.observe({ timeoutMs: 1000 });
  const isPrimary = before.sql !== null && !before.sql.inRecovery;
  if (isPrimary) {
    await pg
      .checkpoint({ timeoutMs: DAY_MS, signal })
      .catch((error: unknown) => log.warning(`checkpoint before the handover failed: ${String(error)}`));
    await refuseLockedOut(deps);
  } else await leaveSync(deps.parts, deps.leaving, signal);
  const drain = isPrimary ? await drainTo(deps.parts, planFor(deps.parts, job), signal) : {};
  deps.stopping();
  const key = { released: Promise.resolve(false) };
  // Told once, and as soon as nobody can write here any more: what the script takes away (an
  // address) the successor is about to need.
  let told: Promise<void> | null = null;
  const stopped = () => {
    told ??= deps.announce('on_stop', 'demoted').catch((error: unknown) => log.warning(`callback on_stop: ${String(error)}`));
    return told;
  };
  const onClosed = () => {
    void stopped();
    key.released = releaseKey(deps).then(
      () => true,
      (error: unknown) => {
        log.warning(`the leader key could not be released while PostgreSQL ends, and is released after it: ${String(error)}`);
        return false;
      },
    );
  };
  await pg.stop('fast', { timeoutMs: stopTimeoutMs(deps), ...drain, ...(isPrimary && { onClosed }) });
  const after = await pg.observe({ timeoutMs: 2000 });
  if (after.state !== 'stopped') throw new RegentError('STOP_FAILED', `PostgreSQL is still ${after.state} after a fast stop`);
  if (isPrimary && !(await key.released)) await releaseKey(deps);
  await stopped();
}

/**
 * The checkpoint was asked for on a new connection. Who does not get one would not get in after the
 * handover either: it is called off before anything stops.
 */
async function refuseLockedOut({ parts }: JobDeps): Promise<void> {
  const { lockedOut } = await parts.pg.observe({ timeoutMs: 1000 });
  if (lockedOut === undefined) return;
  throw new RegentError(
    'HANDOVER_LOCKED_OUT',
    `called off before anything was stopped: the agent is locked out of PostgreSQL: ${lockedOut}`,
    {
      policy: 'transient',
    },
  );
}

/** Of a PostgreSQL that does not take writes any more. */
async function releaseKey(deps: JobDeps): Promise<void> {
  const { watchdog, settings, log } = deps.parts;
  await watchdog.disable();
  await deps.fence.disarm();
  const released = await deps.lease.release(settings.local().name, dcsTimeout(deps));
  if (!released) log.info('the leader key was not ours any more when it was to be released');
}

async function rewind(deps: JobDeps, job: Extract<Job, { kind: 'rewind' }>, signal: AbortSignal): Promise<void> {
  const { pg, settings } = deps.parts;
  deps.stopping();
  await pg.stop('fast', { timeoutMs: settings.current().postgresql.pgCtlTimeoutSeconds * 1000 });
  await pg.rewind(job.source, { timeoutMs: DAY_MS, signal });
  await start(deps, { kind: 'standby', source: job.source }, null, signal);
}
