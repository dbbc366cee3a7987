/**
 * The endpoints a client may talk to, best first. The one that last answered leads; one that failed
 * goes to the end. Endpoints that etcd advertises come after all configured ones, and never replace
 * them. Such an address may not be reachable from here, or may belong to another etcd here (etcd's
 * default is localhost).
 */

/**
 * Base URL without a path or trailing slash, e.g. `http://10.0.0.1:2379`. Throws TypeError on
 * anything that is not an http(s) URL.
 */
export function normaliseEndpoint(text: string): string {
  const url = new URL(text.includes('://') ? text : `http://${text}`);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError(`not an http(s) URL: ${url.protocol}//${url.host}`);
  const port = url.port === '' ? (/:(80|443)(\/|$)/.exec(text)?.[1] ?? '2379') : url.port;
  return `${url.protocol}//${url.hostname}:${port}`;
}

export class EndpointPool {
  #order: string[] = [];
  readonly #configured = new Set<string>();
  /** Failed since they last answered. */
  readonly #doubtful = new Set<string>();
  /** Advertised addresses at which another etcd answers. */
  readonly #foreign = new Set<string>();
  readonly #answeredAt = new Map<string, number>();
  readonly #suspicionListeners = new Set<(endpoint: string) => void>();

  constructor(configured: readonly string[]) {
    this.add(configured);
  }

  /**
   * Adds those not known yet behind the others of their kind. Text that is no URL is skipped: one
   * bad advertisement must not stop the client.
   */
  add(endpoints: readonly string[], kind: 'configured' | 'advertised' = 'configured'): void {
    for (const text of endpoints) {
      const endpoint = safeNormalise(text);
      if (endpoint === null || (kind === 'advertised' && this.#foreign.has(endpoint))) continue;
      if (kind === 'configured') this.#configured.add(endpoint);
      if (!this.#order.includes(endpoint)) this.#order.push(endpoint);
    }
    this.#rank();
  }

  /**
   * Whether the operator gave the address. Where nothing was given (SRV records of peers), all that
   * is known counts.
   */
  isConfigured(endpoint: string): boolean {
    return this.#configured.size === 0 || this.#configured.has(endpoint);
  }

  /**
   * Another etcd answers there: an advertised address is left out until `forgive`, a configured one
   * goes behind the others.
   */
  refused(endpoint: string): void {
    if (this.isConfigured(endpoint)) return;
    this.#foreign.add(endpoint);
    this.#order = this.#order.filter((other) => other !== endpoint);
  }

  /** Addresses left out may be added again: what listens there may have changed. */
  forgive(): void {
    this.#foreign.clear();
  }

  isDoubtful(endpoint: string): boolean {
    return this.#doubtful.has(endpoint);
  }

  /** Forgets every endpoint not in `keep`, unless none would be left. */
  retain(keep: readonly string[]): void {
    const wanted = new Set(keep.map((text) => safeNormalise(text)));
    const left = this.#order.filter((endpoint) => wanted.has(endpoint));
    if (left.length > 0) this.#order = left;
    for (const endpoint of this.#answeredAt.keys()) if (!this.#order.includes(endpoint)) this.#answeredAt.delete(endpoint);
    for (const endpoint of this.#doubtful) if (!this.#order.includes(endpoint)) this.#doubtful.delete(endpoint);
  }

  /** Best first. */
  list(): readonly string[] {
    return this.#order;
  }

  /**
   * `endpoint` gave an answer that needed the whole cluster, asked for at `askedAtMs`: calls start
   * with it from now on.
   */
  answered(endpoint: string, askedAtMs: number): void {
    this.#answeredAt.set(endpoint, Math.max(askedAtMs, this.#answeredAt.get(endpoint) ?? 0));
    this.#doubtful.delete(endpoint);
    if (this.#order[0] === endpoint || !this.#order.includes(endpoint)) return;
    this.#order = [endpoint, ...this.#order.filter((other) => other !== endpoint)];
    this.#rank();
  }

  failed(endpoint: string): void {
    if (this.#order.includes(endpoint)) {
      this.#order = [...this.#order.filter((other) => other !== endpoint), endpoint];
      this.#doubtful.add(endpoint);
      this.#rank();
    }
    for (const listener of this.#suspicionListeners) listener(endpoint);
  }

  /**
   * When the last good answer of the endpoint was asked for, on the caller's clock; null: never.
   */
  answeredAt(endpoint: string): number | null {
    return this.#answeredAt.get(endpoint) ?? null;
  }

  /** Tells of every endpoint that failed a call. Returns how to stop. */
  onSuspicion(listener: (endpoint: string) => void): () => void {
    this.#suspicionListeners.add(listener);
    return () => this.#suspicionListeners.delete(listener);
  }

  #rank(): void {
    this.#order = [...this.#order.filter((one) => this.isConfigured(one)), ...this.#order.filter((one) => !this.isConfigured(one))];
  }
}

function safeNormalise(text: string): string | null {
  try {
    return normaliseEndpoint(text);
  } catch {
    return null;
  }
}
