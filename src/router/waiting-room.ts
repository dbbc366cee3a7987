/**
 * Where clients wait while there is no primary. HAProxy closes a new connection when no server is
 * usable. So its file has one more server, a backup with room for a single connection
 * (`maxconn 1`). The router occupies that room with a connection of its own, which goes through
 * HAProxy and comes back to the router. Then HAProxy has to queue clients, and hands them on within
 * milliseconds when a server becomes usable. Without the router that server's address refuses
 * everybody, and HAProxy tries again every `timeout connect`: slower, but nobody is turned away.
 */
import { randomBytes } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { ensureError } from '../support/errors.ts';

const HOST = '127.0.0.1';
const TOKEN_BYTES = 16;
const OCCUPY_MS = 2000;
const AGAIN_MS = 500;
/** HAProxy's file lacks the room, or what it takes; it may get it at a reload. */
const MISSING_MS = 10_000;
const IS_MISSING = /no such server|no maxconn/i;

export interface WaitingRoomOptions {
  /** Of the frontend that leads to the room and nowhere else. */
  readonly socketPath: string;
  /** Tells HAProxy where the room is. Throws what Haproxy throws. */
  readonly announce: (host: string, port: number) => Promise<void>;
  readonly clock: Pick<Clock, 'timer'>;
  readonly log: Pick<Log, 'info' | 'warning'>;
  /** The room is occupied. */
  readonly onOccupied?: () => void;
}

export interface WaitingRoom {
  /** Occupies it, now and whenever the place is lost, until it is closed. Never throws. */
  open(): void;
  /** HAProxy is another process now, and knows nothing of the room. */
  renew(): void;
  close(): void;
}

export function createWaitingRoom(options: WaitingRoomOptions): WaitingRoom {
  return new OccupiedRoom(options);
}

class OccupiedRoom implements WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #token = randomBytes(TOKEN_BYTES);
  readonly #guests = new Set<Socket>();
  #server: Server | null = null;
  #occupant: Socket | null = null;
  #entered: (() => void) | null = null;
  #cancel: () => void = () => undefined;
  #closed = false;
  #said: string | null = null;
  #generation = 0;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  open(): void {
    const server = createServer((socket) => this.#receive(socket));
    server.on('error', (error) => this.#lost(error.message));
    server.listen(0, HOST, () => this.renew());
    this.#server = server;
  }

  renew(): void {
    if (this.#closed || this.#server?.listening !== true) return;
    this.#cancel();
    this.#generation += 1;
    const generation = this.#generation;
    // Its end is meant, and no reason to try again.
    const before = this.#occupant;
    this.#occupant = null;
    before?.destroy();
    this.#occupy(generation).then(
      () => generation === this.#generation && this.#say(null),
      (error: unknown) => generation === this.#generation && this.#lost(ensureError(error).message),
    );
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
    this.#occupant?.destroy();
    for (const guest of this.#guests) guest.destroy();
    this.#server?.close();
  }

  async #occupy(generation: number): Promise<void> {
    const { announce, socketPath, clock, onOccupied } = this.#options;
    await announce(HOST, (this.#server!.address() as AddressInfo).port);
    // Another one has begun meanwhile, and the room has one place.
    if (generation !== this.#generation) return;
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ path: socketPath }, () => socket.write(this.#token));
      const cancel = clock.timer(OCCUPY_MS, () => socket.destroy(new Error('its connection does not arrive')));
      this.#occupant = socket;
      this.#entered = () => {
        cancel();
        resolve();
      };
      socket.on('error', reject);
      socket.on('close', () => {
        cancel();
        reject(new Error('HAProxy closed the connection'));
        if (this.#occupant === socket) this.#lost('HAProxy closed the connection');
      });
    });
    onOccupied?.();
  }

  /**
   * A client may come before the router does: it has to try again, or it would wait for nothing.
   */
  #receive(socket: Socket): void {
    this.#guests.add(socket);
    socket.on('error', () => undefined).on('close', () => this.#guests.delete(socket));
    socket.once('data', (data) => {
      if (data.equals(this.#token)) this.#entered?.();
      else socket.destroy();
    });
  }

  #lost(why: string): void {
    if (this.#closed) return;
    this.#occupant = null;
    this.#say(why);
    this.#cancel();
    this.#cancel = this.#options.clock.timer(IS_MISSING.test(why) ? MISSING_MS : AGAIN_MS, () => this.renew());
  }

  /** When it begins, when the cause changes, and when it ends. */
  #say(trouble: string | null): void {
    if (trouble === this.#said) return;
    const { log } = this.#options;
    if (trouble === null && this.#said !== null) log.info('clients that come while there is no primary are queued again');
    const mend = IS_MISSING.test(trouble ?? '') ? { mend: "docs/haproxy.md shows what HAProxy's file needs for it" } : {};
    if (trouble !== null) log.warning(`clients that come while there is no primary are not queued: ${trouble}`, mend);
    this.#said = trouble;
  }
}
