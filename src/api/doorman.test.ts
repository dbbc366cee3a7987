import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Doorman, postDoorman } from './doorman.ts';

const SILENCE_MS = 5000;
const KEEP_ALIVE_MS = 10_000;

let server: Server;
let doorman: Doorman;
/** What the HTTP server got. */
let inside: Socket[];
let came: () => void;
let nowMs: number;
let timers: Set<() => void>;
const clients: Socket[] = [];

const clock = {
  monotonicMs: () => nowMs,
  timer: (_ms: number, callback: () => void) => {
    timers.add(callback);
    return () => timers.delete(callback);
  },
};

/** All timers that run fire so much later. */
function pass(ms: number): void {
  nowMs += ms;
  const due = [...timers];
  timers.clear();
  for (const callback of due) callback();
}

beforeEach(async () => {
  [inside, nowMs, timers, came] = [[], 0, new Set(), () => undefined];
  server = createServer((_request, response) => response.end('slowly'));
  server.on('connection', (socket) => inside.push(socket));
  doorman = postDoorman(server, {
    answerTo: (packet) => (String(packet) === 'known' ? { text: 'answer', keepsAlive: true } : null),
    silenceMs: SILENCE_MS,
    keepAliveMs: KEEP_ALIVE_MS,
    clock,
  });
  server.on('connection', () => came());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  doorman.close();
  server.closeAllConnections();
  server.close();
});

async function visit(): Promise<Socket> {
  const accepted = new Promise<void>((resolve) => {
    came = resolve;
  });
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => undefined);
  clients.push(client);
  await accepted;
  return client;
}

const heard = (client: Socket) => new Promise<string>((resolve) => client.once('data', (data) => resolve(String(data))));

test('a connection that stays silent gets to the HTTP server, which answers what comes late', async () => {
  const client = await visit();
  pass(SILENCE_MS - 1);
  expect(inside).toHaveLength(0);
  pass(1);
  expect(inside).toHaveLength(1);
  client.write('GET /late HTTP/1.0\r\n\r\n');
  expect(await heard(client)).toMatch(/^HTTP\/1\.1 200 OK/);
  pass(SILENCE_MS);
  expect(inside).toHaveLength(1);
});

test('an answered connection may ask again, and is ended when it does not', async () => {
  const client = await visit();
  const gone = new Promise((resolve) => client.once('close', resolve));
  client.write('known');
  expect(await heard(client)).toBe('answer');
  pass(KEEP_ALIVE_MS - 1);
  client.write('known');
  expect(await heard(client)).toBe('answer');
  pass(KEEP_ALIVE_MS - 1);
  expect(inside).toHaveLength(0);
  pass(1);
  await gone;
  expect(inside).toHaveLength(0);
});

test('no timer runs while nobody is held', async () => {
  expect(timers.size).toBe(0);
  const client = await visit();
  expect(timers.size).toBe(1);
  client.write('GET / HTTP/1.0\r\n\r\n');
  await heard(client);
  pass(SILENCE_MS);
  expect(timers.size).toBe(0);
});
