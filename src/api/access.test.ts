import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { aMember, restSettings } from '../../test/fixtures/agent.ts';
import { type Certificate, CertificateWorkshop } from '../../test/fixtures/certificates.ts';
import { call } from '../../test/fixtures/http.ts';
import { keptLog, MemoryOperatorPort, realClock, somePeers } from '../../test/fixtures/operator-port.ts';
import type { RestSettings } from '../core/settings.ts';
import { type RestServer, startRestServer } from './server.ts';

let server: RestServer | null = null;
let operator: MemoryOperatorPort;
const log = keptLog();

async function serve(settings: Partial<RestSettings>): Promise<string> {
  operator = new MemoryOperatorPort();
  log.lines.length = 0;
  const all = restSettings(settings);
  server = await startRestServer({ operator, settings: all, log, clock: realClock, peers: somePeers({}), validateConfig: () => [] });
  return `${all.certfile === null ? 'http' : 'https'}://127.0.0.1:${server.port}`;
}

afterEach(async () => {
  await server?.close();
  server = null;
});

const reload = (base: string, options: object = {}) => call(`${base}/reload`, 'POST', undefined, options);
const basic = (login: string) => ({ headers: { Authorization: `Basic ${Buffer.from(login).toString('base64')}` } });

describe('password', () => {
  const authentication = { username: 'admin', password: 'sécret:1' };

  test('is required for everything that changes something, and for nothing else', async () => {
    const base = await serve({ authentication });
    for (const [method, path] of [
      ['PATCH', 'config'],
      ['PUT', 'config'],
      ['POST', 'switchover'],
      ['DELETE', 'switchover'],
      ['POST', 'failover'],
      ['POST', 'restart'],
      ['DELETE', 'restart'],
      ['POST', 'reload'],
      ['POST', 'reinitialize'],
      ['POST', 'failsafe'],
    ] as const) {
      const refused = await call(`${base}/${path}`, method, '{"ttl": 20}');
      expect(refused).toMatchObject({
        status: 401,
        body: 'no auth header received',
        headers: { 'www-authenticate': 'Basic realm="Patroni"' },
      });
    }
    expect(operator.calls).toEqual([]);
    for (const path of ['', 'patroni', 'cluster', 'config', 'history', 'metrics']) expect((await call(`${base}/${path}`)).status).toBe(200);
  });

  test('right, wrong, malformed', async () => {
    const base = await serve({ authentication });
    expect((await reload(base, basic('admin:sécret:1'))).status).toBe(202);
    for (const login of ['admin:', 'admin:sécret:2', 'root:sécret:1', '']) {
      expect(await reload(base, basic(login))).toMatchObject({ status: 401, body: 'not authenticated' });
    }
    expect((await reload(base, { headers: { Authorization: 'Bearer x' } })).status).toBe(401);
    expect(log.lines.join('\n')).not.toContain('sécret');
  });
});

describe('allowlist', () => {
  test.each([
    ['127.0.0.1', 202],
    ['127.0.0.0/8', 202],
    ['0.0.0.0/0', 202],
    ['localhost', 202],
    ['10.0.0.0/8', 403],
    ['::1', 403],
    ['127.0.0.1/99', 403],
    ['nowhere.invalid', 403],
  ])('%s', async (entry, status) => {
    const base = await serve({ allowlist: [entry] });
    expect((await reload(base)).status).toBe(status);
    expect((await call(`${base}/primary`)).status).toBe(200);
  });

  test('an IPv4 client of a dual-stack listener is known by its IPv4 address', async () => {
    const base = await serve({ allowlist: ['127.0.0.1'], listenHost: '*' });
    expect((await reload(base)).status).toBe(202);
  });

  test('members may, where the settings say so, but not with failsafe', async () => {
    const base = await serve({ allowlistIncludeMembers: true });
    expect(await reload(base)).toMatchObject({ status: 403, body: 'Access is denied' });
    operator.change({ members: [aMember('pg-9', { apiUrl: 'http://localhost:8008/patroni' }), aMember('pg-8', { apiUrl: 'nonsense' })] });
    expect((await reload(base)).status).toBe(202);
    expect((await call(`${base}/failsafe`, 'POST', '{"name": "pg-9"}')).status).toBe(403);
  });

  test('a reload brings a new list', async () => {
    const base = await serve({ allowlist: ['10.0.0.1'] });
    expect((await reload(base)).status).toBe(403);
    await server!.reconfigure(restSettings({ allowlist: ['127.0.0.1'] }));
    expect((await reload(base)).status).toBe(202);
  });

  test('comes before the password', async () => {
    const base = await serve({ allowlist: ['10.0.0.1'], authentication: { username: 'a', password: 'b' } });
    expect((await reload(base, basic('a:b'))).status).toBe(403);
  });
});

describe('TLS', () => {
  let workshop: CertificateWorkshop;
  let node: Certificate;
  let client: Certificate;
  let stranger: CertificateWorkshop;

  beforeAll(() => {
    workshop = new CertificateWorkshop();
    node = workshop.issue('node', 'IP:127.0.0.1');
    client = workshop.issue('client');
    stranger = new CertificateWorkshop();
  });

  afterAll(() => {
    workshop.remove();
    stranger.remove();
  });

  const as = (pair: Certificate | null) => ({
    ca: readFileSync(workshop.ca.cert),
    ...(pair && { cert: readFileSync(pair.cert), key: readFileSync(pair.key) }),
  });
  const tls = () => ({ certfile: node.cert, keyfile: node.key, cafile: workshop.ca.cert });

  test('serves with headers of its own', async () => {
    const base = await serve({ ...tls(), httpsExtraHeaders: { 'Strict-Transport-Security': 'max-age=1' } });
    const reply = await call(`${base}/primary`, 'GET', undefined, as(null));
    expect(reply).toMatchObject({ status: 200, headers: { 'strict-transport-security': 'max-age=1' } });
    expect((await reload(base, as(null))).status).toBe(202);
  });

  test('optional: reading without a certificate, changing only with one of ours', async () => {
    const base = await serve({ ...tls(), verifyClient: 'optional' });
    expect((await call(`${base}/primary`, 'GET', undefined, as(null))).status).toBe(200);
    expect(await reload(base, as(null))).toMatchObject({ status: 403, body: 'client certificate required' });
    expect((await reload(base, as(client))).status).toBe(202);
    expect((await reload(base, as(stranger.issue('client')))).status).toBe(403);
  });

  test('required: nothing without a certificate', async () => {
    const base = await serve({ ...tls(), verifyClient: 'required' });
    await expect(call(`${base}/primary`, 'GET', undefined, as(null))).rejects.toThrow();
    expect((await call(`${base}/primary`, 'GET', undefined, as(client))).status).toBe(200);
    expect((await reload(base, as(client))).status).toBe(202);
  });

  test('a renewed certificate is served after a reload, a broken one is not', async () => {
    const cert = join(workshop.dir, 'current.crt');
    const key = join(workshop.dir, 'current.key');
    copyFileSync(node.cert, cert);
    copyFileSync(node.key, key);
    const settings = { certfile: cert, keyfile: key };
    const base = await serve(settings);
    const { port } = server!;
    const first = await serialNumber(port);
    const renewed = workshop.issue('renewed', 'IP:127.0.0.1');
    copyFileSync(renewed.cert, cert);
    copyFileSync(renewed.key, key);
    await server!.renewCertificates();
    expect(server!.port).toBe(port);
    const second = await serialNumber(port);
    expect(second).not.toBe(first);
    writeFileSync(cert, 'not a certificate');
    await server!.reconfigure(restSettings({ ...settings, serverTokens: 'productonly', allowlist: ['10.0.0.1'] }));
    expect(log.lines.join('\n')).toContain('the certificate of the REST API cannot be used');
    expect(await serialNumber(port)).toBe(second);
    expect(await reload(base, as(null))).toMatchObject({ status: 202, headers: { server: expect.stringContaining('/') as string } });
  });

  test('a reload takes over an encrypted key with its password, the ciphers, and whether clients need a certificate', async () => {
    const locked = join(workshop.dir, 'locked.key');
    execFileSync('openssl', ['ec', '-in', node.key, '-aes256', '-passout', 'pass:open sesame', '-out', locked], { stdio: 'ignore' });
    const base = await serve(tls());
    const old = { maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' } as const;
    expect((await shown(server!.port, old)).cipher).not.toBe('ECDHE-ECDSA-AES128-SHA256');
    const wanted = { ...tls(), keyfile: locked, keyfilePassword: 'open sesame', ciphers: 'ECDHE-ECDSA-AES128-SHA256' };
    await server!.reconfigure(restSettings({ ...wanted, listenPort: server!.port }));
    expect(await shown(server!.port, old)).toEqual({ cipher: 'ECDHE-ECDSA-AES128-SHA256', serial: await serialNumber(server!.port) });
    await server!.reconfigure(restSettings({ ...wanted, keyfilePassword: 'wrong', listenPort: server!.port }));
    expect(log.lines.join('\n')).toContain('REST API keeps its old settings: the certificate of the REST API cannot be used (');
    expect((await call(`${base}/primary`, 'GET', undefined, as(null))).status).toBe(200);
    await server!.reconfigure(restSettings({ ...wanted, verifyClient: 'required', listenPort: server!.port }));
    await expect(call(`${base}/primary`, 'GET', undefined, as(null))).rejects.toThrow();
    expect((await call(`${base}/primary`, 'GET', undefined, as(client))).status).toBe(200);
  });

  test('a reload turns TLS on', async () => {
    const base = await serve({});
    await server!.reconfigure(restSettings({ ...tls(), listenPort: server!.port }));
    expect((await call(`${base.replace('http:', 'https:')}/primary`, 'GET', undefined, as(null))).status).toBe(200);
  });

  test('files that are missing or do not fit are named before anything listens', async () => {
    await expect(serve({ ...tls(), keyfile: join(workshop.dir, 'absent.key') })).rejects.toMatchObject({ code: 'REST_TLS' });
    await expect(serve({ ...tls(), keyfile: client.key })).rejects.toMatchObject({ code: 'REST_TLS' });
  });

  const serialNumber = async (port: number) => (await shown(port)).serial;

  function shown(port: number, options: ConnectionOptions = {}): Promise<{ readonly cipher: string; readonly serial: string }> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...options, port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve({ cipher: socket.getCipher().name, serial: socket.getPeerCertificate().serialNumber });
        socket.destroy();
      });
      socket.on('error', reject);
    });
  }
});
