/**
 * One node: a machine with its clocks, its PostgreSQL, its guard, and the agent that runs now, if
 * one does.
 */

import { Agent } from '../../src/agent/agent.ts';
import { operatorPort } from '../../src/agent/operator-port.ts';
import type { Tags } from '../../src/core/cluster.ts';
import type { PeerFacts } from '../../src/core/peer-facts.ts';
import { healthCheck } from '../../src/dialect/health-checks.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { OperatorPort } from '../../src/ports/operator.ts';
import type { FailsafeQuestion } from '../../src/ports/peers.ts';
import { noServiceManager } from '../../src/ports/service-manager.ts';
import { ensureError } from '../../src/support/errors.ts';
import type { JsonObject } from '../../src/support/json.ts';
import { agentLog } from './agent-log.ts';
import type { Callbacks } from './checkers/callbacks.ts';
import { EPOCH_MS, Gate, MachineClock, processClock, type Simulation } from './clock.ts';
import { simDcs } from './dcs.ts';
import { DataIdentity } from './etcd/identity.ts';
import type { Etcd } from './etcd.ts';
import { GuardProcess, noWatchdog, simGuard } from './guard.ts';
import { SimLinks } from './links.ts';
import type { Network } from './network.ts';
import { failsafeAnswer, peerAnswer, simPeers } from './peers.ts';
import { SimPostgres } from './postgres.ts';
import type { Rng } from './rng.ts';
import { type ServerEvent, SimServer } from './server.ts';

import { simSettings } from './settings.ts';
import type { Position } from './wal.ts';

export interface MachineParts {
  readonly sim: Simulation;
  readonly net: Network;
  readonly etcd: Etcd;
  readonly rng: Rng;
  readonly config: JsonObject;
  readonly find: (name: string) => Machine | null;
  /** A server that is no member's. */
  readonly elsewhere: (host: string) => SimServer | null;
  readonly newSystemId: () => string;
  readonly trace: (line: string) => void;
  readonly broken: (what: string) => void;
  readonly tell: (server: SimServer, event: ServerEvent) => void;
  readonly callbacks: () => Callbacks;
  /** Members carry the etcd calls of a leader that cannot reach it. */
  readonly relays: boolean;
  /** The member of that name has vouched for a leader. */
  readonly vouched: (name: string) => void;
  /** The member `name` has agreed to failsafe mode of that leader. */
  readonly agreed: (name: string, leader: string, ttlSeconds: number) => void;
  /** What the watch of that agent tells. */
  readonly heard: (name: string, key: string | null) => void;
}

export interface MachineOptions {
  readonly name: string;
  readonly rate: number;
  readonly tags: Tags;
  /** It runs a Regent without links, or Patroni: the lease is its fence. */
  readonly old: boolean;
}

/** For so long others may hold what is known of the directory it had before. */
const RECLONED_MS = 120_000;

export class Machine {
  readonly name: string;
  readonly server: SimServer;
  readonly guard: GuardProcess;
  readonly #parts: MachineParts;
  readonly #options: MachineOptions;
  #clock: MachineClock;
  #gate: Gate;
  #process: Gate | null = null;
  #agent: Agent | null = null;
  #stop: () => void = () => {};
  /**
   * Another etcd that listens here, at the address that the cluster's own advertises (localhost is
   * its default).
   */
  stranger: Etcd | null = null;
  /** Of the agent that runs now. */
  links: SimLinks | null = null;
  /** Of the agents that ended by themselves, the last exit code. */
  exitCode: number | null = null;
  /** Ids of the rules that decided, in order, without repetitions. */
  readonly rules: string[] = [];
  /** When it last woke up. */
  awakeAt = Number.NEGATIVE_INFINITY;
  /** Since when its agent has been running without a break; in the future: it does not run. */
  steadySince = Number.POSITIVE_INFINITY;
  /**
   * Whether the cluster was paused by the last configuration that etcd gave this machine, and since
   * when it says otherwise.
   */
  #pause = { seen: false, until: Number.NEGATIVE_INFINITY };
  /** When the agent that runs now first read etcd. */
  #etcdReadAt = Number.POSITIVE_INFINITY;
  #removedAt = Number.NEGATIVE_INFINITY;
  readonly #identity: DataIdentity;

  constructor(parts: MachineParts, options: MachineOptions) {
    const { sim, net, rng, trace } = parts;
    const tell = (server: SimServer, event: ServerEvent) => {
      if (event === 'removing') this.#dataRemoved();
      parts.tell(server, event);
    };
    this.#parts = parts;
    this.#options = options;
    this.name = options.name;
    this.#gate = new Gate(sim, null);
    this.#clock = this.#newClock();
    const find = this.#find;
    const machine = { gate: () => this.#gate, wallMs: () => this.#clock.wallMs() };
    this.server = new SimServer(this.name, { sim, net, rng: rng.fork(`postgres ${this.name}`), trace, tell, ...machine }, find);
    this.#identity = new DataIdentity(this.server);
    this.guard = new GuardProcess(sim, this.clock, () => this.#gate, this.server);
    this.guard.onDeath.add(() => this.#loseWatch());
  }

  get clock(): MachineClock {
    return this.#clock;
  }

  get tags(): Tags {
    return this.#options.tags;
  }

  get agent(): Agent | null {
    return this.#agent;
  }

  /** The agent, where a test knows that it runs. */
  get running(): Agent {
    if (this.#agent === null) throw new Error(`no agent runs on ${this.name}`);
    return this.#agent;
  }

  get operator(): OperatorPort {
    return operatorPort(this.running);
  }

  get up(): boolean {
    return !this.#gate.dead;
  }

  startAgent(): void {
    if (this.#agent !== null || !this.up) return;
    const { sim, net, etcd, rng, trace } = this.#parts;
    const gate = new Gate(sim, this.#gate);
    const clock = processClock(sim, this.#clock, gate, rng.fork(`agent ${this.name} ${sim.events}`));
    const guard = simGuard(this.guard, sim, gate, clock);
    const stranger = () => this.stranger;
    const log = agentLog((line) => this.#parts.trace(`${this.name} ${line}`));
    const identity = this.#identity;
    const heard = (key: string | null) => this.#parts.heard(this.name, key);
    const vouched = () => this.#parts.vouched(this.name);
    const { old } = this.#options;
    const links = new SimLinks({ sim, net, name: this.name, gate, clock, find: this.#parts.find, old, vouched });
    const relay = this.#parts.relays && !old && { relay: { me: this.name, links } };
    const dcs = simDcs({
      ...relay,
      old,
      sim,
      net,
      etcd,
      stranger,
      machine: this.name,
      gate,
      clock,
      log,
      identity,
      sawConfig: this.#sawConfig,
      heard,
    });
    links.carrier = dcs;
    const pg = this.#postgres(gate, clock);
    const settings = simSettings(this.name, this.#parts.config, this.#options.tags, old);
    const peers = simPeers({ sim, net, name: this.name, gate, clock, find: this.#parts.find });
    const agent = new Agent({ clock, log, dcs, pg, peers, links, guard, watchdog: noWatchdog, settings, service: noServiceManager });
    this.#process = gate;
    this.#agent = agent;
    this.links = links;
    this.#stop = () => this.#tearDown(gate, pg, guard.detach);
    agent.rounds.onEnd(() => this.#noteRule(agent));
    trace(`${this.name} agent starts`);
    this.#parts.callbacks().agentStarted(this.name);
    this.#etcdReadAt = Number.POSITIVE_INFINITY;
    this.steadySince = sim.now;
    const end = (code: number) => {
      if (this.#agent !== agent) return;
      trace(`${this.name} agent ends with ${code}`);
      this.exitCode = code;
      if (code === 0) this.guard.end();
      links.broken();
      this.#stop();
    };
    sim.touched();
    agent.run().then(end, (error: unknown) => {
      this.#parts.broken(`${this.name}: the agent stopped: ${ensureError(error).message}`);
      end(1);
    });
  }

  /** SIGKILL to the agent alone. PostgreSQL and the guard go on. */
  killAgent(): void {
    if (this.#agent === null) return;
    this.#parts.trace(`${this.name} agent killed`);
    this.links?.broken();
    this.#stop();
  }

  freezeAgent(): void {
    this.#parts.trace(`${this.name} agent frozen`);
    this.steadySince = Number.POSITIVE_INFINITY;
    this.#process?.freeze();
  }

  thawAgent(): void {
    this.#parts.trace(`${this.name} agent thawed`);
    this.#process?.thaw();
    this.#steadyAgain();
  }

  /** The whole machine stands still, its boot clock does not. */
  suspend(): void {
    this.#parts.trace(`${this.name} suspended`);
    this.#clock.suspend();
    this.#gate.freeze();
  }

  resume(): void {
    this.#parts.trace(`${this.name} resumed`);
    if (this.#gate.frozen) this.awakeAt = this.#parts.sim.now;
    this.#clock.resume();
    this.#gate.thaw();
    this.#steadyAgain();
  }

  /** One of two faults that held the agent is over; the other may not be. */
  #steadyAgain(): void {
    this.steadySince = this.helpless ? Number.POSITIVE_INFINITY : this.#parts.sim.now;
  }

  /** The whole machine stands still. */
  get still(): boolean {
    return this.#gate.frozen;
  }

  /** No agent works here now. */
  get helpless(): boolean {
    return this.#process === null || this.#process.frozen;
  }

  /** By the last that etcd told this machine, or less than so long ago. */
  believesPaused(graceMs: number): boolean {
    return this.#pause.seen || this.#parts.sim.now - this.#pause.until < graceMs;
  }

  /** The agent that runs now has read etcd, and so long ago. */
  knowsSince(ms: number): boolean {
    return this.#parts.sim.now - this.#etcdReadAt > ms;
  }

  /** Its data are younger than what others may remember of it. */
  get recloned(): boolean {
    return this.#parts.sim.now - this.#removedAt < RECLONED_MS;
  }

  #dataRemoved(): void {
    this.#removedAt = this.#parts.sim.now;
    this.#identity.remove();
  }

  readonly #sawConfig = (paused: boolean): void => {
    if (this.#pause.seen && !paused) this.#pause.until = this.#parts.sim.now;
    this.#pause.seen = paused;
    this.#etcdReadAt = Math.min(this.#etcdReadAt, this.#parts.sim.now);
  };

  /** Power off. What is on the disk stays. */
  crash(): void {
    if (!this.up) return;
    this.#parts.trace(`${this.name} machine off`);
    this.#stop();
    this.#gate.kill();
    this.server.die('lost power');
    this.guard.die();
    this.#parts.net.isolate(this.name);
  }

  /** Off already: its disk is replaced by an empty one. */
  loseDisk(): void {
    this.#parts.trace(`${this.name} disk lost`);
    this.server.replaceDisk();
    this.#dataRemoved();
  }

  /**
   * Off already: its data are replaced by a copy of that server's at an earlier moment, with a
   * backup's label or without.
   */
  replaceData(by: SimServer, at: Position, how: { readonly label: boolean; readonly signal: boolean }): void {
    this.#parts.trace(`${this.name} data replaced by ${by.name}'s at ${at.lsn}`);
    if (how.label) this.server.restore(by, at, how.signal);
    else this.server.copyDisk(by, at);
    this.#dataRemoved();
  }

  boot(): void {
    if (this.up) return;
    this.#parts.trace(`${this.name} machine on`);
    this.#gate = new Gate(this.#parts.sim, null);
    this.#clock = this.#newClock();
    this.guard.rebooted(this.#clock);
    this.#parts.net.join(this.name);
    this.startAgent();
  }

  #newClock(): MachineClock {
    const { sim, rng } = this.#parts;
    const bootMs = rng.fork(`boot ${this.name} ${sim.now}`).between(1000, 90_000);
    return new MachineClock(sim, { bootMs, wallMs: EPOCH_MS + sim.now, rate: this.#options.rate });
  }

  /** Its calls of etcd are not ended: the dead hear of nothing. */
  #tearDown(gate: Gate, pg: SimPostgres, detachGuard: () => unknown): void {
    gate.kill();
    void pg.close();
    detachGuard();
    this.#agent = null;
    this.links = null;
    this.#process = null;
    this.steadySince = Number.POSITIVE_INFINITY;
    this.#stop = () => {};
    this.#loseWatch();
  }

  /** Guard or agent has ended: where both have, the kernel stops PostgreSQL. */
  #loseWatch(): void {
    if (this.#agent === null) this.guard.pullTether();
  }

  readonly #find = (host: string): SimServer | null => this.#parts.find(host)?.server ?? this.#parts.elsewhere(host);

  #postgres(gate: Gate, clock: Clock): SimPostgres {
    const { sim, newSystemId, trace, callbacks } = this.#parts;
    const told = (action: string, role: string) => callbacks().started(this.name, action, role);
    return new SimPostgres({ sim, server: this.server, clock, gate, find: this.#find, newSystemId, trace, told });
  }

  /**
   * GET /patroni, read by the asker. Without an agent the connection is refused (null); a frozen
   * one answers when it is thawed.
   */
  askedByPeer(reply: (facts: PeerFacts | null) => void): void {
    const agent = this.#agent;
    if (agent === null || this.#process === null) return void reply(null);
    this.#process.deliver('message', () => void peerAnswer(operatorPort(agent), this.name).then(reply));
  }

  /** POST /failsafe. Without an agent the connection is refused. */
  askedForFailsafe(from: string, question: FailsafeQuestion, reply: (refusal: string | null) => void): void {
    const agent = this.#agent;
    if (agent === null || this.#process === null) return void reply('no agent runs');
    this.#process.deliver('message', async () => {
      const refusal = await failsafeAnswer(operatorPort(agent), question);
      if (refusal === null) this.#parts.agreed(this.name, from, question.ttlSeconds);
      reply(refusal);
    });
  }

  /**
   * OPTIONS /primary. Without an agent the connection is refused (null); a frozen one answers when
   * it is thawed.
   */
  readonly askedByHaproxy = (reply: (code: number | null) => void): void => {
    const agent = this.#agent;
    if (agent === null || this.#process === null) {
      if (this.up) reply(null);
      return;
    }
    this.#process.deliver('message', () => {
      const operator = operatorPort(agent);
      reply(healthCheck('/primary', new Map(), operator.status(), operator.view(), operator.settings()));
    });
  };

  #noteRule(agent: Agent): void {
    const rule = agent.rounds.last?.decision.rule;
    if (rule !== undefined && rule !== this.rules.at(-1)) this.rules.push(rule);
  }
}
