/**
 * A cluster of real agents on models of everything else, with clients, and checkers that look at it
 * after every event. Same seed and same orders, same trace.
 */
import { encodeFailover } from '../../src/adapters/etcd/encode.ts';
import { syncPriority, type Tags } from '../../src/core/cluster.ts';
import type { FailoverRequest } from '../../src/ports/dcs.ts';
import { stringifyCompact } from '../../src/support/big-json.ts';
import type { JsonObject } from '../../src/support/json.ts';
import { Checkers } from './checkers.ts';
import { Clients } from './clients.ts';
import { Simulation } from './clock.ts';
import { Etcd } from './etcd.ts';
import { OUTSIDE } from './faults/outside.ts';
import { Machine } from './machine.ts';
import { Network } from './network.ts';
import { Orders } from './orders.ts';
import { Outside, type OutsideOptions } from './outside.ts';
import { slower, usualDurations } from './postgres/process.ts';
import { Rng } from './rng.ts';
import type { Routing } from './routing.ts';
import type { ServerEvent, SimServer } from './server.ts';
import { areTwins, childOn, commonAncestor } from './wal.ts';

export interface WorldOptions {
  readonly seed?: number;
  readonly nodes?: readonly string[];
  /** The cluster-wide configuration, as in bootstrap.dcs. */
  readonly config?: JsonObject;
  readonly tags?: Readonly<Record<string, Tags>>;
  /** Machine milliseconds per true millisecond; 1 where not given. */
  readonly rates?: Readonly<Record<string, number>>;
  readonly etcdRate?: number;
  /** One way, ms. */
  readonly delayMs?: readonly [number, number];
  /** How much longer than usual PostgreSQL's work takes. */
  readonly slowness?: number;
  readonly walKeepBytes?: number;
  readonly lastingStreams?: boolean;
  /** Members carry the etcd calls of a leader that cannot reach it; by default they do. */
  readonly relays?: boolean;
  readonly rewindMayCheckpoint?: boolean;
  /** Nodes that know of no links. */
  readonly old?: readonly string[];
  /** A server outside that the cluster may follow; nothing: none. */
  readonly outside?: OutsideOptions;
  /** What all is drawn from; one made of the seed where not given. */
  readonly rng?: Rng;
}

/** The demo's: short enough for a story to be short. */
export const demoConfig: JsonObject = { ttl: 10, loop_wait: 2, retry_timeout: 3 };
const TAIL = 120;

export class World {
  readonly seed: number;
  readonly sim = new Simulation();
  readonly rng: Rng;
  readonly net: Network;
  readonly etcd: Etcd;
  readonly machines: readonly Machine[];
  readonly clients: Clients;
  readonly checkers: Checkers;
  readonly orders: Orders;
  /** The server that the cluster follows while it is a standby cluster; null: there is none. */
  readonly outside: Outside | null;
  /** What leads clients to the leader, where they are led by more than its key. */
  routing: Routing | null = null;
  readonly lines: string[] = [];
  /** No fault may begin any more, not even one that was on its way. */
  mended = false;
  #systemIds = 0;

  constructor(options: WorldOptions = {}) {
    this.seed = options.seed ?? 1;
    this.rng = options.rng ?? new Rng(this.seed);
    const [low, high] = options.delayMs ?? [0.2, 2];
    this.net = new Network(this.rng.fork('network'), { low, high });
    this.net.lastingStreams = options.lastingStreams ?? false;
    this.net.onChange = () => this.sim.disturbed();
    this.etcd = new Etcd(this.sim, options.etcdRate ?? 1);
    const parts = {
      sim: this.sim,
      net: this.net,
      etcd: this.etcd,
      rng: this.rng,
      config: { ...(options.config ?? demoConfig), ...(options.outside?.first === true && { standby_cluster: { host: OUTSIDE } }) },
      relays: options.relays ?? true,
      find: (name: string) => this.machines.find((machine) => machine.name === name) ?? null,
      elsewhere: (host: string) => (host === OUTSIDE ? (this.outside?.server ?? null) : null),
      newSystemId: () => this.newSystemId(),
      trace: (line: string) => this.trace(line),
      broken: (what: string) => this.checkers.report(what),
      tell: (server: SimServer, event: ServerEvent) => this.checkers.onServer(server, event),
      callbacks: () => this.checkers.callbacks,
      vouched: (name: string) => this.checkers.takeOvers.vouched(name),
      agreed: (name: string, leader: string, ttlSeconds: number) => this.checkers.failsafe.agreed(name, leader, ttlSeconds),
      heard: (name: string, key: string | null) => this.checkers.watches.heard(name, key),
    };
    const find = (host: string) => this.machines.find(({ name }) => name === host)?.server ?? null;
    this.outside =
      options.outside === undefined
        ? null
        : new Outside({ sim: this.sim, net: this.net, rng: this.rng.fork(OUTSIDE), trace: parts.trace, find }, options.outside);
    this.machines = (options.nodes ?? ['a', 'b', 'c']).map(
      (name) =>
        new Machine(parts, {
          name,
          rate: options.rates?.[name] ?? 1,
          tags: options.tags?.[name] ?? {},
          old: options.old?.includes(name) === true,
        }),
    );
    for (const { server } of this.machines) {
      server.durations = slower(usualDurations, options.slowness ?? 1);
      server.walKeepBytes = options.walKeepBytes ?? server.walKeepBytes;
      server.rewindMayCheckpoint = options.rewindMayCheckpoint ?? true;
    }
    this.clients = new Clients(this);
    this.orders = new Orders(this);
    this.checkers = new Checkers(this);
    this.etcd.listeners.add(({ key, deleted }) => this.#traceKey(key, deleted));
    this.sim.afterEvent.push(() => this.checkers.afterEvent());
  }

  /** All agents started, three nodes healthy. */
  static async ready(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    world.startAll();
    await world.expect('a healthy cluster', () => world.healthy(), 60_000);
    return world;
  }

  node(name: string): Machine {
    const machine = this.machines.find((candidate) => candidate.name === name);
    if (machine === undefined) throw new Error(`no node ${name}`);
    return machine;
  }

  newSystemId(): string {
    this.#systemIds += 1;
    return String(7_300_000_000_000_000_000n + BigInt(this.seed) * 1000n + BigInt(this.#systemIds));
  }

  startAll(): void {
    this.outside?.start(this);
    for (const machine of this.machines) machine.startAgent();
  }

  /** Name of the holder of the leader key. */
  get holder(): string | null {
    return this.etcd.get('leader')?.value ?? null;
  }

  /** The machine that the leader key names, whatever it does. */
  get keyHolder(): Machine | null {
    const { holder } = this;
    return this.machines.find(({ name }) => name === holder) ?? null;
  }

  /**
   * The leader's machine, where there is one that takes writes: by its key, or while it has lost
   * that, by the word of voters or of all members.
   */
  get leader(): Machine | null {
    const { holder } = this;
    const leads = ({ name }: Machine) => (holder === null ? this.checkers.isKept(name) : name === holder);
    return this.machines.find((machine) => machine.server.writable && leads(machine)) ?? null;
  }

  get primary(): Machine {
    const { leader } = this;
    if (leader === null) throw new Error(`no leader takes writes now\n${this.tail()}`);
    return leader;
  }

  get replicas(): readonly Machine[] {
    return this.machines.filter((machine) => machine !== this.leader);
  }

  /** One leader, and everybody else that is up streams from it, some from each other. */
  healthy(): boolean {
    const { leader } = this;
    if (leader === null) return false;
    return this.machines.every((machine) => machine === leader || !machine.up || streamsFrom(machine.server, leader.server));
  }

  /**
   * The same of those who are not left broken. A member that was away for longer than WAL is kept
   * for it can only be cloned again, which the operator must say.
   */
  recovered(except: readonly string[] = []): boolean {
    const { leader } = this;
    if (leader === null) return false;
    return this.machines.every((machine) => machine === leader || except.includes(machine.name) || this.#settled(machine, leader.server));
  }

  /**
   * The same of a standby cluster: its leader streams from the server outside, the others from it.
   */
  followsOutside(): boolean {
    const { outside, keyHolder: leader } = this;
    if (outside === null || leader === null || leader.server.replication.source !== outside.server) return false;
    return this.machines.every((machine) => machine === leader || this.#settled(machine, leader.server));
  }

  #settled({ server }: Machine, leader: SimServer): boolean {
    if (!server.running) return false;
    return streamsFrom(server, leader) || server.replication.obstacle === 'wal removed' || cannotBeTold(server, leader);
  }

  /** Strict mode, and no standby may confirm: commits must wait. */
  waitsByPolicy(): boolean {
    const { leader, orders } = this;
    if (leader === null || !orders.strict || orders.mode === 'off') return false;
    return !this.machines.some(
      ({ tags, server }) => syncPriority(tags) > 0 && server.replication.source === leader.server && server !== leader.server,
    );
  }

  /**
   * Runs until it holds; throws with the end of the trace when it does not within the limit.
   * Returns the virtual ms it took.
   */
  async expect(what: string, done: () => boolean, limitMs: number): Promise<number> {
    const start = this.sim.now;
    const reached = await this.sim.until(() => done() || this.checkers.violations.length > 0, limitMs);
    this.checkers.assertClean();
    if (!reached)
      throw new Error(`seed ${this.seed}, trace ${this.hash()}: not within ${limitMs} ms: ${what}\n${this.tail()}\n${this.describe()}`);
    return this.sim.now - start;
  }

  async run(ms: number): Promise<void> {
    await this.sim.until(() => this.checkers.violations.length > 0, ms);
    this.checkers.assertClean();
  }

  /** An operator writes to etcd, at once; nothing comes of it while etcd takes nothing. */
  patchConfig(patch: JsonObject): void {
    if (this.etcd.full) return;
    this.etcd.put('config', stringifyCompact({ ...this.etcd.view().config?.data, ...patch }), null);
  }

  askFailover(request: FailoverRequest): void {
    if (this.etcd.full) return;
    this.etcd.put('failover', encodeFailover(request), null);
  }

  trace(line: string): void {
    const text = `[${this.sim.now.toFixed(1).padStart(9)}] ${line}`;
    this.sim.hash.text(line);
    this.lines.push(text);
  }

  tail(lines = TAIL): string {
    return this.lines.slice(-lines).join('\n');
  }

  /** The state of all nodes, for the reader of a failure. */
  describe(): string {
    const one = ({ name, server, up, agent }: Pick<Machine, 'name' | 'server' | 'up'> & { readonly agent?: Machine['agent'] }) => {
      const { position, process, replication } = server;
      const state =
        process === null ? `stopped (${server.controlState})` : `${process.phase}${server.inRecovery ? ' standby' : ' primary'}`;
      const path = [...position.branch.history.map((entry) => `${entry.timeline}@${entry.switchLsn}`), position.branch.timeline].join(' ');
      const source = `follows ${server.live.source?.host ?? 'nobody'}, streams from ${replication.source?.name ?? 'nobody'}${replication.obstacle === null ? '' : ` (${replication.obstacle})`}`;
      return `${name}: ${up ? '' : 'off, '}${agent === undefined ? '' : agent === null ? 'no agent, ' : `${agent.rounds.last?.decision.rule}, `}${server.dir}, ${state}, WAL ${path}@${position.lsn}, ${source}`;
    };
    const outside = this.outside === null ? [] : [one({ name: OUTSIDE, server: this.outside.server, up: true })];
    return [...this.machines.map((machine) => one(machine)), ...outside].join('\n');
  }

  /** Virtual time of the first line at or after `from` that contains the text; null: none. */
  timeOf(text: string, from = 0): number | null {
    const line = this.lines.find((candidate) => candidate.includes(text) && Number(candidate.slice(1, 10)) >= from);
    return line === undefined ? null : Number(line.slice(1, 10));
  }

  /** Of all events and all lines so far. */
  hash(): string {
    return this.sim.hash.toString();
  }

  #traceKey(key: string, deleted: boolean): void {
    if (key === 'status' || key.startsWith('members/')) return;
    this.trace(`etcd ${deleted ? 'deletes' : 'puts'} ${key}${deleted ? '' : ` ${this.etcd.get(key)?.value}`}`);
  }
}

function streamsFrom(server: SimServer, leader: SimServer): boolean {
  let at: SimServer | null = server;
  for (let hops = 0; at !== null && hops < 10; hops += 1) {
    if (at === leader) return true;
    if (!at.running) return false;
    at = at.replication.source;
  }
  return false;
}

/** Twins (M13) of which one has no longer the WAL with which its timeline began: docs/limits.md. */
function cannotBeTold(server: SimServer, leader: SimServer): boolean {
  if (!areTwins(server.position, leader.position)) return false;
  const common = commonAncestor(server.position, leader.position);
  const has = (of: SimServer) => common !== null && of.hasStartOf(childOn(common.branch, of.position.branch) ?? common.branch);
  return !has(server) || !has(leader);
}
