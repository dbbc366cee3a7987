/**
 * Calls to the members' REST API, with the operator's credentials and certificates
 * (docs/dialect.md, "HTTP clients").
 */
import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Member } from '../core/cluster.ts';
import { REASON_HEADER, readHeaderText } from '../dialect/own-headers.ts';
import { stringifyDefault } from '../support/big-json.ts';
import { ensureError } from '../support/errors.ts';
import { basicAuth, exchange, type HttpAnswer, HttpFailure, type HttpRequest, type TlsOptions } from '../support/http.ts';
import type { JsonObject } from '../support/json.ts';
import type { RestAccess } from './config.ts';
import { CtlError } from './errors.ts';
import { operatorName } from './operator-name.ts';

export type RestAnswer = HttpAnswer;

/** What a member says beside Patroni's sentence; null: nothing, or it runs Patroni. */
export const ownHeader = ({ headers }: RestAnswer, name: string): string | null => readHeaderText(headers[name.toLowerCase()]);

export const reasonOf = (answer: RestAnswer): string | null => ownHeader(answer, REASON_HEADER);

/** The sentence, and the reason behind it. */
export function said(answer: RestAnswer): string {
  const reason = reasonOf(answer);
  return reason === null ? answer.text : `${answer.text}: ${reason}`;
}

export interface RestCall {
  readonly body?: JsonObject;
  /** Limit for the whole call. A restart or a switchover answers only when it has ended. */
  readonly timeoutMs?: number;
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';
type Addressed = Pick<Member, 'name' | 'apiUrl'>;

const QUICK_MS = 10_000;
const CONNECT_MS = 4_000;

export class RestClient {
  readonly #access: RestAccess;
  readonly #closing = new AbortController();
  #tls: TlsOptions | null = null;

  constructor(access: RestAccess) {
    this.#access = access;
    // One listener for each of the calls that run at once.
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Any HTTP status is an answer. Throws CTL_MEMBER_UNREACHABLE, CTL_MEMBER_NO_API, CTL_CONFIG (a
   * certificate that cannot be read).
   */
  async call(member: Addressed, method: Method, endpoint: string, call: RestCall = {}): Promise<RestAnswer> {
    const url = urlOf(member, endpoint);
    const body = call.body === undefined ? null : stringifyDefault(call.body);
    const request = this.#request(url, method, body);
    try {
      return await this.#exchange(url, request, call.timeoutMs ?? QUICK_MS);
    } catch (error) {
      const message = `member ${member.name} does not answer on ${url.origin}: ${ensureError(error).message}`;
      throw new CtlError('CTL_MEMBER_UNREACHABLE', message);
    }
  }

  /**
   * Whether a connection is accepted but no answer comes. The kernel accepts connections even while
   * the process is stopped. Never rejects.
   */
  async isMute(member: Addressed, timeoutMs: number): Promise<boolean> {
    try {
      const url = urlOf(member, 'liveness');
      await this.#exchange(url, this.#request(url, 'GET', null), timeoutMs);
      return false;
    } catch (error) {
      return error instanceof HttpFailure && error.connected && error.late;
    }
  }

  close(): void {
    this.#closing.abort();
  }

  #exchange(url: URL, request: HttpRequest, timeoutMs: number): Promise<RestAnswer> {
    return exchange(url, request, { timeoutMs, connectMs: CONNECT_MS, signal: this.#closing.signal });
  }

  #request(url: URL, method: Method, body: string | null): HttpRequest {
    const { authentication } = this.#access;
    const headers = {
      'User-Agent': 'regentctl',
      ...(method === 'GET' || body !== null ? {} : { 'Content-Length': 0 }),
      ...(method === 'GET' ? {} : { From: operatorName() }),
      ...(authentication ? { Authorization: basicAuth(authentication.username, authentication.password) } : {}),
    };
    if (url.protocol !== 'https:') return { method, headers, body };
    this.#tls ??= tlsOptions(this.#access);
    return { method, headers, body, tls: this.#tls };
  }
}

function urlOf(member: Addressed, endpoint: string): URL {
  const base = member.apiUrl !== null && URL.canParse(member.apiUrl) ? new URL(member.apiUrl) : null;
  if (base?.protocol === 'http:' || base?.protocol === 'https:') return new URL(`/${endpoint}`, base.origin);
  throw new CtlError('CTL_MEMBER_NO_API', `member ${member.name} publishes no usable REST address (api_url)`);
}

/**
 * `insecure` with a client certificate still checks the server's certificate against the CA, but
 * not its name. This is Patroni's rule, and clusters whose certificates have other names rely on
 * it.
 */
function tlsOptions(access: RestAccess): TlsOptions {
  return {
    ...(access.cacert ? { ca: readPem(access.cacert) } : {}),
    ...(access.certfile ? { cert: readPem(access.certfile), key: readPem(access.keyfile ?? access.certfile) } : {}),
    ...(access.keyfilePassword ? { passphrase: access.keyfilePassword } : {}),
    rejectUnauthorized: !access.insecure || access.certfile !== null,
    ...(access.insecure ? { checkServerIdentity: () => undefined } : {}),
  };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const mend = 'Check the ctl and restapi sections of the configuration.';
    throw new CtlError('CTL_CONFIG', `cannot read ${path}: ${ensureError(error).message}`, mend);
  }
}
