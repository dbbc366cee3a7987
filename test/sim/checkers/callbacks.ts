/**
 * What the callback scripts of each node were told: they move addresses, so what they were told
 * last is where clients go.
 */
import type { SimServer } from '../server.ts';
import type { World } from '../world.ts';

interface Told {
  readonly role: string | null;
  /** on_stop came after it. */
  readonly stopped: boolean;
  /** The server that ran then. */
  readonly server: SimServer['process'];
}

const NOTHING: Told = { role: null, stopped: false, server: null };

export class Callbacks {
  readonly #world: World;
  readonly #report: (invariant: string, what: string) => void;
  readonly #told = new Map<string, Told>();

  constructor(world: World, report: (invariant: string, what: string) => void) {
    this.#world = world;
    this.#report = report;
  }

  /** A new agent does not know what the one before it has told, and tells where it stands. */
  agentStarted(name: string): void {
    this.#told.delete(name);
  }

  started(name: string, action: string, role: string): void {
    const { role: before, stopped, server } = this.#told.get(name) ?? NOTHING;
    const now = this.#world.machines.find((machine) => machine.name === name)?.server.process ?? null;
    if (action === 'on_reload') return;
    if (action === 'on_stop') {
      this.#told.set(name, { role: before, stopped: true, server });
      return;
    }
    const begins = action === 'on_start' && (stopped || server !== now);
    const twice = before === role && !begins && action !== 'on_restart';
    if (twice) this.#report('S25', `${name}: the callbacks are told ${role} by ${action}, and were told that before`);
    if (before === null && action !== 'on_start') this.#report('S25', `${name}: the first callback is ${action}`);
    this.#told.set(name, { role, stopped: false, server: now });
  }

  /**
   * Nodes whose scripts were told another role than that of their PostgreSQL, or nothing since it
   * was stopped or started.
   */
  misled(except: readonly string[]): readonly string[] {
    return this.#world.machines
      .filter(({ name, server, agent }) => {
        if (except.includes(name) || agent === null || !server.running) return false;
        const told = this.#told.get(name) ?? NOTHING;
        return told.stopped || told.server !== server.process || told.role !== (server.inRecovery ? 'replica' : 'primary');
      })
      .map(({ name }) => name);
  }
}
