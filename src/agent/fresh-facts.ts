/**
 * The facts for metrics, and for answers that name a lag. The last round may be a loop_wait old,
 * and a standby falls far behind in that time. So PostgreSQL is asked when somebody wants to know,
 * and the leader's position is read again where it has changed: once a second at most, however many
 * want to know.
 */
import type { ClusterView } from '../core/cluster.ts';
import type { PostgresFacts } from '../core/postgres-facts.ts';
import { observeTimeoutMs } from '../core/settings.ts';
import type { Clock } from '../ports/clock.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Postgres } from '../ports/postgres.ts';
import type { SettingsSource } from '../ports/settings.ts';
import type { RoundsView } from './rounds.ts';

interface FreshPorts {
  readonly clock: Pick<Clock, 'bootMs'>;
  readonly settings: Pick<SettingsSource, 'current'>;
  readonly pg: Pick<Postgres, 'observe'>;
  readonly dcs: Pick<Dcs, 'read'>;
}

interface Asked<T> {
  readonly atMs: number;
  readonly answer: Promise<T>;
}

/** How old an answer may be when somebody asks. */
const FRESH_MS = 1000;
/** Nobody waits longer than this for etcd: then what the last round read counts. */
const READ_MS = 1000;
const NEVER = { atMs: Number.NEGATIVE_INFINITY, answer: Promise.resolve(null) };

export class FreshFacts {
  readonly #ports: FreshPorts;
  readonly #rounds: Pick<RoundsView, 'last'>;
  #pg: Asked<PostgresFacts | null> = NEVER;
  #leaderStatus: Asked<ClusterView['status']> = NEVER;
  #statusChangedAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: FreshPorts, rounds: Pick<RoundsView, 'last'>) {
    this.#ports = ports;
    this.#rounds = rounds;
  }

  /** The watch says that this key has changed; null: any may have. */
  onKey(key: string | null): void {
    if (key === null || key === 'status') this.#statusChangedAtMs = this.#ports.clock.bootMs();
  }

  /** Null: no round has ended yet, and nobody has asked. Never rejects. */
  pg(): Promise<PostgresFacts | null> {
    const { clock, pg, settings } = this.#ports;
    const now = clock.bootMs();
    const { last } = this.#rounds;
    const isRoundNewer = last !== null && last.askedAtMs >= this.#pg.atMs;
    if (isRoundNewer && now - last.askedAtMs < FRESH_MS) return Promise.resolve(last.observation.pg);
    if (isRoundNewer || now - this.#pg.atMs >= FRESH_MS) {
      this.#pg = { atMs: now, answer: pg.observe({ timeoutMs: observeTimeoutMs(settings.current().dynamic) }) };
    }
    return this.#pg.answer;
  }

  /** The view with the leader's position of now, as far as etcd tells. Never rejects. */
  async view(view: ClusterView | null): Promise<ClusterView | null> {
    const { clock, dcs } = this.#ports;
    const now = clock.bootMs();
    const roundAtMs = this.#rounds.last?.askedAtMs ?? Number.NEGATIVE_INFINITY;
    if (view === null) return null;
    const isOutdated = this.#statusChangedAtMs >= Math.max(roundAtMs, this.#leaderStatus.atMs);
    if (isOutdated && now - this.#leaderStatus.atMs >= FRESH_MS) {
      const answer = dcs.read({ timeoutMs: READ_MS }).then(
        (read) => read.status,
        () => null,
      );
      this.#leaderStatus = { atMs: now, answer };
    }
    const status = this.#leaderStatus.atMs > roundAtMs ? await this.#leaderStatus.answer : null;
    return status === null ? view : { ...view, status };
  }
}
