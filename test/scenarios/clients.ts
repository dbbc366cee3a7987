/**
 * A client that goes where HAProxy leads or, without one, where the leader key points. It uses a
 * new connection each time, and counts its answers.
 */
import type { Acknowledged } from '../sim/clients.ts';
import type { World } from '../sim/world.ts';
import type { Recorder } from './recorder.ts';

const EVERY_MS = 100;
/** No answer for so long is worth a line. */
const SILENCE_MS = 1000;

export class StoryClient {
  readonly #world: World;
  readonly #recorder: Recorder;
  readonly #sentBefore: number;
  refused = 0;
  #state: 'served' | 'waiting' | 'refused' = 'served';
  #troubleAt = 0;
  #oldestWaitingAt: number | null = null;
  #stop: (() => void) | null = null;

  constructor(world: World, recorder: Recorder) {
    this.#world = world;
    this.#recorder = recorder;
    this.#sentBefore = world.clients.attempts;
    world.clients.onAcknowledged.add((commit) => this.#acknowledged(commit));
  }

  get running(): boolean {
    return this.#stop !== null;
  }

  start(): void {
    this.#stop?.();
    this.#stop = this.#world.sim.after(EVERY_MS, () => {
      this.start();
      this.#write();
    });
  }

  stop(): void {
    this.#stop?.();
    this.#stop = null;
  }

  /** Of all clients of the world, since the story began. */
  summary(): string {
    const { clients } = this.#world;
    const sent = clients.attempts - this.#sentBefore;
    const silent = sent - clients.acknowledged.length - clients.unpromised;
    return (
      `${clients.acknowledged.length} commits acknowledged, ${this.refused} refused, ${silent} without an answer` +
      (clients.unpromised === 0 ? '' : `, ${clients.unpromised} answered without a promise`)
    );
  }

  #write(): void {
    const world = this.#world;
    if (this.#sent()) {
      this.#oldestWaitingAt ??= world.sim.now;
      if (world.sim.now - this.#oldestWaitingAt >= SILENCE_MS) this.#trouble('waiting');
      return;
    }
    this.refused += 1;
    this.#oldestWaitingAt = null;
    this.#trouble('refused');
  }

  #sent(): boolean {
    const { machines, holder, clients, routing } = this.#world;
    if (routing === null) {
      const machine = machines.find(({ name }) => name === holder);
      return machine !== undefined && clients.write(machine);
    }
    const session = routing.haproxy.connect();
    // HAProxy keeps those that come while it can lead them nowhere.
    if (session === null) return true;
    routing.haproxy.leave(session);
    return clients.write(session.machine);
  }

  #trouble(state: 'waiting' | 'refused'): void {
    if (this.#state === state) return;
    if (this.#state === 'served') this.#troubleAt = this.#world.sim.now;
    this.#state = state;
    this.#recorder.add('client', state === 'refused' ? 'is refused' : 'has had no answer for a second');
  }

  #acknowledged({ node }: Acknowledged): void {
    this.#oldestWaitingAt = null;
    if (this.#state === 'served' || node !== this.#world.holder) return;
    this.#state = 'served';
    const seconds = ((this.#world.sim.now - this.#troubleAt) / 1000).toFixed(2);
    this.#recorder.add('client', `has commits acknowledged again, by ${node}, after ${seconds} s`);
  }
}
