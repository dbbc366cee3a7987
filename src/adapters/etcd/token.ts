/**
 * The login at etcd. The client asks for a token when a user is configured. It uses the token until
 * etcd no longer accepts it (it expires, its member restarts, the user list changes), and then asks
 * for another. The password leaves this process only in the body of that one request.
 *
 * User and password may change while this runs, in etcd first or in the file first. The new ones
 * are tried as soon as they are there; until etcd takes them, the token or the login from before
 * goes on.
 */
import type { EtcdSettings } from '../../core/settings.ts';
import type { Log } from '../../ports/log.ts';
import { DcsError } from '../../support/errors.ts';
import { type CallSpec, refusal, type Verdict } from './answers.ts';
import type { RaceResult } from './race.ts';

export type Login = Pick<EtcdSettings, 'username' | 'password'>;

export class Token {
  readonly #login: () => Login;
  readonly #send: (spec: CallSpec) => Promise<RaceResult<Verdict>>;
  readonly #log: Log;
  #value: string | null = null;
  /** etcd said that it wants no login; believed until it says otherwise. */
  #off = false;
  #pending: Promise<void> | null = null;
  /** The login that was asked for last, and the one that etcd took last. */
  #tried: Login | null = null;
  #taken: Login | null = null;

  constructor(login: () => Login, send: (spec: CallSpec) => Promise<RaceResult<Verdict>>, log: Log) {
    this.#login = login;
    this.#send = send;
    this.#log = log;
  }

  get value(): string | null {
    return this.#value;
  }

  /**
   * Resolves once there is a token, or none is needed. Calls at the same time share one login.
   * Throws DcsError.
   */
  async ensure(timeoutMs: number): Promise<void> {
    if (!this.#configured()) {
      this.#value = null;
      return;
    }
    const isNew = this.#tried !== null && !same(this.#tried, this.#login());
    if (!isNew && (this.#value !== null || this.#off)) return;
    this.#pending ??= this.#renew(timeoutMs).finally(() => {
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
    const { username, password } = this.#login();
    return username !== null && password !== null;
  }

  async #renew(timeoutMs: number): Promise<void> {
    const login = this.#login();
    const isNew = this.#tried !== null && !same(this.#tried, login);
    this.#tried = login;
    const before = this.#taken !== null && !same(this.#taken, login) ? this.#taken : null;
    try {
      await this.#ask(login, timeoutMs);
      if (isNew && this.#taken !== null) this.#log.info(`logged in at etcd as ${login.username} with the new credentials`);
      this.#taken = login;
    } catch (error) {
      if (!(error instanceof DcsError) || error.code !== 'DCS_REFUSED' || before === null) {
        // Not refused, just not answered: the new login is tried again by the next call.
        if (isNew) this.#tried = this.#taken;
        throw error;
      }
      if (isNew) {
        this.#log.error(
          `etcd refuses the new credentials of etcd3.username ${login.username}: ${error.message}; going on with those from before`,
        );
      }
      // The token of the login from before lives until etcd changes that user.
      if (this.#value === null) await this.#ask(before, timeoutMs);
    }
  }

  async #ask(login: Login, timeoutMs: number): Promise<void> {
    const body = { name: login.username, password: login.password };
    const result = await this.#send({ path: '/auth/authenticate', body, timeoutMs, consensus: false });
    if (result.kind === 'timeout') throw new DcsError('DCS_UNREACHABLE', 'etcd did not answer the login in time');
    const verdict = result.value;
    if (verdict.kind === 'auth-off') this.#off = true;
    else if (verdict.kind === 'ok' && typeof verdict.answer['token'] === 'string') {
      this.#value = verdict.answer['token'];
      this.#off = false;
    } else if (verdict.kind === 'refused') throw refusal(verdict.message, verdict.mend);
    else throw new DcsError('DCS_UNREACHABLE', 'etcd gave no token for the login');
  }
}

function same(a: Login, b: Login): boolean {
  return a.username === b.username && a.password === b.password;
}
