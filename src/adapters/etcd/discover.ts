/**
 * Finding endpoints beyond the configured ones: etcd's own member list, and SRV records. Done
 * behind the caller's back, now and then and soon after a failure; a call waits only when no
 * endpoint is known at all.
 */
import { resolveSrv } from 'node:dns/promises';
import type { EtcdSettings } from '../../core/settings.ts';
import { type Clock, sleep } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { type CallSpec, isRecord, type Verdict } from './answers.ts';
import type { EndpointPool } from './endpoints.ts';
import type { RaceResult } from './race.ts';
import type { Transport } from './transport.ts';

/** Ten times the default ttl. */
const REFRESH_MS = 300_000;
const FIRST_REFRESH_MS = 1000;
/** After a failure, but not oftener than this. */
const HURRY_MS = 5000;
const REFRESH_TIMEOUT_MS = 3000;

/**
 * In the order they are looked up. `-ssl`: https. `-server`: the members' own addresses, asked at
 * `/members` for those of clients.
 */
const SRV_SERVICES = ['_etcd-client-ssl', '_etcd-client', '_etcd-ssl', '_etcd', '_etcd-server-ssl', '_etcd-server'] as const;

export type ResolveSrv = (name: string) => Promise<readonly { readonly name: string; readonly port: number }[]>;

export interface DiscoveryOptions {
  readonly settings: EtcdSettings;
  readonly clock: Clock;
  readonly log: Log;
  readonly pool: EndpointPool;
  readonly transport: Transport;
  readonly list: (spec: CallSpec) => Promise<RaceResult<Verdict>>;
  readonly resolve?: ResolveSrv;
}

export class Discovery {
  readonly #options: DiscoveryOptions;
  #refreshAtMs: number;
  #lastMs: number | null = null;
  #running: Promise<void> | null = null;
  #bySrv: readonly string[] = [];
  /** Peers name what their cluster advertises; the records of clients are an operator's own. */
  #srvKind: 'configured' | 'advertised' = 'configured';
  #forgiveAtMs: number;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#refreshAtMs = options.clock.monotonicMs() + FIRST_REFRESH_MS;
    this.#forgiveAtMs = options.clock.monotonicMs() + REFRESH_MS;
  }

  /** Starts a refresh if one is due. Waits for it only while there is nobody to ask. */
  async beforeCall(timeoutMs: number): Promise<void> {
    const { clock, pool } = this.#options;
    const nobody = pool.list().length === 0;
    if (nobody || clock.monotonicMs() >= this.#refreshAtMs) this.#running ??= this.#start();
    if (!nobody || this.#running === null) return;
    const waited = new AbortController();
    await Promise.race([this.#running, sleep(clock, timeoutMs, waited.signal)]);
    waited.abort();
  }

  /** Something failed: the list may be out of date. */
  hurry(): void {
    const earliest = this.#lastMs === null ? 0 : this.#lastMs + HURRY_MS;
    this.#refreshAtMs = Math.min(this.#refreshAtMs, Math.max(earliest, this.#options.clock.monotonicMs()));
  }

  #start(): Promise<void> {
    this.#lastMs = this.#options.clock.monotonicMs();
    this.#refreshAtMs = this.#lastMs + REFRESH_MS;
    if (this.#lastMs >= this.#forgiveAtMs) {
      this.#forgiveAtMs = this.#lastMs + REFRESH_MS;
      this.#options.pool.forgive();
    }
    return this.#refresh()
      .catch((error) => this.#options.log.debug('etcd discovery failed', { error: String(error) }))
      .finally(() => {
        this.#running = null;
      });
  }

  async #refresh(): Promise<void> {
    const { settings, pool, transport } = this.#options;
    transport.reloadTls();
    if (settings.srv !== null) {
      const found = await this.#lookUpSrv(settings.srv, settings.srvSuffix);
      if (found.length > 0) this.#bySrv = found;
      pool.add(this.#bySrv, this.#srvKind);
    }
    if (!settings.discover || pool.list().length === 0) return;
    const advertised = await this.#memberList();
    if (advertised.length === 0) return;
    pool.add(advertised, 'advertised');
    pool.retain([...settings.endpoints, ...this.#bySrv, ...advertised]);
  }

  async #memberList(): Promise<string[]> {
    const result = await this.#options.list({ path: '/cluster/member/list', body: {}, timeoutMs: REFRESH_TIMEOUT_MS, consensus: false });
    if (result.kind !== 'answer' || result.value.kind !== 'ok') return [];
    const { members } = result.value.answer;
    // Spread over the members, so that not every client of a cluster turns to the same one.
    return shuffle(clientUrlsOf(Array.isArray(members) ? members : []), this.#options.clock);
  }

  async #lookUpSrv(domain: string, suffix: string | null): Promise<string[]> {
    const resolve = this.#options.resolve ?? resolveSrv;
    for (const service of SRV_SERVICES) {
      const label = suffix ? `${service}-${suffix}` : service;
      const records = await resolve(`${label}._tcp.${domain}`).catch(() => []);
      const scheme = service.endsWith('-ssl') ? 'https' : 'http';
      const hosts = records.map((record) => `${scheme}://${record.name.replace(/\.$/, '')}:${record.port}`);
      const byPeers = service.includes('-server');
      const found = byPeers ? await this.#askPeers(hosts) : hosts;
      this.#srvKind = byPeers ? 'advertised' : 'configured';
      if (found.length > 0) return found;
    }
    return [];
  }

  /** Peers list their cluster at `/members`, an array or an object holding one. */
  async #askPeers(hosts: readonly string[]): Promise<string[]> {
    for (const host of hosts) {
      const controller = new AbortController();
      const cancel = this.#options.clock.timer(REFRESH_TIMEOUT_MS, () => controller.abort());
      try {
        const { text } = await this.#options.transport.exchange(`${host}/members`, null, {}, controller.signal);
        const body: unknown = JSON.parse(text);
        const members = isRecord(body) ? body['members'] : body;
        const urls = clientUrlsOf(Array.isArray(members) ? members : []);
        if (urls.length > 0) return urls;
      } catch {
        // The next peer may know.
      } finally {
        cancel();
      }
    }
    return [];
  }
}

function clientUrlsOf(members: readonly unknown[]): string[] {
  return members.flatMap((member) => {
    const urls = isRecord(member) ? member['clientURLs'] : null;
    return Array.isArray(urls) ? urls.filter((url): url is string => typeof url === 'string') : [];
  });
}

function shuffle(items: readonly string[], clock: Clock): string[] {
  return items
    .map((item) => ({ item, at: clock.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
