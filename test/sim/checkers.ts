/** What must never be seen from outside, whatever the agents believe. Looked at after every event. Numbers as in ../shared/reliability.md. */
import { GUARD_KILL_MS } from './guard.ts';
import type { World } from './world.ts';

/** From the guard's deadline until the last process is dead. */
const GUARD_GRACE_MS = GUARD_KILL_MS + 30;

export class Checkers {
  readonly violations: string[] = [];
  readonly #world: World;
  /** Commits acknowledged so far are in the WAL of every primary that opens; for clusters that promise it. */
  noLoss = false;
  /** A server takes writes only while the leader key names it. Not so while paused. */
  onlyHolder = true;
  /** No two take writes at once, and none after its guard's deadline. A machine that has slept wakes up as it was: that is beyond any guard. */
  fenced = true;
  #lastPrimary = '';

  constructor(world: World) {
    this.#world = world;
  }

  report(what: string): void {
    if (this.violations.length > 20) return;
    this.#world.trace(`VIOLATION ${what}`);
    this.violations.push(what);
  }

  afterEvent(): void {
    const { machines, holder } = this.#world;
    let writable = '';
    let count = 0;
    for (const machine of machines) {
      if (!machine.server.writable) continue;
      count += 1;
      writable += ` ${machine.name}`;
      const { deadlineMs, alive } = machine.guard;
      if (this.fenced && alive && deadlineMs !== null && machine.clock.bootMs() > deadlineMs + GUARD_GRACE_MS)
        this.report(
          `invariant 12: ${machine.name} takes writes ${Math.round(machine.clock.bootMs() - deadlineMs)} ms after its guard's deadline`,
        );
      if (this.onlyHolder && holder !== machine.name && this.#world.etcd.get('initialize')?.value !== '')
        this.report(`invariant 2: ${machine.name} takes writes, the leader key names ${holder ?? 'nobody'}`);
    }
    if (this.fenced && count > 1) this.report(`invariant 2: at once${writable} take writes`);
    if (writable !== this.#lastPrimary) {
      this.#lastPrimary = writable;
      this.#world.trace(`writable:${writable || ' nobody'}`);
      if (this.noLoss) this.checkLoss();
    }
  }

  /** Invariant 1, on whoever takes writes now. */
  checkLoss(): void {
    for (const machine of this.#world.machines) {
      if (!machine.server.writable) continue;
      const missing = this.#world.clients.missingOn(machine);
      const first = missing[0];
      if (first === undefined) continue;
      this.report(
        `invariant 1: ${machine.name} lacks ${missing.length} acknowledged commits, the first written on ${first.node} at ${first.lsn} ` +
          `under '${first.rule}' and acknowledged at ${first.at.toFixed(1)}`,
      );
    }
  }

  assertClean(): void {
    if (this.violations.length === 0) return;
    throw new Error(`seed ${this.#world.seed}, trace ${this.#world.hash()}: ${this.violations.join('; ')}\n${this.#world.tail()}`);
  }
}
