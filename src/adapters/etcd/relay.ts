/**
 * The way to etcd through another member, for a leader that cannot reach etcd itself. Its lease
 * stays real.
 *
 * A call goes to etcd directly first. Where that has given nothing for a moment, members are asked
 * to carry it beside; the first answer counts. The direct way is never given up before, so it is
 * taken again as soon as it is open.
 */
import type { ClusterView, Member } from '../../core/cluster.ts';
import { type Clock, sleep } from '../../ports/clock.ts';
import type { Links } from '../../ports/links.ts';
import type { Log } from '../../ports/log.ts';
import { codeOf } from '../../support/errors.ts';
import type { CallSpec, Verdict } from './answers.ts';
import { type ClusterIdentity, shownId } from './identity.ts';
import { type Attempt, type RaceResult, race } from './race.ts';
import { carriageOf, isCarriedPath, readCarriage } from './relayed-call.ts';
import type { TermGuard } from './term-guard.ts';

/** How long the direct way has before. */
const PATIENCE_MS = 300;
/** The same after a call that had to be carried. */
const PATIENCE_RELAYING_MS = 50;
/** So often a call waits the whole time all the same: the direct way may be open, and slow. */
const PATIENT_EVERY_MS = 2000;
/** Calls had to be carried for so long: that is an outage, and not a moment of etcd's. */
const OUTAGE_MS = 2000;
/** A copy of these does nothing, however late it arrives. */
const HARMLESS: ReadonlySet<string> = new Set(['/kv/range', '/lease/keepalive']);
/** A carrier gives up so much earlier than its caller, who then learns why. */
const CARRIER_SHARE = 0.9;

/** Whose calls are carried, and over what. */
export interface RelaySettings {
  readonly me: string;
  readonly links: Pick<Links, 'ask'>;
}

export interface RelayOptions extends RelaySettings {
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: ClusterIdentity;
  readonly guard: TermGuard;
  /** Ends every call, as a timeout. */
  readonly closing: AbortSignal;
}

type Result = RaceResult<Verdict>;

/** The direct way. */
export interface Directly {
  /** What must be done before the race. May throw DcsError. */
  readonly prepare: () => Promise<void>;
  readonly race: (abandon: AbortSignal) => Promise<Result>;
}

export class Relay {
  readonly #options: RelayOptions;
  /** Who may be asked, best first. */
  #carriers: readonly Member[] = [];
  /** Since when calls had to be carried; null: the last was answered directly. */
  #carriedSinceMs: number | null = null;
  /** The log has said so. */
  #isToldOf = false;
  #patientAtMs = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** Only a leader has its calls carried: so two members never wait for each other. */
  learned({ leader, members }: ClusterView): void {
    const { me } = this.#options;
    const best = this.#carriers[0]?.name;
    const others = leader?.name === me ? members.filter(({ name, apiUrl }) => name !== me && apiUrl !== null) : [];
    this.#carriers = [...others.filter(({ name }) => name === best), ...others.filter(({ name }) => name !== best)];
  }

  /** Throws what `prepare` throws, unless a member has carried the call. */
  async beside(spec: CallSpec, directly: Directly): Promise<Result> {
    const { closing } = this.#options;
    const stop = new AbortController();
    const close = () => stop.abort();
    closing.addEventListener('abort', close, { once: true });
    if (closing.aborted) close();
    const end = () => {
      stop.abort();
      closing.removeEventListener('abort', close);
    };
    try {
      const { result, goesOn } = await this.#beside(spec, directly, stop);
      if (goesOn === null) end();
      else void goesOn.finally(end);
      return result;
    } catch (error) {
      end();
      throw error;
    }
  }

  /**
   * Aborting `stop` ends both ways. `goesOn`: the direct way is left its time, so that it is found
   * open even where it is slower than the patience of a call.
   */
  async #beside(
    spec: CallSpec,
    { prepare, race: directRace }: Directly,
    stop: AbortController,
  ): Promise<{ readonly result: Result; readonly goesOn: Promise<void> | null }> {
    const { clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + spec.timeoutMs;
    const state: { racing: Promise<Result> | null } = { racing: null };
    const directly = prepare().then(() => {
      state.racing = directRace(stop.signal);
      return state.racing;
    });
    if (spec.direct === true || !isCarriedPath(spec.path) || this.#carriers.length === 0) return { result: await directly, goesOn: null };
    const isPatient = this.#isPatient();
    const early = await this.#within(directly, Math.min(isPatient ? PATIENCE_MS : PATIENCE_RELAYING_MS, spec.timeoutMs / 3));
    if (early !== null) {
      this.#wasDirect(early);
      return { result: early, goesOn: null };
    }
    const winner = await firstAnswer(directly, this.#race(spec, deadlineMs, stop.signal));
    if (winner.via === 'relay' && winner.result.kind === 'answer') {
      this.#wasCarried(winner.result.endpoint);
      if (isPatient && HARMLESS.has(spec.path))
        return {
          result: winner.result,
          goesOn: directly.then(
            (late) => this.#wasDirect(late),
            () => {},
          ),
        };
    } else this.#wasDirect(winner.result);
    stop.abort();
    return { result: merged(winner.result, await (winner.via === 'relay' ? state.racing : winner.relayed)), goesOn: null };
  }

  #isPatient(): boolean {
    const now = this.#options.clock.monotonicMs();
    const isPatient = this.#carriedSinceMs === null || now - this.#patientAtMs >= PATIENT_EVERY_MS;
    if (isPatient) this.#patientAtMs = now;
    return isPatient;
  }

  /** Null: nothing yet, or nothing but a failure to reach etcd. */
  async #within(directly: Promise<Result>, ms: number): Promise<Result | null> {
    const over = new AbortController();
    const waited = sleep(this.#options.clock, ms, over.signal).then(() => null);
    try {
      return await Promise.race([directly, waited]);
    } catch (error) {
      if (codeOf(error) !== 'DCS_UNREACHABLE') throw error;
      return null;
    } finally {
      over.abort();
    }
  }

  #race(spec: CallSpec, deadlineMs: number, abandon: AbortSignal): Promise<Result> {
    const { clock, log } = this.#options;
    return race<Verdict>({
      clock,
      timeoutMs: Math.max(0, deadlineMs - clock.monotonicMs()),
      endpoints: () => this.#carriers.map(({ name }) => name),
      attempt: (name) => this.#attempt(name, spec, deadlineMs),
      onFailed: (name, reason) => {
        if (abandon.aborted) return;
        log.debug(`${name} did not carry ${spec.path} to etcd: ${reason}`);
        this.#carriers = [...this.#carriers.filter((one) => one.name !== name), ...this.#carriers.filter((one) => one.name === name)];
      },
      abandon,
    });
  }

  async #attempt(name: string, { path, body, consensus }: CallSpec, deadlineMs: number): Promise<Attempt<Verdict>> {
    const { links, clock, identity, guard } = this.#options;
    const carrier = this.#carriers.find((member) => member.name === name);
    const { clusterId } = identity;
    if (carrier === undefined || clusterId === null) return { kind: 'failed', applied: 'no', reason: 'not known which etcd is meant' };
    const timeoutMs = Math.max(1, deadlineMs - clock.monotonicMs());
    const sentRevision = guard.revision;
    const reply = await links.ask(carrier, carriageOf(clusterId, path, body, timeoutMs * CARRIER_SHARE), { timeoutMs });
    return readCarriage(reply, ({ header }) => {
      if (header.cluster_id !== identity.clusterId) return `another etcd: its cluster id is ${shownId(header.cluster_id)}`;
      return guard.admit(header, consensus, sentRevision) ? null : `stale answer of raft term ${header.raft_term}`;
    });
  }

  #wasDirect(result: Result): void {
    if (result.kind === 'timeout') return;
    if (this.#isToldOf) this.#options.log.info('etcd is reached directly again: no member carries the calls of this one any more');
    this.#isToldOf = false;
    this.#carriedSinceMs = null;
  }

  #wasCarried(name: string): void {
    const now = this.#options.clock.monotonicMs();
    this.#carriedSinceMs ??= now;
    if (this.#isToldOf || now - this.#carriedSinceMs < OUTAGE_MS) return;
    this.#isToldOf = true;
    this.#options.log.warning(`etcd cannot be reached from here: ${name} carries the calls of this member`);
  }
}

interface Winner {
  readonly via: 'direct' | 'relay';
  readonly result: Result;
  readonly relayed: Promise<Result>;
}

/** The first that is an answer; without one, what the direct way came to, or threw. */
function firstAnswer(directly: Promise<Result>, relayed: Promise<Result>): Promise<Winner> {
  const answered = (via: Winner['via'], way: Promise<Result>) =>
    way.then((result): Winner | Promise<never> =>
      result.kind === 'answer' ? { via, result, relayed } : Promise.reject(new Error('no answer')),
    );
  return Promise.any([answered('direct', directly), answered('relay', relayed)]).catch(async () => ({
    via: 'direct',
    result: await directly,
    relayed,
  }));
}

/** Whatever another copy of the request may have done. */
function merged(result: Result, other: Result | null): Result {
  const maybeApplied = result.maybeApplied || other?.maybeApplied === true;
  if (result.kind === 'answer' || other?.kind !== 'timeout') return { ...result, maybeApplied };
  const reasons = [...other.reasons].map(([name, reason]): [string, string] => [`through ${name}`, reason]);
  return { kind: 'timeout', reasons: new Map([...result.reasons, ...reasons]), maybeApplied };
}
