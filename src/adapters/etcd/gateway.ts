/**
 * Calls to the etcd cluster as a whole: endpoint choice, tokens, stale answers and error kinds are
 * settled here.
 */
import { setMaxListeners } from 'node:events';
import type { EtcdSettings } from '../../core/settings.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { DcsError, ensureError } from '../../support/errors.ts';
import { HttpFailure } from '../../support/http.ts';
import { type Answer, type CallSpec, refusal, type Verdict } from './answers.ts';
import { ApiPrefix } from './api-prefix.ts';
import { Discovery } from './discover.ts';
import { EndpointPool } from './endpoints.ts';
import { ClusterIdentity } from './identity.ts';
import type { IdentityFile } from './identity-file.ts';
import { type Attempt, type RaceResult, race } from './race.ts';
import { Relay, type RelaySettings } from './relay.ts';
import { TermGuard } from './term-guard.ts';
import { type Login, Token } from './token.ts';
import { HttpTransport, type StreamHandlers, type Transport } from './transport.ts';

export interface GatewayOptions {
  readonly settings: EtcdSettings;
  readonly log: Log;
  readonly clock: Clock;
  /** Where the id of this node's etcd is kept; nothing: in memory alone. */
  readonly identity?: IdentityFile;
  /** Who logs in now, where that may change while the process runs. */
  readonly login?: () => Login;
  /** How requests travel; nothing: over HTTP. */
  readonly transport?: Transport;
  /** Who carries calls where etcd cannot be reached; nothing: nobody. */
  readonly relay?: RelaySettings;
}

export interface Reply {
  readonly answer: Answer;
  /**
   * Another copy of the request was sent and its fate is not known: a compare that fails may have
   * been beaten by ourselves.
   */
  readonly maybeApplied: boolean;
}

/**
 * Asks a member without a leader to say so at once instead of letting the call hang, and to end
 * watches it can no longer feed.
 */
const REQUIRE_LEADER = { 'grpc-metadata-hasleader': 'true' };
/**
 * An endpoint that has answered within this time, and not failed since, is taken to be the same
 * etcd still.
 */
const PROOF_MS = 15_000;
const STATUS_PATH = '/maintenance/status';
/**
 * Logins a call may ask for after its first attempt. Permission is looked up at each use, so one
 * try is enough to rule an old login out.
 */
const TOKEN_RETRIES = 2;
const PERMISSION_RETRIES = 1;

export class Gateway {
  readonly pool: EndpointPool;
  readonly guard: TermGuard;
  readonly identity: ClusterIdentity;
  readonly relay: Relay | null;
  /** When an endpoint last showed that it is of this node's etcd. */
  readonly #provenAtMs = new Map<string, number>();
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #transport: Transport;
  readonly #api: ApiPrefix;
  readonly #token: Token;
  readonly #discovery: Discovery;
  readonly #closing = new AbortController();

  constructor({ settings, log, clock, identity, login, transport, relay }: GatewayOptions) {
    this.#clock = clock;
    this.#log = log;
    // Each call that is under way listens, and nothing bounds how many an outage leaves under way.
    setMaxListeners(0, this.#closing.signal);
    this.pool = new EndpointPool(settings.endpoints);
    this.guard = new TermGuard(clock, log);
    this.identity = new ClusterIdentity(clock, log, identity);
    this.relay =
      relay === undefined
        ? null
        : new Relay({ ...relay, clock, log, identity: this.identity, guard: this.guard, closing: this.#closing.signal });
    this.pool.onSuspicion((endpoint) => this.#provenAtMs.delete(endpoint));
    this.#transport = transport ?? new HttpTransport(settings, clock, log);
    this.#api = new ApiPrefix({ transport: this.#transport, log });
    this.#token = new Token(login ?? (() => settings), (spec) => this.#race(spec, null), log);
    this.#discovery = new Discovery({
      settings,
      clock,
      log,
      pool: this.pool,
      transport: this.#transport,
      list: (spec) => this.#race(spec, this.#token.value),
    });
  }

  /**
   * One call, over as many endpoints and attempts as the time allows. Throws DcsError:
   * DCS_UNREACHABLE (for a write: it may have been applied), DCS_REFUSED, DCS_LEASE_GONE.
   */
  async call(spec: CallSpec): Promise<Reply> {
    const left = this.countdown(spec.timeoutMs);
    if (this.closed) throw new DcsError('DCS_UNREACHABLE', 'the etcd client is closed', { policy: 'bug' });
    await this.#discovery.beforeCall(spec.timeoutMs);
    let maybeApplied = false;
    for (let attempt = 0; ; attempt++) {
      let used: string | null = null;
      const prepare = async () => {
        await this.#token.ensure(left());
        used = this.#token.value;
      };
      const result = await this.#anyWay({ ...spec, timeoutMs: left() }, prepare, (abandon) =>
        this.#race({ ...spec, timeoutMs: left() }, used, abandon),
      );
      maybeApplied ||= result.maybeApplied;
      if (result.kind === 'timeout') throw this.#unreachable(spec, result);
      const verdict = result.value;
      if (verdict.kind === 'ok') return { answer: verdict.answer, maybeApplied };
      if (verdict.kind === 'lease-gone') throw new DcsError('DCS_LEASE_GONE', `etcd: ${verdict.message}`);
      if (verdict.kind === 'unavailable') throw new DcsError('DCS_UNREACHABLE', `etcd: ${verdict.message}`);
      if (attempt >= repeatsFor(verdict) || !this.#token.renewable(verdict)) throw this.#refused(verdict);
      this.#token.drop(used, verdict);
    }
  }

  /** The same at one endpoint, without a second attempt. Throws as `call` does. */
  async callOn(endpoint: string, spec: CallSpec): Promise<Answer> {
    await this.#token.ensure(spec.timeoutMs);
    const controller = new AbortController();
    const cancel = this.#clock.timer(spec.timeoutMs, () => controller.abort());
    try {
      const used = this.#token.value;
      const attempt = await this.#attempt(endpoint, spec, used, controller.signal);
      if (attempt.kind === 'failed') {
        const reason = controller.signal.aborted ? `no answer within ${Math.round(spec.timeoutMs)} ms` : attempt.reason;
        throw new DcsError('DCS_UNREACHABLE', `etcd ${endpoint}: ${reason}`);
      }
      if (attempt.value.kind === 'ok') return attempt.value.answer;
      if (attempt.value.kind === 'token' || attempt.value.kind === 'auth-off') this.#token.drop(used, attempt.value);
      throw new DcsError('DCS_UNREACHABLE', `etcd ${endpoint}: ${attempt.value.message}`);
    } finally {
      cancel();
    }
  }

  /** Opens a stream at one endpoint. The caller judges what arrives. */
  async stream(endpoint: string, path: string, body: Record<string, unknown>, timeoutMs: number, handlers: StreamHandlers) {
    await this.#token.ensure(timeoutMs);
    await this.#proveWithin(endpoint, timeoutMs);
    const used = this.#token.value;
    const stream = this.#transport.stream(this.#api.urlOf(endpoint, path), JSON.stringify(body), this.#headers(used), handlers);
    return { close: () => stream.close(), dropToken: (verdict: Verdict) => this.#token.drop(used, verdict) };
  }

  /** How much of `timeoutMs`, counted from now, is left: for calls that make several. */
  countdown(timeoutMs: number): () => number {
    const deadline = this.#clock.monotonicMs() + timeoutMs;
    return () => Math.max(0, deadline - this.#clock.monotonicMs());
  }

  renewCertificates(): void {
    this.#transport.reloadTls();
  }

  close(): void {
    this.#closing.abort();
    this.#transport.close();
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #anyWay(
    spec: CallSpec,
    prepare: () => Promise<void>,
    directly: (abandon: AbortSignal) => Promise<RaceResult<Verdict>>,
  ): Promise<RaceResult<Verdict>> {
    if (this.relay !== null) return this.relay.beside(spec, { prepare, race: directly });
    await prepare();
    return directly(this.#closing.signal);
  }

  #race(spec: CallSpec, token: string | null, abandon = this.#closing.signal): Promise<RaceResult<Verdict>> {
    return race<Verdict>({
      clock: this.#clock,
      timeoutMs: spec.timeoutMs,
      endpoints: () => this.pool.list(),
      isDoubtful: (endpoint) => this.pool.isDoubtful(endpoint),
      attempt: (endpoint, signal) => this.#attempt(endpoint, spec, token, signal),
      abandon,
      onFailed: (endpoint, reason) => {
        if (this.closed) return;
        this.#log.debug(`etcd ${endpoint} failed ${spec.path}: ${reason}`, { endpoint });
        this.pool.failed(endpoint);
        this.#discovery.hurry();
      },
    });
  }

  async #attempt(endpoint: string, spec: CallSpec, token: string | null, signal: AbortSignal): Promise<Attempt<Verdict>> {
    const foreign = spec.path === STATUS_PATH ? null : await this.#prove(endpoint, signal);
    if (foreign !== null) return { kind: 'failed', applied: 'no', reason: foreign };
    const askedAtMs = this.#clock.monotonicMs();
    const sentRevision = this.guard.revision;
    let verdict: Verdict;
    try {
      verdict = await this.#api.ask(endpoint, spec.path, spec.body, this.#headers(token), signal);
    } catch (error) {
      const applied = error instanceof HttpFailure && !error.sent ? 'no' : 'maybe';
      return { kind: 'failed', applied, reason: ensureError(error).message };
    }
    if (verdict.kind === 'unavailable') return { kind: 'failed', applied: verdict.applied, reason: verdict.message };
    if (verdict.kind === 'ok') {
      const other = this.#refusal(endpoint, verdict.answer.header, spec.consensus);
      if (other !== null) return { kind: 'failed', applied: 'no', reason: other };
      if (!this.guard.admit(verdict.answer.header, spec.consensus, sentRevision)) {
        return { kind: 'failed', applied: 'maybe', reason: `stale answer of raft term ${verdict.answer.header.raft_term}` };
      }
      if (spec.consensus) this.pool.answered(endpoint, askedAtMs);
    }
    return { kind: 'answer', value: verdict };
  }

  /**
   * Nothing is sent to an address before it has shown that it belongs to this node's etcd. A write,
   * or the password, would otherwise arrive before the answer tells. What says nothing about itself
   * is believed where the address is configured. Null: go on; otherwise why not.
   */
  async #prove(endpoint: string, signal: AbortSignal): Promise<string | null> {
    const configured = this.pool.isConfigured(endpoint);
    if (this.identity.clusterId === null && configured) return null;
    const provenAtMs = this.#provenAtMs.get(endpoint);
    if (provenAtMs !== undefined && this.#clock.monotonicMs() - provenAtMs < PROOF_MS) return null;
    try {
      const verdict = await this.#api.ask(endpoint, STATUS_PATH, {}, REQUIRE_LEADER, signal);
      if (verdict.kind === 'ok') return this.#refusal(endpoint, verdict.answer.header, false);
      return configured && verdict.kind !== 'unavailable' ? null : `it does not tell its cluster id: ${verdict.message}`;
    } catch (error) {
      return ensureError(error).message;
    }
  }

  async #proveWithin(endpoint: string, timeoutMs: number): Promise<void> {
    const controller = new AbortController();
    const cancel = this.#clock.timer(timeoutMs, () => controller.abort());
    const reason = await this.#prove(endpoint, controller.signal).finally(cancel);
    if (reason !== null) throw new DcsError('DCS_UNREACHABLE', `etcd ${endpoint}: ${reason}`);
  }

  #refusal(endpoint: string, { cluster_id: clusterId }: Answer['header'], consensus: boolean): string | null {
    const refusal = this.identity.refusal({ endpoint, clusterId, consensus, configured: this.pool.isConfigured(endpoint) });
    if (refusal === null) {
      if (clusterId === this.identity.clusterId) this.#provenAtMs.set(endpoint, this.#clock.monotonicMs());
    } else {
      this.#provenAtMs.delete(endpoint);
      if (this.identity.clusterId !== null) this.pool.refused(endpoint);
    }
    return refusal;
  }

  #headers(token: string | null): Record<string, string> {
    return token === null ? REQUIRE_LEADER : { ...REQUIRE_LEADER, authorization: token };
  }

  #refused(verdict: Verdict & { message: string }): DcsError {
    if (verdict.kind === 'refused') return refusal(verdict.message, verdict.mend);
    return refusal(verdict.message, 'etcd asks for a user: set etcd3.username and etcd3.password (ETCD authentication is on).');
  }

  #unreachable(spec: CallSpec, result: RaceResult<Verdict> & { kind: 'timeout' }): DcsError {
    const reasons = [...result.reasons].map(([endpoint, reason]) => `${endpoint}: ${reason}`).join('; ');
    const message = `etcd did not answer ${spec.path} within ${Math.round(spec.timeoutMs)} ms (${reasons || 'no endpoint known'})`;
    return new DcsError('DCS_UNREACHABLE', message, {
      mend: 'Check that a majority of the etcd members runs and can be reached from here.',
    });
  }
}

function repeatsFor(verdict: Verdict & { readonly message: string }): number {
  if (verdict.kind === 'token' || verdict.kind === 'auth-off') return TOKEN_RETRIES;
  return verdict.message.includes('permission denied') ? PERMISSION_RETRIES : 0;
}
