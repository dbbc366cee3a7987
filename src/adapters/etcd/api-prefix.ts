/**
 * Where etcd's JSON gateway is: `/v3` since 3.4, before that `/v3beta` (3.3) and `/v3alpha`. Which
 * one is asked for only when `/v3` is not there, so a newer etcd is asked nothing more. An etcd
 * that is upgraded meanwhile no longer has the old place, and is asked again.
 */
import type { Log } from '../../ports/log.ts';
import { ensureError } from '../../support/errors.ts';
import { firstDocument, judge, type Verdict } from './answers.ts';
import type { Transport } from './transport.ts';

const NEWEST = '/v3';
const OLDEST_SERVER: Version = [3, 0, 4];
/** In `/lease`, where all other calls about leases are, only since 3.4. */
const REVOKE = '/lease/revoke';

type Version = readonly [number, number, number];

export interface ApiPrefixOptions {
  readonly transport: Transport;
  readonly log: Log;
}

export class ApiPrefix {
  readonly #options: ApiPrefixOptions;
  #prefix = NEWEST;
  /** Why no call can be made; null: none is known. */
  #unsupported: (Verdict & { kind: 'refused' }) | null = null;

  constructor(options: ApiPrefixOptions) {
    this.#options = options;
  }

  /** `path` as CallSpec has it. */
  urlOf(endpoint: string, path: string): string {
    return `${endpoint}${this.#prefix}${path === REVOKE && this.#prefix !== NEWEST ? `/kv${path}` : path}`;
  }

  /**
   * POST, at another place where the first one is not there. A refusal: etcd is too old. Rejects as
   * the transport does.
   */
  async ask(
    endpoint: string,
    path: string,
    body: Record<string, unknown>,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const post = (to: string) => this.#options.transport.exchange(to, JSON.stringify(body), headers, signal);
    const url = this.urlOf(endpoint, path);
    const answer = await post(url);
    if (answer.status !== 404 || firstDocument(answer.text) !== null) return judge(answer);
    await this.#probe(endpoint, signal);
    if (this.#unsupported !== null) return this.#unsupported;
    const other = this.urlOf(endpoint, path);
    return judge(other === url ? answer : await post(other));
  }

  async #probe(endpoint: string, signal: AbortSignal): Promise<void> {
    const { transport, log } = this.#options;
    try {
      const { text } = await transport.exchange(`${endpoint}/version`, null, {}, signal);
      const told = firstDocument(text);
      const [server, cluster] = [versionOf(told?.['etcdserver']), versionOf(told?.['etcdcluster'])];
      if (server === null) return;
      // A cluster without a majority does not know its version yet.
      const counts = cluster ?? server;
      this.#unsupported = isBefore(counts, [3, 0, 0]) || isBefore(server, OLDEST_SERVER) ? tooOld(server) : null;
      const prefix = prefixOf(counts);
      if (prefix === this.#prefix) return;
      this.#prefix = prefix;
      log.info(`etcd ${server.join('.')} is asked at ${prefix}`);
      if (isBefore(counts, [3, 3, 0])) log.warning(lacks(counts));
    } catch (error) {
      log.debug(`etcd ${endpoint} does not tell its version: ${ensureError(error).message}`);
    }
  }
}

function prefixOf(cluster: Version): string {
  if (isBefore(cluster, [3, 3, 0])) return '/v3alpha';
  return isBefore(cluster, [3, 4, 0]) ? '/v3beta' : NEWEST;
}

function tooOld(server: Version): Verdict & { kind: 'refused' } {
  return { kind: 'refused', message: `unsupported version of etcd: ${server.join('.')}`, mend: 'Upgrade etcd, best to 3.4 or newer.' };
}

function lacks(cluster: Version): string {
  const watches = isBefore(cluster, [3, 1, 0]) ? 'watches (changes are noticed a round later), ' : '';
  return `etcd ${cluster.join('.')} does not have ${watches}authentication, and the compares by which a new cluster is published: upgrade it`;
}

function versionOf(text: unknown): Version | null {
  const found = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(typeof text === 'string' ? text : '');
  return found === null ? null : [Number(found[1]), Number(found[2]), Number(found[3] ?? 0)];
}

function isBefore(one: Version, other: Version): boolean {
  const at = one.findIndex((part, index) => part !== other[index]);
  return at >= 0 && one[at]! < other[at]!;
}
