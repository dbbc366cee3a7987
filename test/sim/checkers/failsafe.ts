/**
 * S21, where all members agree to failsafe mode: who has agreed takes no lead from the leader that
 * goes on by it, and that leader does so only while all others have.
 */
import type { Machine } from '../machine.ts';
import type { SimServer } from '../server.ts';
import type { World } from '../world.ts';
import { UNPAUSE_GRACE_MS } from './writers.ts';

type Report = (invariant: string, what: string) => void;

interface Word {
  readonly leader: string;
  readonly untilMs: number;
}

/** Clocks of machines differ by less. */
const DRIFT = 0.005;

export class FailsafeWords {
  readonly #world: World;
  readonly #report: Report;
  /** Whichever agent of the member gave it. */
  readonly #words = new Map<string, Word>();

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
  }

  agreed(name: string, leader: string, ttlSeconds: number): void {
    this.#words.set(name, { leader, untilMs: this.#world.sim.now + ttlSeconds * 1000 * (1 - DRIFT) });
    if (this.#world.holder === name && !this.#isBlindStandby(name))
      this.#report('S21', `${name} agrees that ${leader} goes on, and has the leader key`);
  }

  /**
   * Without etcd a standby cannot know that the key names it still. It gives the key back once it
   * does (the rule standby.failsafe).
   */
  #isBlindStandby(name: string): boolean {
    const { etcd, net } = this.#world;
    const { server } = this.#world.node(name);
    const isBlind = etcd.down || !(net.up(name, 'etcd') && net.up('etcd', name));
    return isBlind && (server.process === null || server.inRecovery);
  }

  /** Every other member that the map names stands by it: the key may be gone meanwhile. */
  isKept(name: string): boolean {
    const map = this.#world.etcd.view().failsafe?.map;
    if (map === undefined || !Object.hasOwn(map, name)) return false;
    return Object.keys(map).every((other) => other === name || this.#standsBy(other, name));
  }

  #standsBy(name: string, leader: string): boolean {
    const word = this.#words.get(name);
    return word !== undefined && word.leader === leader && this.#world.sim.now < word.untilMs;
  }

  /** A server is about to be promoted. */
  checkPromotion(server: SimServer): void {
    const word = this.#words.get(server.name);
    if (word === undefined || this.#world.sim.now >= word.untilMs || word.leader === server.name) return;
    // In a pause the operator is in charge (docs/SPEC.md, "exceptions").
    const { orders } = this.#world;
    if (orders.overrides(server.name) && this.#world.node(server.name).believesPaused(UNPAUSE_GRACE_MS)) return;
    const leader = this.#world.machines.find(({ name }) => name === word.leader);
    if (leader !== undefined && takesWrites(leader))
      this.#report('S21', `${server.name} is promoted, and has agreed that ${word.leader} goes on`);
  }
}

const takesWrites = ({ server }: Machine): boolean => server.dir === 'valid' && server.commits;
