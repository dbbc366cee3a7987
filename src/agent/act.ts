/** Carries out the effects of one decision, in order. An effect that could not be done ends the round: what follows was judged on its success. */
import type { Effect, Job } from '../core/effects.ts';
import { leaseMargins } from '../core/settings.ts';
import { assertNever } from '../support/assert.ts';
import type { Fence } from './fence.ts';
import { type Lease, MIN_WRITE_MS } from './lease.ts';
import type { Parts } from './parts.ts';

export interface Hands {
  readonly parts: Parts;
  readonly lease: Lease;
  readonly fence: Fence;
  readonly startJob: (job: Job) => void;
  readonly cancelJob: (reason: string) => void;
  readonly checkpoint: () => void;
  readonly exit: (code: number, message: string) => void;
  readonly configApplied: () => void;
  /** Whether a write to /sync may still arrive. */
  readonly syncUnsettled: (unsettled: boolean) => void;
}

/** Time for files, a reload and SQL that changes little; with a short ttl less, for the next round has to renew the lease although PostgreSQL hangs. */
const SHORT_MS = 5000;
const shortMs = ({ lease, parts }: Hands) => lease.patienceMs(Math.min(SHORT_MS, (parts.settings.current().dynamic.ttlSeconds * 1000) / 3));

/** Returns false when an effect did not happen and the rest was left out. Throws what the ports throw. */
export async function act(hands: Hands, effects: readonly Effect[]): Promise<boolean> {
  for (const effect of effects) if (!(await perform(hands, effect))) return false;
  return true;
}

async function perform(hands: Hands, effect: Effect): Promise<boolean> {
  switch (effect.kind) {
    case 'start-job':
      hands.startJob(effect.job);
      return true;
    case 'cancel-job':
      hands.cancelJob(effect.reason);
      return true;
    case 'checkpoint':
      hands.checkpoint();
      return true;
    case 'exit':
      hands.exit(effect.code, effect.message);
      return true;
    case 'demote-now':
      await demoteNow(hands, effect.mode);
      return true;
    case 'set-sync-names':
    case 'apply-config':
    case 'sync-slots':
    case 'resume-replay':
    case 'mark-published':
    case 'run-callback':
      return onPostgres(hands, effect);
    default:
      return inDcs(hands, effect);
  }
}

type PostgresEffect = Extract<
  Effect,
  { kind: 'set-sync-names' | 'apply-config' | 'sync-slots' | 'resume-replay' | 'mark-published' | 'run-callback' }
>;

async function onPostgres(hands: Hands, effect: PostgresEffect): Promise<boolean> {
  const { pg } = hands.parts;
  const options = { timeoutMs: shortMs(hands) };
  switch (effect.kind) {
    case 'set-sync-names':
      await pg.setSyncNames(effect.value, options);
      return true;
    case 'apply-config': {
      const outcome = await pg.apply(effect.role, options);
      hands.configApplied();
      if (outcome.changed && outcome.reloaded) pg.runCallback('on_reload', effect.role.kind === 'primary' ? 'primary' : 'replica');
      return true;
    }
    case 'sync-slots':
      await pg.syncSlots(effect, options);
      return true;
    case 'resume-replay':
      await pg.resumeReplay(options);
      return true;
    case 'mark-published':
      await pg.markPublished();
      return true;
    case 'run-callback':
      pg.runCallback(effect.action, effect.role);
      return true;
  }
}

/** Done or refused, /sync has another revision than the one that every earlier write of ours expects to find. */
async function settled(hands: Hands, write: Promise<boolean>): Promise<boolean> {
  hands.syncUnsettled(true);
  const done = await write;
  hands.syncUnsettled(false);
  return done;
}

type DcsEffect = Exclude<Effect, PostgresEffect | { kind: 'start-job' | 'cancel-job' | 'checkpoint' | 'exit' | 'demote-now' }>;

async function inDcs(hands: Hands, effect: DcsEffect): Promise<boolean> {
  const { dcs, settings, log } = hands.parts;
  const me = settings.local().name;
  const retryMs = settings.current().dynamic.retryTimeoutSeconds * 1000;
  const options = { timeoutMs: hands.lease.patienceMs(retryMs, effect.kind === 'release-leader' ? undefined : MIN_WRITE_MS) };
  switch (effect.kind) {
    case 'acquire-leader': {
      const timeoutMs = Math.min(options.timeoutMs, effect.withinMs ?? options.timeoutMs);
      const won = await hands.lease.carry((leaseId) => dcs.acquireLeader(me, leaseId, { timeoutMs }));
      if (!won) log.info('Could not take out TTL lock');
      return won;
    }
    case 'attach-leader':
      await hands.fence.bringForward();
      return hands.lease.carry((leaseId) => dcs.attachLeader(me, leaseId, options));
    case 'release-leader':
      await hands.lease.release(me, options);
      return true;
    case 'race-initialize':
      return hands.lease.carry((leaseId) => dcs.raceInitialize(leaseId, options));
    case 'write-initialize':
      return dcs.writeInitialize(effect.systemIdentifier, effect.onlyIfAbsent, options);
    case 'write-config':
      return (await dcs.writeConfig(effect.data, effect.expected, options)) !== null;
    case 'write-sync':
      return settled(
        hands,
        dcs.writeSync({ leader: effect.leader, quorum: effect.quorum, standbys: effect.standbys }, effect.expected, options),
      );
    case 'delete-sync':
      return settled(hands, dcs.deleteSync(effect.expected, options));
    case 'write-status':
      await dcs.writeStatus(effect.value, options);
      return true;
    case 'write-history':
      await dcs.writeHistory(effect.value, options);
      return true;
    case 'clear-failover':
      return dcs.writeFailover(null, effect.expected, options);
    default:
      return assertNever(effect);
  }
}

/** A fast stop takes the sessions away at once and may then write its checkpoint, but never past the moment at which the guard would strike. */
async function demoteNow(hands: Hands, mode: 'fast' | 'immediate'): Promise<void> {
  const { pg, clock, watchdog } = hands.parts;
  const { confirmedSentAtMs, ttlSeconds } = hands.lease.facts();
  const byLeaseMs = confirmedSentAtMs === null ? clock.bootMs() : confirmedSentAtMs + leaseMargins(ttlSeconds).guardMs;
  // A guard that does not answer has not been told of the renewals since.
  const guardAtMs = Math.min(byLeaseMs, hands.fence.strikesAtMs);
  const leftMs = Math.max(200, guardAtMs - clock.bootMs() - 100);
  await pg.stop(mode, { timeoutMs: mode === 'fast' ? leftMs : Math.min(leftMs, 2000) });
  if (watchdog.active) await watchdog.disable();
  pg.runCallback('on_stop', 'demoted');
}
