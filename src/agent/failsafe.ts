/**
 * Both sides of failsafe mode (core/failsafe.ts), beside the rounds: a leader that cannot renew
 * asks the others whether it may go on, and a member answers at once, by what its last round knew.
 */
import { halfwayAtMs, isVouchedFor, leads, stepDownAtMs } from '../core/authority.ts';
import type { FailsafeMap } from '../core/cluster.ts';
import type { Context } from '../core/context.ts';
import { failsafeMap, mayAskForFailsafe, membersToAsk, refusesFailsafe } from '../core/failsafe.ts';
import { statusValue } from '../core/housekeeping.ts';
import { TAKES_KEY } from '../core/lead-change.ts';
import type { Decision } from '../core/model.ts';
import { type PostgresFacts, walPosition } from '../core/postgres-facts.ts';
import type { GivenWord } from '../core/quorum/link-facts.ts';
import { leavesLeader } from '../core/quorum/vouching.ts';
import { observeTimeoutMs } from '../core/settings.ts';
import { ownUrls } from '../dialect/member-record.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { FailsafeAnswer } from '../ports/operator.ts';
import type { FailsafeReply, Peers } from '../ports/peers.ts';
import type { Postgres } from '../ports/postgres.ts';
import type { SettingsSource } from '../ports/settings.ts';
import { isJsonObject } from '../support/big-json.ts';
import type { JsonObject } from '../support/json.ts';
import type { AuthorityCell } from './authority-cell.ts';

/** Patroni's, for each of two tries. */
const ANSWER_TIMEOUT_MS = 2000;
const LOOK_EVERY_MS = 250;
/**
 * Voters are asked with every beat. While their word is good for so long, they answer; one that has
 * less has missed several, and all members are asked while it still lasts.
 */
const FRESH_WORD_MS = 1500;
/** Patroni's sentence. */
const AS_LEADER = 'Running as a leader';
const AGAIN_MS = 1000;
/** The leader asks again long before the members' word ends. */
const RENEWALS_PER_TTL = 4;

export interface FailsafePorts {
  readonly clock: Pick<Clock, 'bootMs' | 'timer'>;
  readonly peers: Pick<Peers, 'agree'>;
  readonly pg: Pick<Postgres, 'observe'>;
  readonly settings: Pick<SettingsSource, 'current' | 'local'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
}

export class Failsafe {
  readonly #ports: FailsafePorts;
  readonly #authority: AuthorityCell;
  /** All members have agreed: the guard's deadline may move on. */
  readonly #agreed: () => void;
  #cancel: () => void = () => {};
  #last: Context | null = null;
  /** This round's decision may take the lead: nothing is agreed to until the next has looked. */
  #leaving = true;
  #word: GivenWord | null = null;
  /** As etcd had it last, or as it was written since. */
  #map: FailsafeMap | null = null;
  /** A write of it whose outcome is not known. */
  #unsettled: FailsafeMap | null = null;
  #isLooking = false;
  #asking = false;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #refusals = '';

  constructor(ports: FailsafePorts, authority: AuthorityCell, agreed: () => void) {
    this.#ports = ports;
    this.#authority = authority;
    this.#agreed = agreed;
  }

  /** The map as far as it is known, also while etcd does not answer. */
  get map(): FailsafeMap | null {
    return this.#map;
  }

  /** What this member has agreed to; null: nothing so far. */
  get word(): GivenWord | null {
    return this.#word;
  }

  stop(): void {
    this.#cancel();
  }

  /** After every observation. */
  observed(c: Context): void {
    this.#last = c;
    this.#leaving = false;
    if (!this.#isLooking) this.#look();
    if (c.view === null) return;
    this.#map = failsafeMap(c.view);
    // Another leader's term makes it void.
    if (!c.lockMine) this.#unsettled = null;
  }

  /** In the same turn of the event loop as the decision. */
  decided({ effects }: Pick<Decision, 'effects'>): void {
    this.#leaving = leavesLeader(effects);
    // It was decided that the other leader does not go on.
    if (effects.some(({ kind }) => TAKES_KEY.has(kind))) this.#word = null;
  }

  /** A write of the map goes out (`written` null), and came to this. */
  writes(map: FailsafeMap, written: boolean | null): void {
    this.#unsettled = written === null ? map : null;
    if (written === true) this.#map = map;
  }

  /** A leader without etcd asks, with the body of its request. Never rejects. */
  async asked(body: JsonObject): Promise<FailsafeAnswer> {
    const { settings } = this.#ports;
    const { name, ttl } = body;
    if (!settings.current().dynamic.failsafeMode) return { kind: 'off' };
    if (typeof name !== 'string' || name === '' || name === settings.local().name)
      return { kind: 'refused', because: 'the request names no other member' };
    // The first round of an agent may have to wait for etcd for long.
    const found = this.#last === null ? await this.#ports.pg.observe({ timeoutMs: observeTimeoutMs(settings.current().dynamic) }) : null;
    const refusal = this.#refusal(found);
    if (refusal !== null) return { kind: 'refused', because: refusal };
    // A leader of Regent's says how long it counts on this, whatever the ttl is by now.
    this.#agree(name, Math.max(settings.current().dynamic.ttlSeconds, typeof ttl === 'number' ? ttl : 0) * 1000);
    const sql = this.#last?.o.pg.sql ?? found?.sql ?? null;
    return { kind: 'accepted', lsn: sql === null ? null : walPosition(sql) };
  }

  /**
   * Why nothing is agreed to now; null: it may be. `found`: what runs here, before the first round.
   */
  #refusal(found: PostgresFacts | null): string | null {
    const c = this.#last;
    if (c === null) return found?.sql?.inRecovery === true ? null : 'not known yet whether this member is a leader';
    if (this.#leaving) return AS_LEADER;
    const refusal = refusesFailsafe(c);
    return refusal === 'for an operator' ? 'An operator asked for another leader' : refusal && AS_LEADER;
  }

  #agree(leader: string, forMs: number): void {
    const nowMs = this.#ports.clock.bootMs();
    const before = this.#word?.leader === leader && this.#word.untilMs > nowMs ? this.#word : null;
    this.#word = { leader, untilMs: Math.max(nowMs + forMs, before?.untilMs ?? nowMs) };
    if (before === null)
      this.#ports.log.info(`failsafe mode: ${leader} cannot reach etcd; this member agrees that it goes on as the leader`);
  }

  /** Costs nothing where nobody could be asked, and little while etcd renews. */
  #look(): void {
    this.#cancel();
    const c = this.#last;
    this.#isLooking = c !== null && mayAskForFailsafe(c);
    if (c === null || !this.#isLooking) return;
    const { clock } = this.#ports;
    const nowMs = clock.bootMs();
    const members = this.#asking ? null : this.#due(c, nowMs);
    if (members !== null) void this.#ask(c, members);
    this.#cancel = clock.timer(Math.max(LOOK_EVERY_MS, this.#needsItAtMs(c) - nowMs), () => this.#look());
  }

  /** Those that have to be asked now; null: nobody. */
  #due(c: Context, nowMs: number): FailsafeMap | null {
    const { now } = this.#authority;
    if (!leads(now, nowMs) || isVouchedFor(now, nowMs + FRESH_WORD_MS)) return null;
    const { ttlSeconds } = this.#ports.settings.current().dynamic;
    const agreed = now.agreed !== null && now.agreed.sentAtMs === this.#askedAtMs;
    const againMs = agreed ? (ttlSeconds * 1000) / RENEWALS_PER_TTL : Math.min(AGAIN_MS, (ttlSeconds * 1000) / 10);
    if (nowMs < this.#askedAtMs + againMs || nowMs < this.#needsItAtMs(c)) return null;
    return this.#membersToAsk(c);
  }

  #membersToAsk({ me }: Context): FailsafeMap | null {
    return membersToAsk(
      me,
      [this.#map, this.#unsettled].filter((map) => map !== null),
    );
  }

  /** Etcd has not renewed the lease for half of its time. Voters that may vouch come first. */
  #needsItAtMs(c: Context): number {
    const halfway = halfwayAtMs(this.#authority.now);
    if (halfway === null) return Number.NEGATIVE_INFINITY;
    const stepDown = stepDownAtMs(this.#authority.now) ?? halfway;
    return c.o.links.lastFence === null ? halfway : Math.max(halfway, (halfway + stepDown) / 2);
  }

  async #ask(c: Context, members: FailsafeMap): Promise<void> {
    const { clock, peers, settings } = this.#ports;
    const { ttlSeconds } = settings.current().dynamic;
    const slots = statusValue(c)['slots'];
    const question = { name: c.me, ...ownUrls(settings.current()), slots: isJsonObject(slots) ? slots : {}, ttlSeconds };
    this.#asking = true;
    const sentAtMs = clock.bootMs();
    this.#askedAtMs = sentAtMs;
    const replies = await peers.agree(members, question, { timeoutMs: ANSWER_TIMEOUT_MS });
    this.#asking = false;
    this.#tell(replies);
    if (replies.some(({ refusal }) => refusal !== null)) return;
    // A map that was written meanwhile may name somebody who was not asked.
    if (!Object.keys(this.#membersToAsk(c) ?? {}).every((name) => Object.hasOwn(members, name))) return;
    this.#authority.note({ kind: 'agreed', sentAtMs, ttlSeconds, by: Object.keys(members).sort() });
    this.#agreed();
  }

  /** Once, until it changes. */
  #tell(replies: readonly FailsafeReply[]): void {
    const refusals = replies.flatMap(({ name, refusal }) => (refusal === null ? [] : [`${name}: ${refusal}`])).join('; ');
    if (refusals === this.#refusals) return;
    this.#refusals = refusals;
    if (refusals !== '')
      this.#ports.log.warning(`failsafe mode: not every member agrees that this leader goes on without etcd: ${refusals}`);
  }
}
