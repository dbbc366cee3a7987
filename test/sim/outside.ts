/**
 * The server outside of the cluster that a standby cluster follows: the other site. It begins as a
 * copy of this cluster's primary that streams from it, or as the first of the two. No agent of ours
 * looks after it, its own operator does.
 */

import { EPOCH_MS, Gate, type Simulation } from './clock.ts';
import { OUTSIDE } from './faults/outside.ts';
import type { Network } from './network.ts';
import { DataDirectory } from './postgres/data-directory.ts';
import type { Rng } from './rng.ts';
import { SimServer } from './server.ts';
import { Branch, plus, SWITCH_BYTES } from './wal.ts';
import type { World } from './world.ts';

export interface OutsideOptions {
  /** It is there first, and the cluster is made as a standby cluster of it. */
  readonly first: boolean;
  /** Mean ms between two commits there, once it is a primary. */
  readonly everyMs: number;
  /** Once all is mended the cluster follows it, and only then leads itself. */
  readonly ends: boolean;
}

interface OutsideParts {
  readonly sim: Simulation;
  readonly net: Network;
  readonly rng: Rng;
  readonly trace: (line: string) => void;
  /** A server of the cluster. */
  readonly find: (host: string) => SimServer | null;
}

/** Its operator, or a host name that moves, sees to whom it follows. */
const TEND_MS = 1000;
/** Nobody of the cluster has such a commit. */
const FIRST_ID = 1_000_000_000;

export class Outside {
  readonly server: SimServer;
  readonly options: OutsideOptions;
  readonly #parts: OutsideParts;
  readonly #gate: Gate;
  #nextId = FIRST_ID;
  /** Its operator has it follow whoever leads the cluster. */
  #follows = false;
  /** It is down until its operator starts it. */
  #off = false;
  /** Another cluster’s stands in its place until then. */
  #putRight = () => {};

  constructor(parts: OutsideParts, options: OutsideOptions) {
    const { sim, net, rng, trace, find } = parts;
    this.#parts = parts;
    this.options = options;
    this.#gate = new Gate(sim, null);
    this.server = new SimServer(
      OUTSIDE,
      { sim, net, rng, trace, gate: () => this.#gate, wallMs: () => EPOCH_MS + sim.now, tell: () => {} },
      find,
    );
  }

  /** A primary that answers, of the cluster that this one is a part of. */
  isPrimaryOf(systemId: string | undefined): boolean {
    const { server } = this;
    return server.writable && server.process?.ending === false && server.systemId === systemId;
  }

  start(world: World): void {
    if (this.options.first) this.#initialize(world.newSystemId());
    const write = () => {
      if (this.server.writable)
        this.server.commit(
          this.#nextId++,
          { local: true },
          () => {},
          () => {},
        );
      this.#parts.sim.after(this.#parts.rng.between(0.5, 1.5) * this.options.everyMs, write);
    };
    write();
    const tend = () => {
      this.#tend(world);
      this.#parts.sim.after(TEND_MS, tend);
    };
    tend();
  }

  #initialize(systemId: string): void {
    const { server } = this;
    server.replaceDisk();
    server.dir = 'valid';
    server.initialize(systemId);
    server.start({ kind: 'primary' });
  }

  /** Its operator makes it a copy of the cluster's primary, that follows it from now on. */
  copy(world: World): void {
    const { leader } = world;
    if (leader === null) return;
    const { server } = this;
    server.die('was stopped to be copied again');
    server.replaceDisk();
    server.become(leader.server);
    server.dir = 'valid';
    this.#off = false;
    this.#follows = true;
    this.#follow(leader.name);
  }

  /** A primary of another cluster stands at its address. Returns what puts that right. */
  exchange(world: World): () => void {
    const { server } = this;
    if (server.dir !== 'valid' || server.systemId !== world.etcd.get('initialize')?.value) return () => {};
    server.die('was exchanged for another cluster’s');
    const kept = new DataDirectory();
    kept.become(server);
    const { signal, controlState, minRecovery } = server;
    const follows = this.#follows;
    this.#follows = false;
    this.#initialize(world.newSystemId());
    const foreign = server.systemId;
    this.#putRight = () => {
      if (server.systemId !== foreign) return;
      server.die('was exchanged again');
      server.become(kept);
      Object.assign(server, { signal, controlState, minRecovery });
      this.#follows = follows;
      if (!this.#off) this.#start();
    };
    return this.#putRight;
  }

  /** By its operator: a standby becomes a primary. */
  promote(): void {
    this.#follows = false;
    this.server.promote();
  }

  /**
   * The other site has a failover of its own, to a server that lacks its last `lostBytes`: the same
   * address, and a new timeline.
   */
  failOver(lostBytes: number): void {
    const { server } = this;
    if (!server.writable) return;
    server.die('was replaced by a standby of its own site');
    const { branch, lsn } = server.position;
    const forkLsn = branch.records.filter((record) => record.lsn <= plus(lsn, -lostBytes)).at(-1)?.lsn ?? lsn;
    const next = new Branch(branch.timeline + 1, branch, forkLsn, 'no recovery target specified');
    server.position = { branch: next, lsn: plus(forkLsn, SWITCH_BYTES) };
    server.checkpoint = server.position;
    server.minRecovery = null;
    server.controlState = 'shut down';
    server.slots.clear();
    this.#start();
  }

  /** In good order, as before a switch of the sites. */
  stop(): void {
    this.#off = true;
    this.#follows = false;
    this.server.stopFast();
  }

  crash(): void {
    this.#off = true;
    this.server.die('lost power');
  }

  boot(): void {
    this.#off = false;
    this.#start();
  }

  /** Once all is well: it runs as a primary. */
  mend(): void {
    this.#putRight();
    this.boot();
    this.#follows = false;
    const { server } = this;
    const promote = () => {
      if (server.dir !== 'valid' || this.#off) return;
      if (server.running && server.process?.ending === false) server.promote();
      else this.#parts.sim.after(TEND_MS, promote);
    };
    promote();
  }

  #start(): void {
    const { server } = this;
    if (server.process !== null || server.dir !== 'valid') return;
    server.start(server.signal ? { kind: 'standby', source: null } : { kind: 'primary' });
  }

  #follow(host: string): void {
    const { server } = this;
    server.file = { ...server.file, source: { host, port: 5432 } };
    if (server.process === null) this.#start();
    else server.reload();
  }

  #tend(world: World): void {
    const { server } = this;
    if (this.#off || server.dir !== 'valid') return;
    if (server.process === null) this.#start();
    const leader = world.leader?.name;
    if (!this.#follows || leader === undefined || !server.running || !server.inRecovery) return;
    if (server.replication.obstacle === 'not a prefix' || server.replication.obstacle === 'wal removed') this.copy(world);
    else if (server.live.source?.host !== leader) this.#follow(leader);
  }
}
