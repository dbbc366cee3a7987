/**
 * Which etcd this process listens to. An etcd and a Regent cluster go together. What another etcd
 * says about leader and members is not about this cluster, even if its address fits. Every answer
 * of etcd carries the id of its cluster, so every answer is compared.
 *
 * The first answer that needed a majority, at a configured address, decides. Or the id decides that
 * is kept with the data (identity-file.ts), so that a restart of the agent forgets nothing. An
 * agent takes another etcd only when an operator has confirmed it. A process without data
 * (regentctl, the router) may go on with another etcd at a configured address, once the one before
 * has been silent for a while. It never mixes the two.
 */
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { IdentityFile } from './identity-file.ts';

/**
 * Nothing was heard of the etcd before for so long: without data to protect, the one that answers
 * at the configured address is taken.
 */
const SILENT_MS = 15_000;
/**
 * An operator's confirmation is looked for, and a file that was removed is written again, at most
 * so often.
 */
const LOOK_MS = 1000;
const CHECK_MS = 10_000;

export interface Evidence {
  readonly endpoint: string;
  readonly clusterId: string;
  /** The answer needed a majority of that etcd. */
  readonly consensus: boolean;
  /** The address is configured; false: it was only advertised by etcd. */
  readonly configured: boolean;
}

export class ClusterIdentity {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #file: IdentityFile | null;
  #clusterId: string | null;
  /** Where it answered last. */
  #heardAt: { endpoint: string | null; ms: number };
  #lookAtMs = 0;
  #checkAtMs = 0;
  #unkept = false;
  /**
   * What was reported already: endpoint and id. Told again after the endpoint was right for a
   * while.
   */
  readonly #told = new Map<string, string>();

  constructor(clock: Clock, log: Log, file: IdentityFile | null = null) {
    this.#clock = clock;
    this.#log = log;
    this.#file = file;
    const kept = file?.read() ?? null;
    this.#clusterId = kept?.clusterId ?? null;
    this.#heardAt = { endpoint: kept?.endpoint ?? null, ms: clock.monotonicMs() };
  }

  /** null: to none yet. */
  get clusterId(): string | null {
    return this.#clusterId;
  }

  /** Null: the answer is one of this node's etcd. Otherwise why it must not be used. */
  refusal(evidence: Evidence): string | null {
    const { clusterId, endpoint, consensus, configured } = evidence;
    if (this.#clusterId === null) {
      if (!configured) return 'not a configured address, and no configured one has answered yet';
      if (consensus) this.#take(clusterId, endpoint);
      return null;
    }
    if (clusterId === this.#clusterId) {
      this.#heardAt = { endpoint, ms: this.#clock.monotonicMs() };
      if (this.#told.delete(endpoint)) this.#log.info(`etcd at ${endpoint} is the one of this node's cluster again`);
      return null;
    }
    if (this.#wasReplaced(evidence)) {
      this.#take(clusterId, endpoint);
      return null;
    }
    const reason = `another etcd: its cluster id is ${shownId(clusterId)}, that of this node's cluster is ${shownId(this.#clusterId)}`;
    this.#report(evidence, this.#clusterId);
    return reason;
  }

  /**
   * The data here are of the cluster that this etcd holds: its id is kept with them. Never throws.
   */
  bind(): void {
    const now = this.#clock.monotonicMs();
    if (this.#file === null || this.#clusterId === null || now < this.#checkAtMs) return;
    this.#checkAtMs = now + CHECK_MS;
    const kept = this.#file.read();
    if (kept?.clusterId === this.#clusterId) return;
    if (kept?.replaces === this.#clusterId) {
      this.#take(kept.clusterId, kept.endpoint);
      return;
    }
    // None, or one that came with other data, such as a snapshot of a disk from before etcd was
    // replaced.
    const written = this.#file.write({ clusterId: this.#clusterId, replaces: null, endpoint: this.#heardAt.endpoint });
    if (!written && !this.#unkept) {
      this.#log.warning(
        `the id of this cluster's etcd, ${shownId(this.#clusterId)}, could not be kept in ${this.#file.path}: after a restart this agent would not tell another etcd from it`,
      );
    }
    this.#unkept = !written;
  }

  #wasReplaced({ clusterId, consensus, configured }: Evidence): boolean {
    const now = this.#clock.monotonicMs();
    if (this.#file === null) return consensus && configured && now - this.#heardAt.ms >= SILENT_MS;
    if (now < this.#lookAtMs) return false;
    this.#lookAtMs = now + LOOK_MS;
    const kept = this.#file.read();
    return kept !== null && kept.clusterId === clusterId && kept.replaces === this.#clusterId;
  }

  #take(clusterId: string, endpoint: string | null): void {
    if (this.#clusterId !== null) {
      const why = this.#file === null ? 'the one before has been silent' : 'as an operator has confirmed';
      this.#log.warning(`etcd was replaced, ${why}: from ${shownId(this.#clusterId)} to ${shownId(clusterId)}`);
    }
    this.#clusterId = clusterId;
    this.#heardAt = { endpoint, ms: this.#clock.monotonicMs() };
    this.#checkAtMs = 0;
    this.#told.clear();
  }

  #report({ endpoint, clusterId, configured }: Evidence, own: string): void {
    if (this.#told.get(endpoint) === clusterId) return;
    this.#told.set(endpoint, clusterId);
    const last = this.#heardAt.endpoint === null ? '' : `, heard last at ${this.#heardAt.endpoint}`;
    const what =
      `etcd at ${endpoint} is not used, because it is another one: its cluster id is ${shownId(clusterId)}; ` +
      `this node's cluster lives in etcd ${shownId(own)}${last}`;
    this.#log.error(`${what}. ${this.#mend(configured)}`);
  }

  #mend(configured: boolean): string {
    if (!configured) return 'The address was advertised by etcd: correct --advertise-client-urls of its members.';
    if (this.#file === null) return 'Correct the addresses of etcd in the configuration, if they name two clusters.';
    return `If etcd was made again or restored from a snapshot, confirm it on every node: ${this.#file.confirm}`;
  }
}

/** As etcd's own log and `etcdctl member list` show it. */
export function shownId(clusterId: string): string {
  return /^\d+$/.test(clusterId) ? BigInt(clusterId).toString(16) : clusterId;
}
