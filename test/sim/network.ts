/**
 * Which machines reach each other. Directed, so that a cut may be one-way. Ends are machines,
 * `etcd` and `client`.
 */
import { MEMBERS } from './etcd.ts';
import type { Rng } from './rng.ts';

export class Network {
  /** Called after every change of that. */
  onChange: () => void = () => {};
  readonly #cuts = new Set<string>();
  readonly #isolated = new Set<string>();
  /** Something between two machines refuses connections in the place of the second. */
  readonly #rejects = new Set<string>();
  readonly #rng: Rng;
  readonly #delayMs: { readonly low: number; readonly high: number };
  /** Replies of etcd to this machine are lost (the request was applied) with this probability. */
  readonly lostReplies = new Map<string, number>();
  /**
   * Chance that a request to etcd is held up, and the longest time it is. It may then be applied
   * after its sender has given up.
   */
  slowRequests = { chance: 0, maxMs: 0 };
  /** The same for its answers: what was done long ago is only heard of now. */
  slowReplies = { chance: 0, maxMs: 0 };
  /** How much later than usual watches hear of changes. */
  watchLagMs = 0;
  /**
   * Connections between servers outlast a silence for as long as PostgreSQL's own settings let
   * them. They then flow again at TCP's next try, not at once.
   */
  lastingStreams = false;

  constructor(rng: Rng, delayMs = { low: 0.2, high: 2 }) {
    this.#rng = rng;
    this.#delayMs = delayMs;
  }

  up(from: string, to: string): boolean {
    if (this.#cuts.size === 0 && this.#isolated.size === 0) return true;
    return from === to || !(this.#cuts.has(`${from} ${to}`) || this.#isolated.has(from) || this.#isolated.has(to));
  }

  /** The same with a member of etcd at one end: a cut from all of etcd is one from each of them. */
  reaches(from: string, to: string): boolean {
    if (this.#cuts.size === 0 && this.#isolated.size === 0) return true;
    return this.up(from, to) && this.up(whole(from), whole(to));
  }

  cut(a: string, b: string): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }

  cutOneWay(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
    this.onChange();
  }

  heal(a: string, b: string): void {
    this.#cuts.delete(`${a} ${b}`);
    this.#cuts.delete(`${b} ${a}`);
    this.#rejects.delete(`${a} ${b}`);
    this.onChange();
  }

  /** A firewall that answers: as a cut, but who connects is told that nobody listens. */
  reject(from: string, to: string): void {
    this.#rejects.add(`${from} ${to}`);
    this.cut(from, to);
  }

  rejects(from: string, to: string): boolean {
    return this.#rejects.has(`${from} ${to}`);
  }

  /** From everybody, for as long as the machine is down. */
  isolate(name: string): void {
    this.#isolated.add(name);
    this.onChange();
  }

  join(name: string): void {
    this.#isolated.delete(name);
    this.onChange();
  }

  healAll(): void {
    this.#cuts.clear();
    this.#rejects.clear();
    this.lostReplies.clear();
    this.slowRequests = { chance: 0, maxMs: 0 };
    this.slowReplies = { chance: 0, maxMs: 0 };
    this.watchLagMs = 0;
    this.onChange();
  }

  /** One way, ms. */
  delay(): number {
    return this.#rng.between(this.#delayMs.low, this.#delayMs.high);
  }

  requestDelay(): number {
    return this.#heldUp(this.slowRequests);
  }

  replyDelay(): number {
    return this.#heldUp(this.slowReplies);
  }

  #heldUp({ chance, maxMs }: { readonly chance: number; readonly maxMs: number }): number {
    return chance > 0 && this.#rng.chance(chance) ? this.#rng.between(0, maxMs) : this.delay();
  }

  losesReply(to: string): boolean {
    const chance = this.lostReplies.get(to);
    return chance !== undefined && this.#rng.chance(chance);
  }
}

const whole = (end: string) => (members.has(end) ? 'etcd' : end);
const members: ReadonlySet<string> = new Set(MEMBERS);
