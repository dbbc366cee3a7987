import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { createSystemClock } from '../adapters/clock/system.ts';
import { postgresAnswers } from './probe.ts';

const clock = createSystemClock();

async function listen(onData: (socket: Socket, data: Buffer) => void, host = '127.0.0.1') {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('data', (data) => onData(socket, data));
  }).listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port, close };
}

it('is answered by the byte that PostgreSQL sends to SSLRequest, and by nothing else', async () => {
  const postgres = await listen((socket, data) => data.length === 8 && data.readInt32BE(4) === 80877103 && socket.write('N'));
  expect(await postgresAnswers(`127.0.0.1:${postgres.port}`, 2000, clock)).toBe(true);
  expect(await postgresAnswers(`[::ffff:127.0.0.1]:${postgres.port}`, 2000, clock)).toBe(true);
  postgres.close();
  expect(await postgresAnswers(`127.0.0.1:${postgres.port}`, 2000, clock)).toBe(false);
  const still = await listen(() => undefined);
  expect(await postgresAnswers(`127.0.0.1:${still.port}`, 50, clock)).toBe(false);
  still.close();
});

it('takes for an answer what it cannot ask, such as a Unix socket', async () => {
  expect(await postgresAnswers('unix', 50, clock)).toBe(true);
});
