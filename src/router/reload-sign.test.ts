import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { watchReloads } from './reload-sign.ts';

let directory: string;
let front: Server;
let open: Set<Socket>;
let waits: (() => void)[];
let requests: string[];
let next: (() => void) | null;
let reloads: number;
let told: (() => void) | null;
let watch: { close(): void } | null;

const request = () =>
  new Promise<void>((resolve) => {
    next = resolve;
  });
const reload = () =>
  new Promise<void>((resolve) => {
    told = resolve;
  });

/** A clock whose timers fire when the test says so. */
const clock = {
  timer: (_ms: number, callback: () => void) => {
    waits.push(callback);
    return () => undefined;
  },
};

function serve(): Promise<void> {
  front = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      requests.push(String(data).split('\r\n', 1)[0]!);
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      next?.();
    });
  });
  return new Promise((resolve) => front.listen(join(directory, 'sign.sock'), resolve));
}

/** As HAProxy's old process does for its successor. */
function closeAll(): void {
  for (const socket of open) socket.destroy();
  open.clear();
}

function start(): void {
  watch = watchReloads({
    socketPath: join(directory, 'sign.sock'),
    clock,
    onReload: () => {
      reloads += 1;
      told?.();
    },
  });
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'regent-sign-'));
  open = new Set();
  [waits, requests, next, told, reloads] = [[], [], null, null, 0];
});
afterEach(() => {
  watch?.close();
  closeAll();
  front.close();
  rmSync(directory, { recursive: true, force: true });
});

it('tells when the connection was closed and another process answers; not at its own start', async () => {
  await serve();
  const asked = request();
  start();
  await asked;
  const first = reload();
  closeAll();
  await first;
  expect(reloads).toBe(1);
  const second = reload();
  closeAll();
  await second;
  expect(reloads).toBe(2);
  expect(requests).toEqual(['GET / HTTP/1.1', 'GET / HTTP/1.1', 'GET / HTTP/1.1']);
});

it('waits where nobody listens, and tells nothing of the first process that it meets', async () => {
  start();
  await expect.poll(() => waits.length).toBe(1);
  await serve();
  const asked = request();
  waits[0]!();
  await asked;
  const told = reload();
  closeAll();
  await told;
  expect(reloads).toBe(1);
});
