/**
 * A member's watch over its leader: when the beats cease, it knocks at the leader's ports, so that
 * the evidence is there when suspect_after is over. It costs nothing while the beats come.
 */
import { type Member, sameName } from '../core/cluster.ts';
import { type Heard, type Knocks, silenceAsOf } from '../core/quorum/link-facts.ts';
import { type Clock, sleep } from '../ports/clock.ts';
import type { Links } from '../ports/links.ts';
import type { SettingsSource } from '../ports/settings.ts';

/** Between the two tries that must both be refused. */
const AGAIN_MS = 30;
/** While the leader stays silent. */
const KNOCK_EVERY_MS = 300;
const KNOCK_SOON_MS = 100;
/** A leader that cannot reach this member, and is well, is looked at less often. */
const KNOCK_SELDOM_MS = 1000;
const LONG_SILENT_MS = 10_000;
const LEAST_KNOCK_MS = 200;
const KNOCKS_LAST_MS = 3000;
/** Clocks have no finer grain. */
const LEAST_WAIT_MS = 1;

export interface WatchPorts {
  readonly clock: Pick<Clock, 'bootMs' | 'timer'>;
  readonly links: Pick<Links, 'knockAgent' | 'knockPostgres'>;
  readonly settings: Pick<SettingsSource, 'current'>;
}

export class LeaderWatch {
  readonly #ports: WatchPorts;
  #sinceMs: number;
  readonly #wake: () => void;
  readonly #heard = new Map<string, Heard>();
  #leader: Member | null = null;
  #term: string | null = null;
  #knocks: Knocks | null = null;
  #knockedAtMs = Number.NEGATIVE_INFINITY;
  #knocking = false;
  #stopped = false;
  #cancel: () => void = () => {};

  constructor(ports: WatchPorts, sinceMs: number, wake: () => void) {
    this.#ports = ports;
    this.#sinceMs = sinceMs;
    this.#wake = wake;
  }

  /** Of the leader that is watched; null: it was not heard. */
  get heard(): Heard | null {
    return this.#leader === null ? null : (this.#heard.get(this.#leader.name) ?? null);
  }

  /** Since when this leader is listened to. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** What was found before this process stood still says nothing about now. */
  get knocks(): Knocks | null {
    if (this.#knocks === null) return null;
    return this.#ports.clock.bootMs() - this.#knockedAtMs > KNOCKS_LAST_MS ? null : this.#knocks;
  }

  /** Whose beats count from now on; null: nobody's. */
  watch(leader: Member | null, term: string | null): void {
    const same = leader !== null && this.#leader !== null && sameName(leader.name, this.#leader.name);
    const sameTerm = same && term === this.#term;
    this.#leader = leader;
    this.#term = term;
    // Its agent has been there since.
    if (!sameTerm) this.#knocks = null;
    if (same) return;
    this.#sinceMs = this.#ports.clock.bootMs();
    this.#cancel();
    if (leader !== null) this.#look();
  }

  /** `resigned`: the term in which it says that it cannot serve. */
  heardFrom(name: string, resigned?: string): void {
    const { clock, settings } = this.#ports;
    const before = this.#heard.get(name);
    // One that was never heard has been silent since it is listened to.
    const last = before ?? (this.#isLeader(name) ? { atMs: this.#sinceMs } : undefined);
    const silence = silenceAsOf(clock.bootMs(), last, settings.current().dynamic.suspectAfterMs);
    this.#heard.set(name, { leader: name, atMs: clock.bootMs(), lost: false, silence, resignedTerm: resigned });
    const isNews = this.#knocks !== null || silence !== before?.silence || resigned !== before?.resignedTerm;
    if (!this.#isLeader(name) || !isNews) return;
    this.#knocks = null;
    this.#wake();
    this.#look();
  }

  /** Its process is gone, or the connection broke. */
  lost(name: string): void {
    const heard = this.#heard.get(name);
    if (heard === undefined) return;
    this.#heard.set(name, { ...heard, lost: true });
    if (this.#isLeader(name)) this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #isLeader(name: string): boolean {
    return this.#leader !== null && sameName(this.#leader.name, name);
  }

  #look(): void {
    this.#cancel();
    if (this.#stopped || this.#leader === null || this.#knocking) return;
    const { clock, settings } = this.#ports;
    const dueMs = settings.current().dynamic.suspectAfterMs / 2;
    const leftMs = this.heard?.lost === true ? 0 : dueMs - this.#silentMs();
    if (leftMs > 0) this.#cancel = clock.timer(Math.max(LEAST_WAIT_MS, leftMs), () => this.#look());
    else void this.#knock(this.#leader);
  }

  #silentMs(): number {
    return this.#ports.clock.bootMs() - Math.max(this.#sinceMs, this.heard?.atMs ?? this.#sinceMs);
  }

  async #knock(leader: Member): Promise<void> {
    const { clock, settings } = this.#ports;
    this.#knocking = true;
    const beat = this.heard;
    const term = this.#term;
    const { suspectAfterMs } = settings.current().dynamic;
    const timeoutMs = Math.max(LEAST_KNOCK_MS, Math.min(suspectAfterMs / 2, suspectAfterMs - this.#silentMs()));
    let tried = await this.#tryBoth(leader, timeoutMs);
    if (bothRefused(tried)) {
      await sleep(clock, AGAIN_MS);
      const again = await this.#tryBoth(leader, timeoutMs);
      tried = { ...again, refusedTwice: bothRefused(again) };
    }
    this.#knocking = false;
    if (this.#stopped || this.#leader === null) return;
    // A beat came meanwhile, or somebody leads in another term.
    if (!this.#isLeader(leader.name) || this.heard?.atMs !== beat?.atMs || this.#term !== term) return this.#look();
    this.#noteKnocks(tried, suspectAfterMs);
  }

  #noteKnocks(tried: Knocks, suspectAfterMs: number): void {
    const { clock } = this.#ports;
    const before = this.#knocks;
    this.#knocks = tried;
    this.#knockedAtMs = clock.bootMs();
    const changed = before === null || before.postgres !== tried.postgres || before.refusedTwice !== tried.refusedTwice;
    if (changed) this.#wake();
    const silentMs = this.#silentMs();
    const seldom = silentMs > LONG_SILENT_MS && tried.postgres === 'answered' && tried.agent === 'answered';
    const toSuspicionMs = suspectAfterMs - silentMs;
    if (toSuspicionMs > 0) {
      // An agent that is gone may be the first of all that is going.
      const isGoing = tried.agent === 'refused' || this.heard?.lost === true;
      const soonMs = isGoing ? Math.min(toSuspicionMs, KNOCK_SOON_MS) : toSuspicionMs;
      this.#cancel = clock.timer(Math.max(LEAST_WAIT_MS, soonMs), () => {
        this.#wake();
        this.#look();
      });
    } else this.#cancel = clock.timer(seldom ? KNOCK_SELDOM_MS : KNOCK_EVERY_MS, () => this.#look());
  }

  async #tryBoth(leader: Member, timeoutMs: number): Promise<Knocks> {
    const { links } = this.#ports;
    const [agent, postgres] = await Promise.all([links.knockAgent(leader, { timeoutMs }), links.knockPostgres(leader, { timeoutMs })]);
    return { agent, postgres, refusedTwice: false };
  }
}

const bothRefused = ({ agent, postgres }: Knocks): boolean => agent === 'refused' && postgres === 'refused';
