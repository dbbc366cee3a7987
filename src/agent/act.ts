/**
 * Carries out one decision. Its steps go in order, and one that could not be done ends them: what
 * follows was judged on its success. Its chores stand each for itself: one that fails is a fact of
 * the next round, and stops no other.
 */
import { halfwayAtMs, stopByMs } from '../core/authority.ts';
import type { Chore, ChoreKind, ChoreOutcome } from '../core/chores.ts';
import type { FailsafeMap } from '../core/cluster.ts';
import type { Effect, Job } from '../core/effects.ts';
import type { Announcement, Decision } from '../core/model.ts';
import { roleNameOf } from '../core/role-settings.ts';
import type { LogicalWork } from '../core/slots/logical-work.ts';
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Watchdog } from '../ports/guard.ts';
import type { Log } from '../ports/log.ts';
import type { Bounded, Postgres } from '../ports/postgres.ts';
import type { SettingsSource } from '../ports/settings.ts';
import { assertNever } from '../support/assert.ts';
import { codeOf, ensureError, RegentError } from '../support/errors.ts';
import type { AuthorityView } from './authority-cell.ts';
import type { Fence } from './fence.ts';
import { type Lease, MIN_WRITE_MS } from './lease.ts';

export interface ActPorts {
  readonly clock: Pick<Clock, 'bootMs'>;
  readonly log: Pick<Log, 'error' | 'info' | 'warning'>;
  readonly settings: Pick<SettingsSource, 'current' | 'local'>;
  readonly pg: Pick<
    Postgres,
    | 'admitClients'
    | 'apply'
    | 'endReceiver'
    | 'endWalsender'
    | 'markCaughtUp'
    | 'markFence'
    | 'markOpenedByHand'
    | 'markPublished'
    | 'markStrayed'
    | 'resumeReplay'
    | 'setSyncNames'
    | 'stop'
    | 'syncSlots'
  >;
  readonly dcs: Pick<
    Dcs,
    | 'acquireLeader'
    | 'attachLeader'
    | 'takeLead'
    | 'takeRefused'
    | 'deleteSync'
    | 'raceInitialize'
    | 'writeConfig'
    | 'writeFailsafe'
    | 'writeFailover'
    | 'writeHistory'
    | 'writeInitialize'
    | 'writeStatus'
    | 'writeSync'
  >;
  readonly watchdog: Pick<Watchdog, 'active' | 'disable'>;
  readonly authority: AuthorityView;
  readonly lease: Pick<Lease, 'carry' | 'release'>;
  readonly fence: Pick<Fence, 'keyMoves'>;
  readonly startJob: (job: Job) => void;
  readonly cancelJob: (reason: string) => void;
  readonly checkpoint: () => void;
  readonly logicalSlots: (work: LogicalWork) => void;
  readonly exit: (code: number, message: string) => void;
  readonly configApplied: () => void;
  /** Whether a write to /sync may still arrive. */
  readonly syncUnsettled: (unsettled: boolean) => void;
  /** The failsafe map is written (null: no answer yet), or it could not be. */
  readonly failsafeWrites: (map: FailsafeMap, written: boolean | null) => void;
  /** Starts a callback script. Throws when it could not be started. */
  readonly announce: (announcement: Announcement) => Promise<void>;
  /** Tells the callbacks that PostgreSQL was stopped. Never throws. */
  readonly announceStop: () => Promise<void>;
  readonly choreEnded: (outcome: ChoreOutcome) => void;
}

/**
 * Time for files, a reload and SQL that changes little; with a short ttl less, for the next round
 * has to renew the lease although PostgreSQL hangs.
 */
const SHORT_MS = 5000;

const REFUSAL_LASTS_MS = 1000;

/** How long something may take now that usually may take `mostMs`. */
type Patience = (mostMs: number, leastMs?: number) => number;
const shortMs = ({ settings }: Pick<ActPorts, 'settings'>, patience: Patience) =>
  patience(Math.min(SHORT_MS, (settings.current().dynamic.ttlSeconds * 1000) / 3));

/**
 * Returns false when something did not happen and is to be looked at again soon. Throws what a step
 * throws, after the chores.
 */
export async function act(ports: ActPorts, { steps, chores }: Pick<Decision, 'steps' | 'chores'>): Promise<boolean> {
  const patience: Patience = (mostMs, leastMs) => ports.authority.patienceMs(mostMs, leastMs);
  let done = true;
  let failure: { readonly error: unknown } | null = null;
  try {
    for (const effect of steps) {
      done = await perform(ports, effect, patience);
      if (!done) break;
    }
  } catch (error) {
    if (isBug(error)) throw error;
    failure = { error };
  }
  if (!(await doChores(ports, chores, failure !== null))) done = false;
  if (failure !== null) throw failure.error;
  return done;
}

/** The end of this work tells what came of it. */
const HAS_ONLY_BEGUN: ReadonlySet<ChoreKind> = new Set(['checkpoint', 'logical-slots']);

const isBug = (error: unknown) => error instanceof RegentError && error.policy === 'bug';

/**
 * After the first failure, which may have taken all the time it had, the others share what is left
 * until half of the lease is over: the next round is to renew it in good time. Who gets nothing has
 * its turn then, when the one that failed is held off.
 */
async function doChores(ports: ActPorts, chores: readonly Chore[], failed: boolean): Promise<boolean> {
  let hurried = failed;
  let done = true;
  for (const chore of chores) {
    const leftMs = hurried ? untilHalfMs(ports) : Number.POSITIVE_INFINITY;
    if (leftMs < MIN_WRITE_MS) return false;
    const outcome = await doChore(ports, chore, (mostMs, leastMs) => Math.min(leftMs, ports.authority.patienceMs(mostMs, leastMs)));
    if (outcome === null) done = false;
    else if (!outcome.ok) hurried = true;
    if (outcome !== null && !(outcome.ok && HAS_ONLY_BEGUN.has(chore.kind))) ports.choreEnded(outcome);
  }
  return done;
}

function untilHalfMs({ authority, clock }: Pick<ActPorts, 'authority' | 'clock'>): number {
  const halfway = halfwayAtMs(authority.now);
  return halfway === null ? SHORT_MS : halfway - clock.bootMs();
}

/**
 * Null: refused, because what it was judged on has changed meanwhile. That is no failure, and the
 * next round judges again.
 */
async function doChore(ports: ActPorts, { kind, effects }: Chore, patience: Patience): Promise<ChoreOutcome | null> {
  const ended = (error: Error | null): ChoreOutcome => ({
    kind,
    ok: error === null,
    code: codeOf(error),
    message: error?.message ?? null,
    endedAtMs: ports.clock.bootMs(),
  });
  try {
    for (const effect of effects) if (!(await perform(ports, effect, patience))) return null;
    return ended(null);
  } catch (error) {
    if (isBug(error)) throw error;
    if (codeOf(error) === null) {
      ports.log.error(`Unexpected exception raised, please report it as a BUG: ${ensureError(error).message}`, {
        stack: ensureError(error).stack,
      });
    }
    return ended(ensureError(error));
  }
}

async function perform(ports: ActPorts, effect: Effect, patience: Patience): Promise<boolean> {
  switch (effect.kind) {
    case 'start-job':
      ports.startJob(effect.job);
      return true;
    case 'cancel-job':
      ports.cancelJob(effect.reason);
      return true;
    case 'checkpoint':
      ports.checkpoint();
      return true;
    case 'logical-slots':
      ports.logicalSlots(effect.work);
      return true;
    case 'exit':
      ports.exit(effect.code, effect.message);
      return true;
    case 'demote-now':
      await demoteNow(ports, effect.mode);
      return true;
    case 'set-sync-names':
    case 'apply-config':
    case 'sync-slots':
    case 'end-walsender':
    case 'end-receiver':
    case 'resume-replay':
    case 'admit-clients':
    case 'mark-published':
    case 'mark-caught-up':
    case 'mark-strayed':
    case 'mark-opened-by-hand':
    case 'mark-fence':
    case 'run-callback':
      return onPostgres(ports, effect, patience);
    default:
      return inDcs(ports, effect, patience);
  }
}

type PostgresEffect = Extract<
  Effect,
  {
    kind:
      | 'set-sync-names'
      | 'apply-config'
      | 'sync-slots'
      | 'end-walsender'
      | 'end-receiver'
      | 'resume-replay'
      | 'admit-clients'
      | 'mark-published'
      | 'mark-caught-up'
      | 'mark-strayed'
      | 'mark-opened-by-hand'
      | 'mark-fence'
      | 'run-callback';
  }
>;

async function onPostgres(ports: ActPorts, effect: PostgresEffect, patience: Patience): Promise<boolean> {
  const { pg } = ports;
  const options = { timeoutMs: shortMs(ports, patience) };
  switch (effect.kind) {
    case 'set-sync-names':
      await pg.setSyncNames(effect.value, options);
      await announceReload(ports, 'primary');
      return true;
    case 'apply-config':
      await applyFiles(ports, effect, options);
      return true;
    case 'sync-slots':
      await pg.syncSlots(effect, options);
      return true;
    case 'end-walsender':
      await pg.endWalsender(effect.pid, effect.name, options);
      return true;
    case 'end-receiver':
      await pg.endReceiver(effect.pid, options);
      return true;
    case 'resume-replay':
      await pg.resumeReplay(options);
      return true;
    case 'admit-clients':
      await pg.admitClients(options);
      ports.log[effect.warn ? 'warning' : 'info'](effect.because);
      return true;
    case 'mark-caught-up':
      await pg.markCaughtUp();
      return true;
    case 'mark-strayed':
      await pg.markStrayed(effect.strayed);
      return true;
    case 'mark-opened-by-hand':
      await pg.markOpenedByHand(effect.opened);
      return true;
    case 'mark-fence':
      await pg.markFence(effect.mark);
      return true;
    case 'mark-published':
      await pg.markPublished();
      return true;
    case 'run-callback':
      await ports.announce({ action: effect.action, role: effect.role, startedAt: effect.startedAt });
      return true;
  }
}

/** Throws when not every file could be written; what could be is written, and in force. */
async function applyFiles(ports: ActPorts, { role, only }: Extract<Effect, { kind: 'apply-config' }>, options: Bounded): Promise<void> {
  const outcome = await ports.pg.apply(role, { ...options, ...(only && { only }) });
  if (outcome.changed && outcome.reloaded) {
    await announceReload(ports, roleNameOf(role));
  }
  if (outcome.notWritten.length > 0) throw new RegentError('FILE_WRITE_FAILED', outcome.notWritten.join('; '), { policy: 'transient' });
  if (only === undefined) ports.configApplied();
}

/** It is told once, whether its script could be started or not. */
async function announceReload(ports: ActPorts, role: string): Promise<void> {
  await ports.announce({ action: 'on_reload', role }).catch((error: unknown) => {
    ports.log.warning(`callback on_reload: ${ensureError(error).message}`);
  });
}

/**
 * Done or refused, /sync has another revision than the one that every earlier write of ours expects
 * to find.
 */
async function settled(ports: ActPorts, write: Promise<boolean>): Promise<boolean> {
  ports.syncUnsettled(true);
  const done = await write;
  ports.syncUnsettled(false);
  return done;
}

type DcsEffect = Exclude<
  Effect,
  PostgresEffect | { kind: 'start-job' | 'cancel-job' | 'checkpoint' | 'logical-slots' | 'exit' | 'demote-now' }
>;

async function inDcs(ports: ActPorts, effect: DcsEffect, patience: Patience): Promise<boolean> {
  const { dcs, settings, log } = ports;
  const me = settings.local().name;
  const retryMs = settings.current().dynamic.retryTimeoutSeconds * 1000;
  const options = { timeoutMs: patience(retryMs, effect.kind === 'release-leader' ? undefined : MIN_WRITE_MS) };
  switch (effect.kind) {
    case 'acquire-leader': {
      const timeoutMs = Math.min(options.timeoutMs, effect.withinMs ?? options.timeoutMs);
      const won = await ports.lease.carry((leaseId) => dcs.acquireLeader(me, leaseId, { timeoutMs }));
      if (!won) log.info('Could not take out TTL lock');
      return won;
    }
    case 'attach-leader':
      await ports.fence.keyMoves();
      return ports.lease.carry((leaseId) => dcs.attachLeader(me, leaseId, options));
    case 'release-leader':
      await ports.lease.release(me, options);
      return true;
    case 'race-initialize': {
      const won = await ports.lease.carry((leaseId) => dcs.raceInitialize(leaseId, options));
      if (!won) log.info('failed to acquire initialize lock');
      return won;
    }
    case 'write-initialize':
      return dcs.writeInitialize(effect.systemIdentifier, effect.onlyIfAbsent, options);
    case 'write-config':
      return (await dcs.writeConfig(effect.data, effect.expected, options)) !== null;
    case 'write-sync':
      return settled(
        ports,
        dcs.writeSync({ leader: effect.leader, quorum: effect.quorum, standbys: effect.standbys }, effect.expected, {
          ...options,
          term: effect.term,
        }),
      );
    case 'delete-sync':
      return settled(ports, dcs.deleteSync(effect.expected, { ...options, term: effect.term }));
    case 'take-over': {
      const { term, expected, quorum, standbys } = effect;
      const sync = { leader: me, quorum, standbys };
      const won = await settled(
        ports,
        ports.lease.carry((leaseId) => dcs.takeLead(me, leaseId, { term, expected, sync }, options)),
      );
      if (!won) log.info(`could not take over: the leader key or /sync has changed`);
      return won;
    }
    case 'take-refused': {
      // The refusals by which it was judged say less with every second.
      const timeoutMs = Math.min(options.timeoutMs, REFUSAL_LASTS_MS);
      const won = await ports.lease.carry((leaseId) => dcs.takeRefused(me, leaseId, effect.term, { timeoutMs }));
      if (!won) log.info('could not take over: the leader key has changed');
      return won;
    }
    case 'write-status':
      await dcs.writeStatus(effect.value, options);
      return true;
    case 'write-failsafe': {
      const { map, expected, term } = effect;
      ports.failsafeWrites(map, null);
      const written = await dcs.writeFailsafe(map, expected, { ...options, term });
      ports.failsafeWrites(map, written);
      return written;
    }
    case 'write-history':
      await dcs.writeHistory(effect.value, options);
      return true;
    case 'clear-failover':
      return dcs.writeFailover(null, effect.expected, options);
    default:
      return assertNever(effect);
  }
}

/**
 * A fast stop takes the sessions away at once and may then write its checkpoint, but never past the
 * moment at which the guard would strike.
 */
async function demoteNow(ports: ActPorts, mode: 'fast' | 'immediate'): Promise<void> {
  const { pg, clock, watchdog } = ports;
  const nowMs = clock.bootMs();
  const leftMs = Math.max(200, stopByMs(ports.authority.now, nowMs) - nowMs - 100);
  await pg.stop(mode, { timeoutMs: mode === 'fast' ? leftMs : Math.min(leftMs, 2000) });
  if (watchdog.active) await watchdog.disable();
  await ports.announceStop();
}
