/** As whom `query` connects, by the startup packet that a listener gets. */

import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { userInfo } from 'node:os';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { amend, ctl, tutorialCluster } from '../../../test/fixtures/ctl.ts';

// The driver reads it when it is loaded.
vi.stubEnv('USER', undefined);

let server: Server;
let names: string[];

beforeEach(async () => {
  names = [];
  server = createServer((socket) => {
    socket.once('data', (packet) => {
      const words = packet.subarray(8).toString().split('\0');
      names.push(words[words.indexOf('user') + 1] ?? '');
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(() => new Promise((resolve) => server.close(resolve)));

test.each<[string, string[], Record<string, string>, string]>([
  ['the user of the system, where nothing names one, not even $USER', [], {}, userInfo().username],
  ['the superuser of the configuration', [], { PATRONI_SUPERUSER_USERNAME: 'boss' }, 'boss'],
  ['libpq’s variable', [], { PATRONI_SUPERUSER_USERNAME: 'boss', PGUSER: 'me' }, 'me'],
  ['the one on the command line', ['-U', 'you'], { PGUSER: 'me' }, 'you'],
])('connects as %s', async (_, words, env, expected) => {
  const etcd = tutorialCluster();
  amend(etcd, 'demo', 'patroni1', { conn_url: `postgres://127.0.0.1:${(server.address() as AddressInfo).port}/postgres` });
  expect((await ctl(['query', '-c', 'SELECT 1', ...words], { etcd, env })).code).toBe(1);
  expect(names).toEqual([expected]);
});
