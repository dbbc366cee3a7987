/**
 * The beats: a leader's agent tells every member again and again that it is there, and each member
 * notices when that ends. What came of it are facts of the next round (core/quorum/link-facts.ts);
 * nothing is decided here, except what a voter answers at once: whether it vouches.
 */
import { halfwayAtMs, leads } from '../core/authority.ts';
import { type Member, memberOf, sameName } from '../core/cluster.ts';
import { type Context, isPrimaryOrSilent } from '../core/context.ts';
import { isLetGo } from '../core/let-go.ts';
import type { Decision } from '../core/model.ts';
import { answerMessage, type Beat, type BeatAnswer, beatMessage, readAnswer, readBeat } from '../core/quorum/beat.ts';
import { fenceText } from '../core/quorum/fence-mark.ts';
import { beats as announcesBeats, type QuorumFence, quorumFence } from '../core/quorum/in-force.ts';
import { ETCD_PATIENCE, isDeserted, isIsolated, isUnheard } from '../core/quorum/leader-side.ts';
import { type GivenWord, type LinkFacts, type Silence, silenceAsOf, type VoterAnswer } from '../core/quorum/link-facts.ts';
import { heedsRefusals } from '../core/quorum/refusal.ts';
import { leavesLeader, mayVouch, setsWritten, vouchedByAll } from '../core/quorum/vouching.ts';
import { VOUCH_MS } from '../core/settings.ts';
import type { Clock } from '../ports/clock.ts';
import type { Links } from '../ports/links.ts';
import type { SettingsSource } from '../ports/settings.ts';
import type { JsonObject } from '../support/json.ts';
import type { AuthorityCell } from './authority-cell.ts';
import { LeaderWatch } from './leader-watch.ts';

/** So many beats come within suspect_after. */
const BEATS_PER_SUSPICION = 5;
const ANSWER_TIMEOUT_MS = 1000;
const NO_ANSWERS: ReadonlyMap<string, VoterAnswer> = new Map();

export interface BeatPorts {
  readonly clock: Pick<Clock, 'bootMs' | 'timer'>;
  readonly links: Links;
  readonly settings: Pick<SettingsSource, 'current'>;
}

export interface BeatListener {
  /** A round is wanted. */
  readonly wake: () => void;
  /** A round is wanted, and answers of the leader are not waited for any more. */
  readonly doubt: () => void;
  /** Voters have vouched: the guard's deadline may move on. */
  readonly vouched: () => void;
  /** What this member has agreed to in failsafe mode. */
  readonly agreed: () => GivenWord | null;
}

interface Leading {
  readonly term: string;
  readonly members: readonly Member[];
  /** Null: the lease is the fence, and nobody can vouch. */
  readonly fence: QuorumFence | null;
  /** Somebody listens for its beats. */
  readonly beats: boolean;
}

export class Beats {
  readonly #ports: BeatPorts;
  readonly #authority: AuthorityCell;
  readonly #listener: BeatListener;
  readonly #sinceMs: number;
  readonly #watch: LeaderWatch;
  #cancel: () => void = () => {};
  #last: Context | null = null;
  /**
   * This round's decision may let go of the leader: no vouching until the next round has looked.
   */
  #leaving = false;
  /** This round's decision asks the voters for another leader. */
  #resigning = false;
  #leading: Leading | null = null;
  /**
   * The last holder of the leader key that was read, and is another; null: none was, or it is this
   * node.
   */
  #following: { readonly name: string; readonly term: string } | null = null;
  #vouched: GivenWord | null = null;
  #readAtMs = Number.NEGATIVE_INFINITY;
  /** The last beats went out; null: none have, in this lead. */
  #beatenAtMs: number | null = null;
  #resumedAtMs = Number.NEGATIVE_INFINITY;
  /** A round was asked for because too few voters answer. */
  #desertedAtMs = Number.NEGATIVE_INFINITY;
  /** The last beat. */
  #said: (Beat & { readonly message: JsonObject }) | null = null;
  /** The last answer to one, without a word of vouching. */
  #replied: (Pick<BeatAnswer, 'fence' | 'leader'> & { readonly message: JsonObject }) | null = null;
  readonly #answers = new Map<string, VoterAnswer>();
  /** By member, in this lead. */
  readonly #lastHeard = new Map<string, { readonly atMs: number; readonly silence: Silence | undefined }>();
  #silences: LinkFacts['silences'] = new Map();
  /** When a voter was asked that has vouched, by its name. */
  readonly #vouchers = new Map<string, number>();
  /** The sets that /sync was written with since it was read. */
  #written: ReturnType<typeof setsWritten> = [];

  constructor(ports: BeatPorts, authority: AuthorityCell, listener: BeatListener) {
    this.#ports = ports;
    this.#authority = authority;
    this.#listener = listener;
    this.#sinceMs = ports.clock.bootMs();
    this.#watch = new LeaderWatch(ports, this.#sinceMs, listener.doubt);
  }

  start(): void {
    this.#ports.links.listen({
      asked: (from, message) => this.#asked(from, message),
      lost: (from) => this.#watch.lost(from),
    });
    this.#tick();
  }

  stop(): void {
    this.#cancel();
    this.#watch.stop();
  }

  facts(nowMs = this.#ports.clock.bootMs()): LinkFacts {
    return {
      sinceMs: this.#sinceMs,
      watchingSinceMs: this.#watch.sinceMs,
      heard: this.#watch.heard,
      knocks: this.#watch.knocks,
      answers: this.#answers.size === 0 ? NO_ANSWERS : new Map(this.#answers),
      silences: this.#silences,
      readAtMs: this.#readAtMs,
      resumedAtMs: this.#lastResumedAtMs(nowMs),
      lastFence: this.#leading?.fence ?? null,
      vouched: this.#vouched,
      agreed: this.#listener.agreed(),
    };
  }

  /** Nobody would confirm a commit of this leader now, and etcd does not answer either. */
  isIsolated(): boolean {
    const c = this.#last;
    return c !== null && isIsolated(this.#asOf(c, this.#ports.clock.bootMs()));
  }

  #asOf(c: Context, nowMs: number): Context {
    return { ...c, o: { ...c.o, nowMs, links: this.facts(nowMs) } };
  }

  /** After every observation: who leads, and who is told. */
  observed(c: Context): void {
    this.#last = c;
    this.#leaving = false;
    if (c.view === null) return;
    this.#readAtMs = c.o.nowMs;
    const { leader } = c.view;
    const { dynamic } = c.o.settings;
    // A leader that is vouched for goes on without its key, until another has one.
    if (leader !== null) this.#following = c.lockMine ? null : { name: leader.name, term: leader.modRevision };
    const before = this.#leading;
    const fence = leader === null ? null : quorumFence(c.view, dynamic);
    const listens = fence !== null || heedsRefusals(c.view, dynamic);
    this.#leading = leader !== null && c.lockMine ? { term: leader.modRevision, members: hearers(c), fence, beats: listens } : null;
    this.#written = [];
    if (!sameTerm(before, this.#leading)) {
      this.#voidWord();
      this.#forgetAnswers();
    }
    const watches = c.otherLeader !== null && listens;
    this.#watch.watch(watches ? memberOf(c.view, c.otherLeader ?? '') : null, leader?.modRevision ?? null);
    if (this.#leading === null) this.#forgetSilences();
    else if (before === null || !before.beats) this.#tick();
  }

  /** In the same turn of the event loop as the decision. */
  decided(decision: Decision): void {
    this.#leaving = leavesLeader(decision.effects);
    // Until /sync is read again it may name this set, or the one before.
    const written = setsWritten(decision.effects);
    this.#written = [...this.#written, ...written];
    if (written.length > 0) this.#voidWord();
    const before = this.#resigning;
    this.#resigning = decision.memory.resigningSinceMs !== null;
    if (this.#resigning && !before) this.#tick();
  }

  /** A round of an agent that stood still may come before its next beats. */
  #lastResumedAtMs(nowMs: number): number {
    const { suspectAfterMs } = this.#ports.settings.current().dynamic;
    return this.#beatenAtMs !== null && nowMs - this.#beatenAtMs >= suspectAfterMs ? nowMs : this.#resumedAtMs;
  }

  /** Those that vouch now, by every set that /sync may name. */
  #vouchedNow(): ReturnType<typeof vouchedByAll> {
    const { fence = null } = this.#leading ?? {};
    return fence === null ? null : vouchedByAll([fence, ...this.#written], this.#vouchers);
  }

  #voidWord(): void {
    if (this.#authority.now.vouched !== null && this.#vouchedNow() === null) this.#authority.note({ kind: 'vouched-in-vain' });
  }

  #forgetAnswers(): void {
    this.#answers.clear();
    this.#vouchers.clear();
  }

  #forgetSilences(): void {
    this.#lastHeard.clear();
    if (this.#silences.size > 0) this.#silences = new Map();
  }

  #tick(): void {
    this.#cancel();
    const { clock, settings } = this.#ports;
    const { beats = false, members = [] } = this.#leading ?? {};
    const nowMs = clock.bootMs();
    const { suspectAfterMs } = settings.current().dynamic;
    if (beats && leads(this.#authority.now, nowMs)) {
      if (this.#beatenAtMs !== null && nowMs - this.#beatenAtMs >= suspectAfterMs) this.#resumedAtMs = nowMs;
      this.#beatenAtMs = nowMs;
      this.#lookAfterVoters(nowMs, suspectAfterMs);
      this.#beat(members, nowMs);
    } else this.#beatenAtMs = null;
    this.#cancel = !beats ? () => {} : clock.timer(suspectAfterMs / BEATS_PER_SUSPICION, () => this.#tick());
  }

  /** Judged while etcd is silent, not only in the rounds, which may wait for it. */
  #resigns(nowMs: number): boolean {
    const c = this.#last;
    if (this.#resigning) return true;
    if (c === null || nowMs - this.#readAtMs < ETCD_PATIENCE * this.#ports.settings.current().dynamic.suspectAfterMs) return false;
    return isUnheard(this.#asOf(c, nowMs));
  }

  /** A leader that is left alone asks etcd at once whether it still leads. */
  #lookAfterVoters(nowMs: number, suspectAfterMs: number): void {
    const c = this.#last;
    if (c === null || nowMs - this.#desertedAtMs < suspectAfterMs || nowMs - this.#readAtMs < suspectAfterMs) return;
    if (!isDeserted(this.#asOf(c, nowMs))) return;
    this.#desertedAtMs = nowMs;
    this.#listener.wake();
  }

  /**
   * The clock is read once for all of them: that costs a call of the kernel, and an idle cluster is
   * the usual one.
   */
  #beat(members: readonly Member[], sentAtMs: number): void {
    const leading = this.#leading;
    if (leading === null) return;
    const { links } = this.#ports;
    const message = this.#message({
      term: leading.term,
      asksToVouch: this.#needsVouchers(leading, sentAtMs),
      resigns: this.#resigns(sentAtMs),
    });
    for (const member of members) {
      void links.ask(member, message, { timeoutMs: ANSWER_TIMEOUT_MS }).then((told) => {
        if (told === null || this.#leading === null) return;
        const nowMs = this.#ports.clock.bootMs();
        this.#heardFrom(member.name, nowMs);
        if (sameTerm(leading, this.#leading)) this.#answered(member.name, readAnswer(told), { sentAtMs, nowMs }, leading);
      });
    }
  }

  /** The same object again while it says the same: the link has its text already. */
  #message(beat: Beat): JsonObject {
    const said = this.#said;
    if (said?.term === beat.term && said.asksToVouch === beat.asksToVouch && said.resigns === beat.resigns) return said.message;
    const message = beatMessage(beat);
    this.#said = { ...beat, message };
    return message;
  }

  /** Whatever it says: the way between the two is open. */
  #heardFrom(name: string, nowMs: number): void {
    const before = this.#lastHeard.get(name);
    const silence = silenceAsOf(nowMs, before, this.#ports.settings.current().dynamic.suspectAfterMs);
    this.#lastHeard.set(name, { atMs: nowMs, silence });
    if (silence === undefined || silence === before?.silence) return;
    this.#silences = new Map([...this.#silences, [name, silence]]);
    this.#listener.wake();
  }

  /** Etcd has not renewed the lease for half of its time, and may not have heard of it. */
  #needsVouchers({ fence }: Leading, nowMs: number): boolean {
    const c = this.#last;
    const halfway = halfwayAtMs(this.#authority.now);
    return (
      fence !== null && c !== null && isPrimaryOrSilent(c) && !c.paused && !c.o.syncUnsettled && (halfway === null || nowMs >= halfway)
    );
  }

  #answered(
    name: string,
    answer: BeatAnswer,
    { sentAtMs, nowMs }: { readonly sentAtMs: number; readonly nowMs: number },
    { fence, term }: Leading,
  ): void {
    const before = this.#answers.get(name);
    this.#answers.set(name, { atMs: nowMs, fence: answer.fence, leader: answer.leader });
    const isFenced = answer.fence !== null && fence !== null && answer.fence === fenceText(fence);
    const isReplaced = answer.leader !== null && answer.leader.term !== term && before?.leader?.term !== answer.leader.term;
    if ((isFenced && before?.fence !== answer.fence) || isReplaced) this.#listener.wake();
    if (!answer.vouches || fence === null || fence !== this.#leading?.fence) return;
    this.#vouchers.set(name, Math.max(sentAtMs, this.#vouchers.get(name) ?? sentAtMs));
    const vouched = this.#vouchedNow();
    if (vouched === null || vouched.sentAtMs <= (this.#authority.now.vouched?.sentAtMs ?? Number.NEGATIVE_INFINITY)) return;
    this.#authority.note({ kind: 'vouched', ...vouched });
    this.#listener.vouched();
  }

  #asked(from: string, message: JsonObject): JsonObject | null {
    const beat = readBeat(message);
    if (beat === null) return null;
    this.#watch.heardFrom(from, beat.resigns ? beat.term : undefined);
    const c = this.#last;
    const { fence } = c?.o.pg ?? {};
    const vouches = beat.asksToVouch && this.#vouches(from, beat.term);
    return this.#reply({
      fence: fence === undefined || fence === 'unreadable' ? null : fenceText(fence),
      leader: this.#following,
      vouches,
    });
  }

  /** Likewise. */
  #reply(answer: BeatAnswer): JsonObject {
    const { fence, leader } = answer;
    if (answer.vouches) return answerMessage(answer);
    if (this.#replied?.fence !== fence || this.#replied.leader !== leader)
      this.#replied = { fence, leader, message: answerMessage(answer) };
    return this.#replied.message;
  }

  #vouches(leader: string, term: string): boolean {
    const c = this.#last;
    const follows = this.#following !== null && sameName(this.#following.name, leader) && this.#following.term === term;
    // What others count as a vote is not to be broken by the word that follows it.
    if (c === null || this.#leaving || !follows || !mayVouch(c) || isLetGo(c)) return false;
    this.#vouched = { leader, untilMs: this.#ports.clock.bootMs() + VOUCH_MS };
    return true;
  }
}

/** Members that say in their key that they know what a beat is. */
function hearers({ view, me }: Context): readonly Member[] {
  return (view?.members ?? []).filter((member) => member.name !== me && member.apiUrl !== null && announcesBeats(member));
}

/** The same lead, by the same synchronous set. */
function sameTerm(a: Leading | null, b: Leading | null): boolean {
  if (a === b || a === null || b === null || a.term !== b.term) return a === b;
  return (a.fence === null ? '' : fenceText(a.fence)) === (b.fence === null ? '' : fenceText(b.fence));
}
