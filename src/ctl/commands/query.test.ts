/** How query encrypts its connection, against a server that says what it is asked for. */
import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { amend, ctl, tutorialCluster } from '../../../test/fixtures/ctl.ts';

const SSL_REQUEST = 80_877_103;
let server: Server | null = null;
afterEach(() => void server?.close());

/** PostgreSQL's ErrorResponse. */
function refusal(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

/** A server without TLS that lets nobody in. */
async function asked(env: Record<string, string>): Promise<{ readonly ways: readonly string[]; readonly out: string }> {
  const ways: string[] = [];
  const listening = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (packet) => {
      const encrypts = packet.length === 8 && packet.readInt32BE(4) === SSL_REQUEST;
      ways.push(encrypts ? 'TLS' : 'plain');
      socket.end(encrypts ? 'N' : refusal('28000', 'no entry'));
    });
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const address = listening.address();
  const etcd = tutorialCluster();
  amend(etcd, 'demo', 'patroni1', { conn_url: `postgres://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/postgres` });
  const { out } = await ctl(['query', '-c', 'SELECT 1'], { etcd, env });
  return { ways, out };
}

test.each<[Record<string, string>, readonly string[], RegExp]>([
  [{}, ['TLS', 'plain'], /28000, no entry/],
  [{ PGSSLMODE: 'disable' }, ['plain'], /28000, no entry/],
  [{ PGSSLMODE: 'allow' }, ['plain', 'TLS'], /does not support SSL/],
  [{ PGSSLMODE: 'require' }, ['TLS'], /does not support SSL/],
])('with %j the server is asked as libpq would ask', async (env, ways, out) => {
  expect(await asked(env)).toEqual({ ways, out: expect.stringMatching(out) });
});
