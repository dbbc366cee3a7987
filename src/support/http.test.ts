/** How an exchange ends, and how far it came. */
import { Agent, createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { exchange, HttpFailure } from './http.ts';

const servers: (Server | TcpServer)[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(server: Server | TcpServer): Promise<string> {
  servers.push(server);
  server.on('connection', (socket: Socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const serve = async (listener: RequestListener) => `http://${await listen(createServer(listener))}/`;

async function failure(promise: Promise<unknown>): Promise<HttpFailure> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HttpFailure);
  return error as HttpFailure;
}

test('any status is an answer, and a body is sent with its length', async () => {
  const url = await serve((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(418, { 'x-said': request.headers['content-length'] });
      response.end(`${request.method} ${Buffer.concat(chunks).toString()}`);
    });
  });
  const answer = await exchange(url, { method: 'POST', body: 'täa' }, { timeoutMs: 5000 });
  expect(answer).toMatchObject({ status: 418, text: 'POST täa' });
  expect(answer.headers['x-said']).toBe('4');
});

test('a server that says nothing is given up in time, connected and sent', async () => {
  const url = await serve(() => undefined);
  expect(await failure(exchange(url, {}, { timeoutMs: 1500, connectMs: 1400 }))).toMatchObject({
    message: 'no answer within 1.5 seconds',
    connected: true,
    sent: true,
    late: true,
  });
  expect(await failure(exchange(url, {}, { timeoutMs: 1000 }))).toMatchObject({ message: 'no answer within 1 second' });
  expect(await failure(exchange(url, {}, { timeoutMs: 50 }))).toMatchObject({ message: 'no answer within 50 ms' });
});

test('a server that accepts the connection and never greets over TLS is connected, and nothing was sent', async () => {
  const address = await listen(createTcpServer((socket) => socket.resume()));
  const error = await failure(exchange(`https://${address}/`, {}, { timeoutMs: 1000 }));
  expect(error).toMatchObject({ connected: true, sent: false, late: true });
});

test('without a listener nothing was sent', async () => {
  const address = await listen(createTcpServer());
  await new Promise((resolve) => servers.pop()!.close(resolve));
  expect(await failure(exchange(`http://${address}/`, {}, { timeoutMs: 5000 }))).toMatchObject({
    message: `connect ECONNREFUSED ${address}`,
    connected: false,
    sent: false,
    late: false,
  });
});

test('a truncated or oversized answer is no answer', async () => {
  const broken = await serve((_, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half');
    setTimeout(() => response.destroy(), 20);
  });
  expect((await failure(exchange(broken, {}, { timeoutMs: 5000 }))).late).toBe(false);
  const large = await serve((_, response) => response.end('x'.repeat(2000)));
  expect((await failure(exchange(large, {}, { timeoutMs: 5000, maxBytes: 1000 }))).message).toBe('the answer is larger than 1000 bytes');
  expect((await exchange(large, {}, { timeoutMs: 5000, maxBytes: 2000 })).text).toHaveLength(2000);
});

test.each([false, true])('it is given up when the caller says so (before it began: %s)', async (before) => {
  let asked = 0;
  const caller = new AbortController();
  const url = await serve(() => {
    asked++;
    caller.abort();
  });
  if (before) caller.abort();
  expect(await failure(exchange(url, {}, { signal: caller.signal }))).toMatchObject({ message: 'given up', late: false });
  expect(asked).toBe(before ? 0 : 1);
});

test('a kept connection serves many requests without gathering listeners', async () => {
  const agent = new Agent({ keepAlive: true });
  const sockets = new Set<unknown>();
  const url = await serve((request, response) => response.end(String(sockets.add(request.socket).size)));
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on('warning', note);
  try {
    for (let i = 0; i < 15; i++) expect(await exchange(url, { agent }, { timeoutMs: 5000 })).toMatchObject({ text: '1' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', note);
    agent.destroy();
  }
});

test('a kept connection that the other side has closed is not mistaken for a lost peer', async () => {
  const agent = new Agent({ keepAlive: true });
  let asked = 0;
  const url = await serve((request, response) => {
    asked += 1;
    if (asked === 1) response.end('ok');
    else request.socket.destroy();
  });
  try {
    await exchange(url, { agent }, { timeoutMs: 5000 });
    expect(await failure(exchange(url, { agent }, { timeoutMs: 5000 }))).toMatchObject({ stale: true, sent: true });
    agent.destroy();
    expect(await failure(exchange(url, {}, { timeoutMs: 5000 }))).toMatchObject({ stale: false });
  } finally {
    agent.destroy();
  }
});
