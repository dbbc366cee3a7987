/**
 * What stands between clients and the cluster: HAProxy's model and, on the same host, the real
 * router.
 */
import { createRouter, ROUTER_ASSERT_MS, type Router } from '../../src/router/router.ts';
import { Gate, MachineClock, processClock } from './clock.ts';
import { simDcs } from './dcs.ts';
import { SimHaproxy } from './haproxy.ts';
import type { World } from './world.ts';

/** The end of the network where clients are. */
const HOST = 'client';
/** `router.reconcile_interval`, unless set otherwise. */
const RECONCILE_MS = 5000;

export class Routing {
  readonly haproxy: SimHaproxy;
  readonly #world: World;
  readonly #clock: MachineClock;
  #stop: () => void = () => {};
  #router: Router | null = null;

  constructor(world: World) {
    this.#world = world;
    this.#clock = new MachineClock(world.sim, { bootMs: 1000, wallMs: 0, rate: 1 });
    this.haproxy = new SimHaproxy(world);
    this.start();
  }

  start(): void {
    if (this.#router !== null) return;
    const { sim, net, etcd, rng } = this.#world;
    const gate = new Gate(sim, null);
    const clock = processClock(sim, this.#clock, gate, rng.fork(`router ${sim.events}`));
    const say = (message: string) => this.#world.trace(`router ${message}`);
    const log = { debug: () => undefined, info: say, warning: say, error: say, critical: say };
    const dcs = simDcs({ sim, net, etcd, machine: HOST, gate, clock, log });
    this.#router = createRouter({ dcs, haproxy: this.haproxy, clock, log, assertMs: ROUTER_ASSERT_MS, reconcileMs: RECONCILE_MS });
    this.#stop = () => gate.kill();
    sim.touched();
    this.#router.start();
  }

  /** SIGKILL to the router: HAProxy's checks decide alone. */
  kill(): void {
    this.#stop();
    this.#router = null;
  }

  /** HAProxy leads to the leader alone, and nobody is left anywhere else. */
  get settled(): boolean {
    const holder = this.#world.leader?.name ?? this.#world.holder;
    const only = (names: readonly string[]) => names.every((name) => name === holder);
    return this.haproxy.up.length === 1 && only(this.haproxy.up) && only(this.haproxy.inUse);
  }
}
