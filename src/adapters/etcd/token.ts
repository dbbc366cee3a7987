/**
 * The login at etcd. A token is asked for when a user is configured, used until etcd no longer takes it (it expires, its member
 * restarts, the user list changes) and then asked for again. The password leaves this process only in the body of that one request.
 */
import type { EtcdSettings } from '../../core/settings.ts';
import { DcsError } from '../../support/errors.ts';
import { type CallSpec, refusal, type Verdict } from './answers.ts';
import type { RaceResult } from './race.ts';

export class Token {
  readonly #username: string | null;
  readonly #password: string | null;
  readonly #send: (spec: CallSpec) => Promise<RaceResult<Verdict>>;
  #value: string | null = null;
  /** etcd said that it wants no login; believed until it says otherwise. */
  #off = false;
  #pending: Promise<void> | null = null;

  constructor(settings: EtcdSettings, send: (spec: CallSpec) => Promise<RaceResult<Verdict>>) {
    this.#username = settings.username;
    this.#password = settings.password;
    this.#send = send;
  }

  get value(): string | null {
    return this.#value;
  }

  /** Resolves once there is a token, or none is needed. Calls at the same time share one login. Throws DcsError. */
  async ensure(timeoutMs: number): Promise<void> {
    if (this.#value !== null || this.#off || !this.#configured()) return;
    this.#pending ??= this.#login(timeoutMs).finally(() => {
      this.#pending = null;
    });
    await this.#pending;
  }

  /** Whether logging in again may mend this verdict. */
  renewable(verdict: Verdict): boolean {
    return verdict.kind === 'auth-off' || this.#configured();
  }

  /** Forgets `used` after the verdict, unless somebody has renewed it meanwhile. */
  drop(used: string | null, verdict: Verdict): void {
    this.#off = verdict.kind === 'auth-off';
    if (this.#value === used || this.#off) this.#value = null;
  }

  #configured(): boolean {
    return this.#username !== null && this.#password !== null;
  }

  async #login(timeoutMs: number): Promise<void> {
    const body = { name: this.#username, password: this.#password };
    const result = await this.#send({ path: '/auth/authenticate', body, timeoutMs, consensus: false });
    if (result.kind === 'timeout') throw new DcsError('DCS_UNREACHABLE', 'etcd did not answer the login in time');
    const verdict = result.value;
    if (verdict.kind === 'auth-off') this.#off = true;
    else if (verdict.kind === 'ok' && typeof verdict.answer['token'] === 'string') this.#value = verdict.answer['token'];
    else if (verdict.kind === 'refused') throw refusal(verdict.message, verdict.mend);
    else throw new DcsError('DCS_UNREACHABLE', 'etcd gave no token for the login');
  }
}
