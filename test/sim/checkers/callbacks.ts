/**
 * What the callback scripts of each node were told: they move addresses, so what they were told
 * last is where clients go.
 */
import type { World } from '../world.ts';

interface Told {
  readonly role: string | null;
  /** on_stop came after it. */
  readonly stopped: boolean;
}

const NOTHING: Told = { role: null, stopped: false };

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
    const { role: before, stopped } = this.#told.get(name) ?? NOTHING;
    if (action === 'on_reload') return;
    if (action === 'on_stop') {
      this.#told.set(name, { role: before, stopped: true });
      return;
    }
    const twice = before === role && !(action === 'on_start' && stopped) && action !== 'on_restart';
    if (twice) this.#report('S25', `${name}: the callbacks are told ${role} by ${action}, and were told that before`);
    if (before === null && action !== 'on_start') this.#report('S25', `${name}: the first callback is ${action}`);
    this.#told.set(name, { role, stopped: false });
  }

  /**
   * Nodes whose scripts were told another role than that of their PostgreSQL, or nothing since it
   * was stopped.
   */
  misled(except: readonly string[]): readonly string[] {
    return this.#world.machines
      .filter(({ name, server, agent }) => {
        if (except.includes(name) || agent === null || !server.running) return false;
        const { role, stopped } = this.#told.get(name) ?? NOTHING;
        return stopped || role !== (server.inRecovery ? 'replica' : 'primary');
      })
      .map(({ name }) => name);
  }
}
