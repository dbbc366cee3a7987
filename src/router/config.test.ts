import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadRouterSettings } from './config.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'regent-router-config-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function load(text: string) {
  const path = join(dir, 'regent.yml');
  writeFileSync(path, text);
  return loadRouterSettings(path, {});
}

it('needs only the cluster, etcd and the socket', () => {
  const settings = load('scope: demo\netcd3: {hosts: [10.0.0.1:2379, 10.0.0.2:2379]}\nrouter: {haproxy_socket: /run/haproxy.sock}\n');
  expect(settings).toMatchObject({
    scope: 'demo',
    namespace: 'service',
    etcd: { endpoints: ['http://10.0.0.1:2379', 'http://10.0.0.2:2379'] },
    socketPath: '/run/haproxy.sock',
    backend: 'postgres_primary',
    readBackend: 'postgres_replicas',
    reconcileMs: 5000,
  });
  expect(settings.log.dir).toBeNull();
});

it('takes its own settings', () => {
  const settings = load(
    'scope: demo\netcd: {host: e:1}\nrouter: {haproxy_socket: /s, primary_backend: b, replica_backend: c, reconcile_interval: 2}\nlog: {level: DEBUG, dir: /var/log/x}\n',
  );
  expect(settings).toMatchObject({ backend: 'b', readBackend: 'c', reconcileMs: 2000, log: { level: 'DEBUG', dir: null } });
});

it.each([
  ['no socket', 'scope: demo\netcd: {host: e:1}\n', /router\.haproxy_socket/],
  ['an unknown key', 'scope: demo\netcd: {host: e:1}\nrouter: {haproxy_socket: /s, primary_bakend: x}\n', /primary_bakend/],
  [
    'a name that would be two commands',
    'scope: demo\netcd: {host: e:1}\nrouter: {haproxy_socket: /s, primary_backend: "x; show info"}\n',
    /primary_backend/,
  ],
  ['no scope', 'etcd: {host: e:1}\nrouter: {haproxy_socket: /s}\n', /scope/],
  ['no etcd', 'scope: demo\nrouter: {haproxy_socket: /s}\n', /etcd/],
])('refuses %s', (_what, text, message) => {
  expect(() => load(text)).toThrow(message);
});
