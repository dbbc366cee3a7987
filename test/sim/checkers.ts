/**
 * What must never be seen from outside, whatever the agents believe. Each has its number from
 * docs/SPEC.md. They keep a history of their own and look at the models only: disks, processes,
 * etcd's content, and what clients were told.
 */
import { slotNameOf } from '../../src/core/slot-names.ts';
import { Admissions } from './checkers/admissions.ts';
import { Backoffs } from './checkers/backoffs.ts';
import { Callbacks } from './checkers/callbacks.ts';
import { Elections } from './checkers/elections.ts';
import { FailsafeWords } from './checkers/failsafe.ts';
import { Fences } from './checkers/fences.ts';
import { Follows } from './checkers/follows.ts';
import { Priorities } from './checkers/priorities.ts';
import { Promises } from './checkers/promise.ts';
import { StandbyClusters } from './checkers/standby-clusters.ts';
import { TakeOvers } from './checkers/take-overs.ts';
import { Watches } from './checkers/watches.ts';
import { Writers } from './checkers/writers.ts';
import type { ServerEvent, SimServer } from './server.ts';
import { isPrefix } from './wal.ts';
import type { World } from './world.ts';

export interface Violation {
  /** `S1` …; `crash`: the agent or a model broke. */
  readonly invariant: string;
  readonly message: string;
}

const MOST = 20;

export class Checkers {
  readonly violations: Violation[] = [];
  readonly #world: World;
  readonly promises: Promises;
  readonly writers: Writers;
  readonly fences: Fences;
  readonly elections: Elections;
  readonly callbacks: Callbacks;
  readonly takeOvers: TakeOvers;
  readonly #admissions: Admissions;
  readonly failsafe: FailsafeWords;
  readonly #priorities: Priorities;
  readonly #backoffs: Backoffs;
  readonly #follows: Follows;
  readonly watches: Watches;
  readonly #standbyClusters: StandbyClusters;
  #holder: string | null = null;
  /**
   * When members left etcd, and which have been gone for longer than member_slots_ttl: no node
   * should hold WAL back for those.
   */
  readonly #goneAt = new Map<string, number>();
  readonly #writtenOff = new Set<string>();
  /** Times at which somebody else took the leader key. */
  readonly successions: number[] = [];

  constructor(world: World) {
    this.#world = world;
    const report = (invariant: string, what: string) => this.report(what, invariant);
    this.promises = new Promises(world, report);
    this.writers = new Writers(world, report);
    this.fences = new Fences(world, report);
    this.elections = new Elections(world, report);
    this.callbacks = new Callbacks(world, report);
    this.takeOvers = new TakeOvers(world, report);
    this.#admissions = new Admissions(world, report);
    this.failsafe = new FailsafeWords(world, report);
    this.#priorities = new Priorities(world, report);
    this.#backoffs = new Backoffs(world, report);
    this.#follows = new Follows(world, report);
    this.watches = new Watches(world);
    this.#standbyClusters = new StandbyClusters(world, report);
    world.etcd.listeners.add(({ key, deleted }) => this.#onKey(key, deleted));
  }

  /** Every acknowledged commit counts as promised. */
  set noLoss(value: boolean) {
    this.promises.everything = value;
  }

  set onlyHolder(value: boolean) {
    this.writers.onlyHolder = value;
  }

  set fenced(value: boolean) {
    this.writers.fenced = value;
  }

  report(what: string, invariant = 'crash'): void {
    if (this.violations.length > MOST) return;
    this.#world.trace(`VIOLATION ${invariant} ${what}`);
    this.violations.push({ invariant, message: what });
  }

  /** Others refuse to let anybody else lead, and its key may be gone. */
  isKept(name: string): boolean {
    return this.takeOvers.isVouchedFor(name) || this.failsafe.isKept(name);
  }

  afterEvent(): void {
    this.takeOvers.look();
    this.writers.look();
    this.#standbyClusters.look();
  }

  onServer(server: SimServer, event: ServerEvent): void {
    if (event === 'removing') this.promises.checkRemoval(server);
    else if (event === 'slot') this.#checkSlot(server);
    else if (event === 'starting') this.#follows.checkStart(server);
    else {
      const bootstraps = server.dir === 'incomplete' && server.work === 'bootstrap';
      if (server.dir !== 'valid' && !bootstraps) this.report(`${server.name} opens a directory for writes that is ${server.dir}`, 'S10');
      if (event === 'opened') {
        if (!this.#opensBeside(server)) this.promises.checkOpened(server);
        this.fences.checkOpened(server);
        this.#admissions.checkOpened(server);
        this.#follows.opened(server);
        this.#standbyClusters.checkOpened(server);
      } else {
        this.writers.checkPromotion(server);
        this.elections.checkPromotion(server);
        this.failsafe.checkPromotion(server);
        this.#standbyClusters.checkPromotion(server);
      }
    }
  }

  /**
   * A promotion may end where no agent could stop it, whichever member leads since: docs/SPEC.md,
   * "exceptions". And who was replaced by promises may be restarted before it hears of it, as it
   * may stay open: nobody confirms to it what its successor lacks (checkers/take-overs.ts).
   */
  #opensBeside({ name }: SimServer): boolean {
    if (this.#world.holder === name) return false;
    return this.writers.unfenced(this.#world.node(name)) || this.takeOvers.isReplaced(name);
  }

  /**
   * S14: the WAL that a member still needs is held back for it wherever it may have to come for it.
   */
  #checkSlot(server: SimServer): void {
    const { name: slot, from } = server.advancedSlot;
    const held = server.slots.get(slot);
    const machine = this.#world.machines.find(({ name }) => slotNameOf(name) === slot);
    if (held === undefined || machine === undefined || machine.server.dir !== 'valid' || machine.recloned) return;
    const { position } = machine.server;
    // One that was made while the member was away, or after it had been given up, held nothing back
    // for it.
    if (from > position.lsn || this.#isWrittenOff(machine.name)) return;
    if (held > position.lsn && isPrefix(position, server.position))
      this.report(`the slot for ${machine.name} on ${server.name} is advanced to ${held}, ${machine.name} has only ${position.lsn}`, 'S14');
  }

  #onKey(key: string, deleted: boolean): void {
    if (key === 'sync' || key === 'leader') this.takeOvers.keyChanged();
    if (key === 'sync') this.promises.syncChanged();
    if (key === 'config') this.promises.policyChanged();
    if (key.startsWith('members/')) this.#onMember(key.slice('members/'.length), deleted);
    if (key !== 'leader') return;
    this.elections.keyChanged();
    this.#priorities.keyChanged(this.#holder);
    this.#backoffs.keyChanged(this.#holder);
    const holder = deleted ? null : this.#world.holder;
    if (holder !== null) this.successions.push(this.#world.sim.now);
    this.#holder = holder;
  }

  /**
   * etcd has other keys all at once: nobody has written them, and what they say is nobody's deed.
   */
  keysRestored(): void {
    this.#holder = this.#world.holder;
    this.elections.keysRestored();
    this.takeOvers.keysRestored();
    this.#priorities.keysRestored();
    this.#backoffs.keysRestored();
  }

  #onMember(name: string, deleted: boolean): void {
    const { sim, orders } = this.#world;
    const since = this.#goneAt.get(name);
    if (deleted) this.#goneAt.set(name, since ?? sim.now);
    else this.#goneAt.delete(name);
    if (!deleted && since !== undefined && sim.now - since >= orders.memberSlotsTtlMs) this.#writtenOff.add(name);
  }

  #isWrittenOff(name: string): boolean {
    const { sim, orders } = this.#world;
    return this.#writtenOff.has(name) || sim.now - (this.#goneAt.get(name) ?? sim.now) > orders.memberSlotsTtlMs;
  }

  /** Invariant S1, on the server that takes writes now. */
  checkLoss(): void {
    for (const machine of this.#world.machines) if (machine.server.writable) this.promises.checkOpened(machine.server);
  }

  assertClean(): void {
    if (this.violations.length === 0) return;
    const told = this.violations.map(({ invariant, message }) => `${invariant}: ${message}`);
    throw new Error(`seed ${this.#world.seed}, trace ${this.#world.hash()}: ${told.join('; ')}\n${this.#world.tail()}`);
  }
}
