/** Gathers the facts of one round, in parallel, under one deadline. */
import type { ClusterView } from '../core/cluster.ts';
import { clusterModes } from '../core/cluster-modes.ts';
import { type Context, comparedWith, contextOf, isOfCluster, isStandbyLeader, keyRead, unlockedMs } from '../core/context.ts';
import { streamsInOrder, timelineStart } from '../core/divergence.ts';
import type { RunningJob } from '../core/effects.ts';
import { failsafeMembersOnly } from '../core/failsafe.ts';
import type { DcsFacts, Memory, Observation, OperatorRequests } from '../core/model.ts';
import type { PeerFacts } from '../core/peer-facts.ts';
import type { PostgresFacts, SourceHistory } from '../core/postgres-facts.ts';
import type { LinkFacts } from '../core/quorum/link-facts.ts';
import { isRefused } from '../core/quorum/refusal.ts';
import { diskHangs } from '../core/quorum/resigning.ts';
import { missesLeader } from '../core/quorum/suspicion.ts';
import { type RefusedRemote, remoteSource } from '../core/remote.ts';
import { withMemberNames } from '../core/server-names.ts';
import { type DynamicSettings, observeTimeoutMs } from '../core/settings.ts';
import { endToCompare } from '../core/strays.ts';
import { asksRemoteFirst, refusedRemote } from '../core/wrong-remote.ts';
import { type Clock, sleep } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Watchdog } from '../ports/guard.ts';
import type { Log } from '../ports/log.ts';
import type { Peers } from '../ports/peers.ts';
import type { Postgres } from '../ports/postgres.ts';
import type { SettingsSource } from '../ports/settings.ts';
import { ensureError } from '../support/errors.ts';
import type { AuthorityCell } from './authority-cell.ts';
import { FORMER_LEASE_TIMEOUT_MS, type Lease, refuses } from './lease.ts';
import type { Told } from './news.ts';

/**
 * A peer that does not answer within this is counted as not answering; the others do not wait for
 * it.
 */
const PEER_TIMEOUT_MS = 300;
/** The same while commits hang, and whoever does not answer is asked again in the next round. */
const PEER_TIMEOUT_MISSED_MS = 150;
const SOURCE_TIMEOUT_MS = 1500;
/** In less than that a server elsewhere cannot say who it is. */
const LEAST_REMOTE_MS = 100;
/** Less would miss a server that is only slow. */
const LEAST_OBSERVE_MS = 300;
/**
 * The time for a primary that does not hold the leader key: nothing protects it, so it cannot wait
 * for etcd as long as others.
 */
const UNLOCKED_TIMEOUT_MS = 1000;
/** Its request for the key may have been done, and only the answer lost. */
const LEAST_UNLOCKED_TIMEOUT_MS = 200;

export interface ObservePorts {
  readonly clock: Pick<Clock, 'bootMs' | 'timer' | 'wallMs'>;
  readonly log: Pick<Log, 'debug' | 'error' | 'warning'>;
  readonly settings: Pick<SettingsSource, 'adopt' | 'current' | 'preview'>;
  readonly dcs: Pick<Dcs, 'bind' | 'read'>;
  readonly pg: Pick<Postgres, 'observe' | 'sourceHistory'>;
  readonly peers: Pick<Peers, 'ask' | 'prepare'>;
  readonly watchdog: Pick<Watchdog, 'active' | 'healthy'>;
  readonly authority: Pick<AuthorityCell, 'now' | 'note' | 'patienceMs'>;
  readonly lease: Pick<Lease, 'failedBefore' | 'keep' | 'renew'>;
}

/** What the agent knows by itself when a round begins, and the questions that the round asks it. */
export interface OwnState extends Told {
  readonly memory: Memory;
  readonly job: RunningJob | null;
  readonly requests: OperatorRequests;
  /** Takes note of the settings that the round goes by, before anything is judged by them. */
  readonly noteSettings: (seen: Pick<Observation, 'settings' | 'dcs'>) => Pick<Observation, 'configDirty' | 'configVersion'>;
  readonly guardHealthy: boolean;
  readonly links: () => LinkFacts;
  readonly syncUnsettled: boolean;
  readonly untilLeaderChanges: () => AbortSignal;
  /**
   * Gives the guard of a primary a deadline; returns how long this round may then wait for a lease,
   * in milliseconds.
   */
  readonly cover: (c: Context) => Promise<number>;
}

export async function observe(ports: ObservePorts, own: OwnState): Promise<Observation> {
  const { clock, settings } = ports;
  const { reading, renewal } = askDcs(ports, own);
  const [dcs, told] = await Promise.all([
    reading,
    // A PostgreSQL that does not answer must not keep its agent from stopping it in time. That time
    // ends with the lease, or when the guard strikes.
    ports.pg.observe({ timeoutMs: ports.authority.patienceMs(silencePatienceMs(settings.current().dynamic, own.memory, clock.bootMs())) }),
  ]);
  // PostgreSQL knows members by its own form of their names.
  const pg = dcs.known && told.sql !== null ? { ...told, sql: withMemberNames(told.sql, dcs.view) } : told;
  const asked = dcs.known ? await refusedOf(ports, own, dcs.view, pg) : 'later';
  const refused = asked === 'later' ? own.memory.refusedRemote : asked;
  if (dcs.known) {
    if (asked !== 'later') settings.adopt(dcs.view.config, refused !== null);
    // At once: the rest of the round may take long, and the guard must not go by a key that is
    // gone.
    ports.authority.note(keyRead(dcs.view, settings.current().local.name));
  }
  if (dcs.known && isOfCluster(pg, dcs.view)) ports.dcs.bind();
  const draft: { -readonly [Fact in keyof Observation]: Observation[Fact] } = {
    nowMs: clock.bootMs(),
    wallMs: clock.wallMs(),
    settings: settings.current(),
    dcs,
    authority: ports.authority.now,
    pg,
    peers: null,
    source: null,
    ...(refused && { refusedRemote: refused }),
    links: own.links(),
    job: own.job,
    ended: own.ended,
    chores: own.chores,
    announced: own.announced,
    ...(own.logical && { logical: own.logical }),
    requests: own.requests,
    watchdog: {
      required: settings.current().local.watchdog.mode === 'required',
      healthy: ports.watchdog.healthy(),
      active: ports.watchdog.active,
    },
    guardHealthy: own.guardHealthy,
    syncUnsettled: own.syncUnsettled,
    ...own.noteSettings({ settings: settings.current(), dcs }),
  };
  const mayWaitMs = dcs.known && pg.postmaster !== null ? await own.cover(contextOf(draft, own.memory)) : Number.POSITIVE_INFINITY;
  const refusal = await within(clock, renewal, mayWaitMs);
  if (refusal !== null) await keepOldLease(ports, contextOf({ ...draft, authority: ports.authority.now }, own.memory), refusal);
  draft.nowMs = clock.bootMs();
  draft.links = own.links();
  draft.authority = ports.authority.now;
  const [peers, source] = await Promise.all([askPeers(ports, draft, own.memory), askSource(ports, draft, own)]);
  draft.peers = peers;
  draft.source = source;
  draft.nowMs = clock.bootMs();
  draft.wallMs = clock.wallMs();
  draft.links = own.links();
  draft.authority = ports.authority.now;
  return draft;
}

/** A server that is silent is asked for the last time when its time is over, not after that. */
function silencePatienceMs(dynamic: DynamicSettings, { notRunningSinceMs }: Memory, nowMs: number): number {
  const usualMs = observeTimeoutMs(dynamic);
  const leftMs = notRunningSinceMs === null ? 0 : notRunningSinceMs + dynamic.unresponsiveAfterSeconds * 1000 - nowMs;
  return leftMs <= 0 ? usualMs : Math.min(usualMs, Math.max(LEAST_OBSERVE_MS, leftMs));
}

/** Null: what was waited for has not come. */
async function within<T>(clock: Pick<Clock, 'timer'>, done: Promise<T>, ms: number): Promise<T | null> {
  if (ms === Number.POSITIVE_INFINITY) return done;
  const waiting = new AbortController();
  const result = await Promise.race([done, sleep(clock, ms, waiting.signal).then(() => null)]);
  waiting.abort();
  return result;
}

/**
 * etcd takes no writes, so it grants no lease, but it renews existing ones. The leader key of this
 * node's cluster names this node, on the lease of the agent that ran here before. This agent leads
 * on by that lease: no other member could take the key.
 */
async function keepOldLease(ports: ObservePorts, c: Context, refusal: string): Promise<void> {
  const leaseId = c.lockMine ? (c.view?.leader?.leaseId ?? null) : null;
  if (leaseId === null || !isOfCluster(c.o.pg, c.view) || c.authority.lease.leaseId !== null) return;
  const kept = await ports.lease.keep(leaseId, FORMER_LEASE_TIMEOUT_MS).catch(() => false);
  if (kept) {
    ports.log.error(
      `etcd takes no writes (${refusal}): this agent leads on by the leader key's present lease. No failover is possible until etcd has room: etcdctl alarm list`,
    );
  }
}

/**
 * Renewal and reading go out together; the time they get ends before the agent would have to step
 * down. Neither fails. The renewal tells why etcd refuses a lease; null: it does not, or did not
 * say.
 */
function askDcs(ports: ObservePorts, own: OwnState): { readonly reading: Promise<DcsFacts>; readonly renewal: Promise<string | null> } {
  const { dynamic } = ports.settings.current();
  const timeoutMs = ports.authority.patienceMs(Math.min(dynamic.retryTimeoutSeconds * 1000, unlockedTimeoutMs(ports, own.memory)));
  const renewal = ports.lease.renew(dynamic.ttlSeconds, timeoutMs).then(
    () => null,
    (error: unknown) => {
      const { message } = ensureError(error);
      // An outage is one event: told once, not at every try.
      if (ports.lease.failedBefore()) ports.log.debug(`the lease could not be renewed: ${message}`);
      else ports.log.warning(`the lease could not be renewed: ${message}`);
      return refuses(error) ? message : null;
    },
  );
  const reading = ports.dcs.read({ timeoutMs }).then(
    (view): DcsFacts => ({ known: true, view }),
    (error: unknown): DcsFacts => ({ known: false, reason: ensureError(error).message }),
  );
  return { reading, renewal };
}

/** The round that ends its time without the key is not to begin with a wait. */
function unlockedTimeoutMs({ clock, settings }: ObservePorts, { unlockedSinceMs }: Memory): number {
  if (unlockedSinceMs === null) return Number.POSITIVE_INFINITY;
  const leftMs = unlockedSinceMs + unlockedMs({ o: { settings: settings.current() } }) - clock.bootMs();
  return Math.max(LEAST_UNLOCKED_TIMEOUT_MS, Math.min(UNLOCKED_TIMEOUT_MS, leftMs));
}

/**
 * The other members are asked when their positions matter: no member leads, a member must be
 * replaced, or we may have to give up.
 */
async function askPeers(ports: ObservePorts, o: Observation, memory: Memory): Promise<ReadonlyMap<string, PeerFacts> | null> {
  if (!o.dcs.known) return null;
  const { view } = o.dcs;
  ports.peers.prepare(view.members);
  const c = contextOf(o, memory);
  if (o.job !== null && !(o.job.job.kind === 'handover' && diskHangs(c))) return null;
  // An agent that must take PostgreSQL down does not wait for any answer first.
  if (!c.paused && c.mayBeWritable && !c.mayLeadNow) return null;
  const mayOpen = o.pg.state === 'running' || (c.paused && o.requests.restart !== null);
  const inherited = !memory.keyTaken && !c.isPrimary;
  // It may have to give the lead of a standby cluster to one that can follow the server outside.
  const cutOff = isStandbyLeader(c) && comparedWith(c) !== null && o.pg.sql?.receiver?.status !== 'streaming';
  const needed =
    cutOff || (c.unlocked && mayOpen) || (c.lockMine && (view.failover !== null || o.pg.state !== 'running' || inherited || diskHangs(c)));
  // The leader that is missed would only be waited for.
  const missed = missesLeader(c) || isRefused(c) || c.fenced ? c.otherLeader : null;
  if (!needed && missed === null) return null;
  return ports.peers.ask(
    [...view.members, ...failsafeMembersOnly(view)].filter(
      (member) => member.name !== c.me && member.name !== missed && member.apiUrl !== null,
    ),
    { timeoutMs: missed === null ? PEER_TIMEOUT_MS : PEER_TIMEOUT_MISSED_MS },
  );
}

/** The leader's history, when this node does not stream from it and may have left it. */
async function askSource(ports: ObservePorts, o: Observation, own: OwnState): Promise<SourceHistory | null> {
  if (o.job !== null || !comparable(o.pg)) return null;
  const c = contextOf(o, own.memory);
  // A race does not wait for a server outside, with which only its winner is compared.
  const races = c.followsRemote && c.unlocked && o.pg.state === 'running';
  const source = races || missesLeader(c) || isRefused(c) ? null : comparedWith(c);
  if (source === null) return null;
  const start = o.pg.timelineFingerprint === undefined ? null : timelineStart(o.pg);
  const end = endToCompare(o.pg, own.memory);
  const signal = own.untilLeaderChanges();
  let stop = () => {};
  // A leader that was cut off or switched off does not answer, and the race for its key does not
  // wait for that.
  const changed = new Promise<null>((resolve) => {
    stop = () => resolve(null);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    const asked = ports.pg.sourceHistory(source, {
      timeoutMs: SOURCE_TIMEOUT_MS,
      signal,
      ...(start === null ? {} : { own: start }),
      ...(end && { end }),
    });
    return await Promise.race([asked, changed]);
  } catch (error) {
    ports.log.debug(`the leader's history could not be read: ${ensureError(error).message}`);
    return null;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/**
 * A primary that leads stops when it reads `standby_cluster`. So the server outside is asked first
 * who it is. One that does not answer may be right, and the setting counts. `later`: the guard,
 * which this round has not given its deadline yet, might strike meanwhile; settings that came with
 * it wait for the next round.
 */
async function refusedOf(
  ports: ObservePorts,
  own: OwnState,
  view: ClusterView,
  pg: PostgresFacts,
): Promise<RefusedRemote | null | 'later'> {
  const before = own.memory.refusedRemote;
  if (view.config === null || !clusterModes(view).standbyCluster || (pg.sql?.inRecovery !== false && before === null)) return null;
  const settings = ports.settings.preview(view.config);
  const question = { settings, view, pg, before, isBusy: own.job !== null, nowMs: ports.clock.bootMs() };
  const remote = remoteSource(settings.dynamic);
  if (remote === null || !asksRemoteFirst(question)) return refusedRemote(question, false, null);
  const guardLeftMs = (ports.authority.now.guard.reliedUntilMs ?? Number.POSITIVE_INFINITY) - ports.clock.bootMs();
  const timeoutMs = Math.min(guardLeftMs, ports.authority.patienceMs(SOURCE_TIMEOUT_MS));
  if (timeoutMs < LEAST_REMOTE_MS) return 'later';
  const source = await ports.pg.sourceHistory(remote, { timeoutMs, signal: own.untilLeaderChanges() }).catch((error: unknown) => {
    ports.log.debug(`the server of standby_cluster could not be asked: ${ensureError(error).message}`);
    return null;
  });
  return refusedRemote(question, true, source);
}

function comparable(pg: PostgresFacts): boolean {
  if (pg.state === 'stopped') return pg.dataDir === 'valid';
  return pg.state === 'running' && pg.sql?.inRecovery === true && !streamsInOrder(pg);
}
