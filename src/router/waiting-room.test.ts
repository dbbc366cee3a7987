import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createSystemClock } from '../adapters/clock/system.ts';
import { createWaitingRoom, type WaitingRoom } from './waiting-room.ts';

let directory: string;
/** Stands in for HAProxy: whoever comes to its socket is led to where the room was announced. */
let front: Server;
let place: number;
let through: Socket[];
let said: string[];
let occupied: () => void;
/** As long as HAProxy takes to be told. */
let announced: () => Promise<void>;
let room: WaitingRoom;

/** What the next occupation resolves. */
const nextOccupation = () =>
  new Promise<void>((resolve) => {
    occupied = resolve;
  });

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'regent-room-'));
  through = [];
  said = [];
  occupied = () => undefined;
  announced = async () => undefined;
  front = createServer((client) => {
    const server = connect(place, '127.0.0.1');
    through.push(client);
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const)
      one.on('error', () => undefined).on('close', () => other.destroy());
    client.pipe(server);
    server.pipe(client);
  });
  await new Promise<void>((resolve) => front.listen(join(directory, 'wait.sock'), resolve));
  const note = (message: string) => said.push(message);
  room = createWaitingRoom({
    socketPath: join(directory, 'wait.sock'),
    announce: async (_host, port) => {
      await announced();
      place = port;
    },
    clock: createSystemClock(),
    log: { info: note, warning: note },
    onOccupied: () => occupied(),
  });
});

afterEach(() => {
  room.close();
  for (const socket of through) socket.destroy();
  front.close();
  rmSync(directory, { recursive: true, force: true });
});

it('does not take the end of the place that it gives up for a loss, while HAProxy is told of the new one', async () => {
  const first = nextOccupation();
  room.open();
  await first;
  const renewed = nextOccupation();
  const [before] = through;
  announced = () => new Promise((resolve) => before!.once('close', () => setImmediate(resolve)));
  room.renew();
  await renewed;
  expect(said).toEqual([]);
});

it('takes the place, and takes it again when it was lost or HAProxy is another', async () => {
  const first = nextOccupation();
  room.open();
  await first;
  const again = nextOccupation();
  through[0]!.destroy();
  await again;
  expect(said).toEqual([expect.stringContaining('not queued: HAProxy closed the connection')]);
  const renewed = nextOccupation();
  room.renew();
  await renewed;
  expect(through).toHaveLength(3);
  await vi.waitFor(() => expect(through[1]!.destroyed).toBe(true));
  expect(through[2]!.destroyed).toBe(false);
  expect(said).toHaveLength(2);
  expect(said[1]).toContain('are queued again');
});

it.each(['No such server. (to: set server …)', 'server a has no maxconn'])(
  'says what HAProxy’s file lacks, once, and looks again later: %s',
  async (lack) => {
    const pauses: number[] = [];
    const words: unknown[] = [];
    const later = createWaitingRoom({
      socketPath: join(directory, 'none.sock'),
      announce: () => Promise.reject(new Error(`HAProxy: ${lack}`)),
      clock: {
        timer: (ms, callback) => {
          pauses.push(ms);
          if (pauses.length < 3) setImmediate(callback);
          return () => undefined;
        },
      },
      log: { info: () => undefined, warning: (...line) => words.push(line) },
    });
    later.open();
    await vi.waitFor(() => expect(pauses).toEqual([10_000, 10_000, 10_000]));
    later.close();
    expect(words).toEqual([[expect.stringContaining(lack), { mend: expect.stringContaining('docs/haproxy.md') }]]);
  },
);

it('sends a client away that has got in, because nobody would ever answer it', async () => {
  const first = nextOccupation();
  room.open();
  await first;
  const client = connect(join(directory, 'wait.sock'));
  const gone = new Promise((resolve) => client.once('close', resolve));
  client.on('error', () => undefined).write('startup packet of a client');
  await gone;
  expect(through[0]!.destroyed).toBe(false);
});

it('leaves the place when it is closed', async () => {
  const first = nextOccupation();
  room.open();
  await first;
  const left = new Promise((resolve) => through[0]!.once('close', resolve));
  room.close();
  await left;
  expect(said).toEqual([]);
});
