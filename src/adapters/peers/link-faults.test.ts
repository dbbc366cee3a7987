/** Links to members that misbehave, and agents that do. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { aMember } from '../../../test/fixtures/agent.ts';
import { type LinkNode, linkNode } from '../../../test/fixtures/link-node.ts';

const nodes: LinkNode[] = [];
const servers: Server[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close()));
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function make(name: string): Promise<LinkNode> {
  const node = await linkNode(name);
  nodes.push(node);
  return node;
}

/** What is done with each connection: its number, from 1, and the socket. */
async function serve(onConnection: (n: number, socket: Socket) => void): Promise<{ port: number; connections: () => number }> {
  let count = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(++count, socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, connections: () => count };
}

const memberAt = (port: number) => aMember('b', { apiUrl: `http://127.0.0.1:${port}/`, connUrl: `postgres://127.0.0.1:${port}/x` });
const LONG = { timeoutMs: 5000 };
const WELCOME = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: regent-link\r\n\r\n';

/** Opens the link, and then gives the lines that come to `onLine`. */
function greet(socket: Socket, onLine: (line: string) => void): void {
  socket.once('data', () => {
    socket.write(WELCOME);
    socket.on('data', (chunk) => {
      for (const line of chunk.toString('utf8').split('\n').slice(0, -1)) onLine(line);
    });
  });
}

const idOf = (line: string) => line.slice(1, line.indexOf(' '));

describe('a member', () => {
  test('that answers in pieces is understood', async () => {
    const { port } = await serve((_, socket) =>
      greet(socket, (line) => {
        const bytes = Buffer.from(`!${idOf(line)} {"a":"ü"}\n!999 {}\n`);
        const write = (at: number) => {
          if (at < bytes.length) socket.write(bytes.subarray(at, at + 1), () => setImmediate(write, at + 1));
        };
        write(0);
      }),
    );
    expect(await (await make('a')).links.ask(memberAt(port), {}, LONG)).toEqual({ a: 'ü' });
  });

  test.each([
    ['not a line of ours', () => 'hello\n'],
    ['not JSON', (id: string) => `!${id} {"a":\n`],
    ['not an object', (id: string) => `!${id} [1]\n`],
    ['a question', (id: string) => `?${id} {}\n`],
    ['a line without an end', () => 'x'.repeat(1024 * 1024 + 1)],
  ])('that sends %s loses the link', async (_, answer) => {
    let ended = () => {};
    const closed = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const { port } = await serve((_, socket) => {
      socket.on('close', () => ended());
      greet(socket, (line) => socket.write(answer(idOf(line))));
    });
    expect(await (await make('a')).links.ask(memberAt(port), {}, { timeoutMs: 60_000 })).toBeNull();
    await closed;
  });

  test.each([
    ['takes no upgrades', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['takes another upgrade', WELCOME.replace('regent-link', 'h2c')],
    ['speaks no HTTP', 'hello\r\n\r\n'],
  ])('that %s is given up at once', async (_, answer) => {
    const { port } = await serve((_, socket) => socket.once('data', () => socket.write(answer)));
    expect(await (await make('a')).links.ask(memberAt(port), {}, { timeoutMs: 60_000 })).toBeNull();
  });

  test('that does not answer the request is waited for no longer than asked, and is not dialled twice meanwhile', async () => {
    const silent = await serve(() => {});
    const a = await make('a');
    const asking = [1, 2, 3].map(() => a.links.ask(memberAt(silent.port), {}, { timeoutMs: 50 }));
    expect(await Promise.all(asking)).toEqual([null, null, null]);
    expect(silent.connections()).toBe(1);
  });

  test('that takes nothing in is sent no more than a bounded amount', async () => {
    const { port } = await serve((_, socket) => socket.once('data', () => socket.pause() && socket.write(WELCOME)));
    const a = await make('a');
    const text = 'x'.repeat(500_000);
    const refusedAtOnce = new Promise<string>((resolve) => {
      for (let n = 0; n < 60; n++) void a.links.ask(memberAt(port), { text }, { timeoutMs: 60_000 }).then(() => resolve('null'));
    });
    expect(await refusedAtOnce).toBe('null');
  });

  test('of which nothing is heard is dialled again beside; the new link takes over, and the old one ends', async () => {
    let ended = () => {};
    const oldEnded = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const { port, connections } = await serve((n, socket) => {
      if (n === 1) socket.on('close', () => ended());
      greet(socket, (line) => n > 1 && socket.write(`!${idOf(line)} {"link":${n}}\n`));
    });
    const a = await make('a');
    const lost = a.links.ask(memberAt(port), {}, { timeoutMs: 60_000 });
    let answer = null;
    while (answer === null) answer = await a.links.ask(memberAt(port), {}, { timeoutMs: 100 });
    expect(answer).toEqual({ link: 2 });
    expect(await lost).toBeNull();
    await oldEnded;
    expect(connections()).toBe(2);
  });
});

describe('an agent', () => {
  const open = (node: LinkNode, dial: string, more = '') =>
    new Promise<{ socket: Socket; status: string }>((resolve) => {
      const socket = connect(node.rest.port, '127.0.0.1');
      sockets.add(socket);
      socket.on('error', () => {});
      const who = `Regent-From: b\r\nRegent-To: a\r\nRegent-Cluster: ${encodeURIComponent('/service/demo/')}\r\nRegent-Dial: ${dial}\r\n`;
      socket.write(`GET /link HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: regent-link\r\n${who}\r\n${more}`);
      socket.once('data', (chunk) => resolve({ socket, status: chunk.toString('latin1').split(' ')[1]! }));
    });
  const ended = (socket: Socket) => new Promise<void>((resolve) => socket.on('close', () => resolve()).resume());

  test('that opens a second link loses the first, which is no loss of the agent; a late earlier try is refused', async () => {
    const a = await make('a');
    const first = await open(a, 'p.1');
    const third = await open(a, 'p.3');
    await ended(first.socket);
    expect((await open(a, 'p.2')).status).toBe('409');
    const restarted = await open(a, 'q.1', '?1 {"early":1}\n');
    await ended(third.socket);
    expect(restarted.status).toBe('101');
    await a.hears(1);
    restarted.socket.end();
    expect(await a.hears(2)).toEqual(['b: {"early":1}', 'b lost']);
  });

  test.each(['?1 null\n', '!1 {}\n', '?x {}\n', '?1 {\n', '\n', `?1 ${'x'.repeat(1024 * 1024)}`])(
    'that sends %j loses the link',
    async (line) => {
      const a = await make('a');
      const { socket } = await open(a, 'p.1');
      socket.write(line);
      await ended(socket);
      expect(await a.hears(1)).toEqual(['b lost']);
    },
  );

  test('that takes no answers loses the link', async () => {
    const a = await linkNode('a', { asked: () => ({ text: 'x'.repeat(500_000) }) });
    nodes.push(a);
    const { socket } = await open(a, 'p.1');
    socket.pause();
    socket.write(Array.from({ length: 60 }, (_, n) => `?${n} {}\n`).join(''));
    while (a.heard.at(-1) !== 'b lost') await a.hears(a.heard.length + 1);
  });

  test.each(['Regent-From: b\r\n', 'Regent-Dial: x\r\n', 'Regent-From: %\r\nRegent-Dial: p.1\r\n'])(
    'that does not say who it is (%j) is refused',
    async (headers) => {
      const a = await make('a');
      const socket = connect(a.rest.port, '127.0.0.1');
      sockets.add(socket);
      socket.write(`GET /link HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: regent-link\r\n${headers}\r\n`);
      const told = await new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(chunk.toString('latin1'))));
      expect(told.split('\r\n')[0]).toBe('HTTP/1.1 400 Bad Request');
      await ended(socket);
    },
  );
});

describe('a knock', () => {
  const SOON = { timeoutMs: 50 };

  test('tells a port without a process from one that is silent and one that answers', async () => {
    const { links } = await make('a');
    const silent = memberAt((await serve(() => {})).port);
    const closing = memberAt((await serve((_, socket) => socket.destroy())).port);
    const asked: string[] = [];
    const postmaster = memberAt(
      (await serve((_, socket) => socket.on('data', (bytes) => asked.push(bytes.toString('hex')) && socket.write('N')))).port,
    );
    const gone = memberAt((await freed()).port);
    expect(await links.knockAgent(silent, LONG)).toBe('answered');
    expect(await links.knockAgent(gone, LONG)).toBe('refused');
    expect(await links.knockPostgres(silent, SOON)).toBe('silent');
    expect(await links.knockPostgres(closing, LONG)).toBe('silent');
    expect(await links.knockPostgres(gone, LONG)).toBe('refused');
    expect(await links.knockPostgres(postmaster, LONG)).toBe('answered');
    expect(asked).toEqual(['0000000804d2162f']);
    const nowhere = aMember('x', { apiUrl: null, connUrl: null });
    expect(await links.knockAgent(nowhere, LONG)).toBe('silent');
    expect(await links.knockPostgres(nowhere, LONG)).toBe('silent');
    expect(await links.knockAgent(aMember('x', { apiUrl: 'http://nobody.invalid:1/' }), LONG)).toBe('silent');
  });

  /** A port where nobody listens any more. */
  async function freed(): Promise<{ port: number }> {
    const { port } = await serve(() => {});
    await new Promise((resolve) => servers.pop()!.close(resolve));
    return { port };
  }
});
