/**
 * HAProxy in front of the cluster, with the health checks that src/demo/haproxy-config.ts writes,
 * and the real router beside it. A verdict that the router sets holds until
 * `fall` checks have failed or `rise` have passed (HAProxy's management guide, "set server").
 */
import type { HaproxyState, RouterCommand } from '../../src/router/decide.ts';
import type { Haproxy } from '../../src/router/haproxy-socket.ts';
import type { Machine } from './machine.ts';
import type { ServerProcess } from './postgres/process.ts';
import type { World } from './world.ts';

const INTER_MS = 3000;
const FAST_INTER_MS = 500;
const DOWN_INTER_MS = 1000;
const CHECK_TIMEOUT_MS = 2000;
const FALL = 3;
const RISE = 2;

/** A connection of a client through HAProxy to one server. */
export interface Session {
  readonly machine: Machine;
  readonly process: ServerProcess;
  /** HAProxy has ended it. */
  cut: boolean;
}

interface Server {
  readonly machine: Machine;
  up: boolean;
  /** Checks in a row that say otherwise. */
  against: number;
  sessions: Session[];
}

export class SimHaproxy implements Haproxy {
  readonly #world: World;
  readonly #servers: readonly Server[];

  /** Its servers count as up until checks have failed, as they do when HAProxy starts. */
  constructor(world: World) {
    this.#world = world;
    this.#servers = world.machines.map((machine) => ({ machine, up: true, against: 0, sessions: [] }));
    for (const server of this.#servers) this.#check(server);
  }

  /** Names of the servers that get new connections. */
  get up(): readonly string[] {
    return this.#servers.filter((server) => server.up).map(({ machine }) => machine.name);
  }

  /** Names of the servers that have sessions of clients. */
  get inUse(): readonly string[] {
    return this.#servers.filter((server) => alive(server).length > 0).map(({ machine }) => machine.name);
  }

  /**
   * A new connection, to the first server that is up and accepts it: a refused one is tried again
   * on another (`redispatch`). Null: none does.
   */
  connect(): Session | null {
    const { net } = this.#world;
    for (const server of this.#servers) {
      const { machine } = server;
      const { process } = machine.server;
      const accepts = process !== null && process.phase === 'running' && !process.hung && !process.postmasterHung;
      if (!server.up || !accepts || !net.up('client', machine.name) || !net.up(machine.name, 'client')) continue;
      const session = { machine, process, cut: false };
      server.sessions.push(session);
      return session;
    }
    return null;
  }

  state(): Promise<HaproxyState> {
    const seen = this.#servers.map((server) => ({
      name: server.machine.name,
      up: server.up,
      ours: true,
      sessions: alive(server).length,
      silent: false,
      address: null,
    }));
    return Promise.resolve({ servers: seen, hasWaitingRoom: true });
  }

  run(commands: readonly RouterCommand[]): Promise<boolean> {
    for (const { kind, server: name } of commands) {
      const server = this.#servers.find(({ machine }) => machine.name === name);
      if (server === undefined) continue;
      if (kind === 'cut') this.#cut(server);
      else this.#set(server, kind === 'up', 'by the router');
    }
    return Promise.resolve(true);
  }

  /** Here a client that finds no server tries again by itself. */
  placeWaitingRoom(): Promise<void> {
    return Promise.resolve();
  }

  /** The client ends it. */
  leave(session: Session): void {
    for (const server of this.#servers) server.sessions = server.sessions.filter((other) => other !== session);
  }

  #cut(server: Server): void {
    const sessions = server.sessions.splice(0);
    for (const session of sessions) session.cut = true;
    this.#world.trace(`haproxy ends ${sessions.length} of the sessions on ${server.machine.name}`);
  }

  #set(server: Server, up: boolean, why: string): void {
    server.against = 0;
    if (server.up === up) return;
    server.up = up;
    this.#world.trace(`haproxy ${server.machine.name} is ${up ? 'up' : 'down'} ${why}`);
  }

  #check(server: Server): void {
    this.#ask(server.machine, (passed) => {
      server.against = passed === server.up ? 0 : server.against + 1;
      if (server.against >= (server.up ? FALL : RISE)) this.#set(server, passed, 'by its checks');
      const calm = server.up ? INTER_MS : DOWN_INTER_MS;
      this.#world.sim.after(server.against > 0 ? FAST_INTER_MS : calm, () => this.#check(server));
    });
  }

  #ask({ name, askedByHaproxy }: Machine, done: (passed: boolean) => void): void {
    const { sim, net } = this.#world;
    let answered = false;
    const answer = (passed: boolean) => {
      if (answered) return;
      answered = true;
      cancel();
      done(passed);
    };
    const cancel = sim.after(CHECK_TIMEOUT_MS, () => answer(false));
    if (!net.up('client', name)) return;
    sim.after(net.delay(), () =>
      askedByHaproxy((code) =>
        sim.after(net.delay(), () => {
          if (net.up(name, 'client')) answer(code === 200);
        }),
      ),
    );
  }
}

function alive(server: Server): readonly Session[] {
  server.sessions = server.sessions.filter(({ machine, process }) => machine.server.process === process);
  return server.sessions;
}
