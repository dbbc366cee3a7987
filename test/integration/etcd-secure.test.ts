/** The etcd adapter with users and passwords, and over TLS. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { call } from '../fixtures/http.ts';
import { postgresOwner } from './support/bare-postgres.ts';
import { startCluster } from './support/cluster.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { CALL, closeOpened, etcdctl, follow, open, WAIT, written } from './support/etcd-client.ts';
import { reload } from './support/local-config.ts';

afterEach(closeOpened);

describe('etcd with users', () => {
  const password = 'correct horse battery staple';
  let etcd: EtcdCluster;
  const root = () => ['--user', `root:${password}`];
  beforeAll(async () => {
    etcd = await startEtcd({ members: 1 });
    etcdctl(etcd, 'user', 'add', `root:${password}`);
    etcdctl(etcd, 'user', 'grant-role', 'root', 'root');
    etcdctl(etcd, 'user', 'add', `regent:${password}`);
    etcdctl(etcd, 'role', 'add', 'demo');
    etcdctl(etcd, 'role', 'grant-permission', 'demo', '--prefix=true', 'readwrite', '/service/demo/');
    etcdctl(etcd, 'user', 'grant-role', 'regent', 'demo');
  });
  afterAll(async () => {
    await etcd.close();
  });

  it('logs in when asked to, again when its token is gone, and stops when users are turned off', async () => {
    const dcs = open(etcd.endpoints, { username: 'regent', password }, 'demo');
    await dcs.putMember('before', {}, null, CALL);
    const keys = follow(dcs);
    await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);

    etcdctl(etcd, 'auth', 'enable');
    await dcs.putMember('on', {}, null, CALL);
    await vi.waitFor(() => expect(keys.at(-1)).toBe('members/on'), WAIT);

    // Tokens of this kind live in the memory of the member.
    await etcd.members[0]!.kill();
    await etcd.members[0]!.restart();
    await dcs.putMember('again', {}, null, CALL);
    await vi.waitFor(() => expect(keys.at(-1)).toBe('members/again'), WAIT);

    // Changes the revision of the user list, which makes older tokens void.
    etcdctl(etcd, ...root(), 'user', 'add', 'other:x');
    await dcs.putMember('later', {}, null, CALL);
    await vi.waitFor(() => expect(keys.at(-1)).toBe('members/later'), WAIT);
    expect((await dcs.health(CALL))[0]).toMatchObject({ healthy: true });

    const elsewhere = open(etcd.endpoints, { username: 'regent', password }, 'forbidden');
    await expect(elsewhere.read(CALL)).rejects.toMatchObject({
      code: 'DCS_REFUSED',
      message: expect.stringContaining('permission denied'),
    });
    await expect(elsewhere.putMember('a', {}, null, CALL)).rejects.toMatchObject({ code: 'DCS_REFUSED' });
    const wrong = open(etcd.endpoints, { username: 'regent', password: 'wrong' }, 'demo');
    await expect(wrong.read(CALL)).rejects.toMatchObject({ code: 'DCS_REFUSED', mend: expect.stringContaining('password') });
    await expect(open(etcd.endpoints, {}, 'demo').read(CALL)).rejects.toMatchObject({ code: 'DCS_REFUSED' });

    etcdctl(etcd, ...root(), 'auth', 'disable');
    await dcs.putMember('off', {}, null, CALL);
    await vi.waitFor(() => expect(keys.at(-1)).toBe('members/off'), WAIT);
    expect(written.join('\n')).not.toContain(password);
  });
});

describe('etcd over TLS', () => {
  let folder: string;
  let etcd: EtcdCluster;
  const at = (name: string) => join(folder, name);
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'regent-tls-'));
    makeCertificates(folder);
    etcd = await startEtcd({ members: 1, tls: { cert: at('server.pem'), key: at('server.key'), ca: at('ca.pem') } });
  });
  afterAll(async () => {
    await etcd.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('shows its certificate and checks that of etcd', async () => {
    const dcs = open(etcd.endpoints, { cacert: at('ca.pem'), cert: at('client.pem'), key: at('client.key'), discover: true });
    const keys = follow(dcs);
    await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
    await dcs.putMember('a', {}, null, CALL);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a']), WAIT);
    const combined = open(etcd.endpoints, { cacert: at('ca.pem'), cert: at('both.pem') });
    await expect(combined.read(CALL)).resolves.toMatchObject({ members: [] });
  });

  it('talks to no other etcd', async () => {
    const short = { timeoutMs: 3000 };
    const stranger = open(etcd.endpoints, { cacert: at('other-ca.pem'), cert: at('client.pem'), key: at('client.key') });
    await expect(stranger.read(short)).rejects.toMatchObject({
      code: 'DCS_UNREACHABLE',
      message: expect.stringMatching(/certificate|self.signed/i),
    });
    const anonymous = open(etcd.endpoints, { cacert: at('ca.pem') });
    await expect(anonymous.read(short)).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    expect(() => open(etcd.endpoints, { cacert: at('missing.pem') })).toThrowError(expect.objectContaining({ code: 'DCS_TLS_FILE' }));
  });

  it('an agent takes over renewed certificates at SIGHUP and POST /reload, leads on, and keeps the old ones where the new are broken', async () => {
    const put = (name: string) => {
      for (const [from, to] of [
        [`${name}.pem`, 'node.pem'],
        [`${name}.key`, 'node.key'],
      ] as const) {
        copyFileSync(at(from), at(to));
        chownSync(at(to), postgresOwner().uid, postgresOwner().gid);
      }
    };
    chmodSync(folder, 0o755);
    put('client');
    const files = { cert: at('node.pem'), key: at('node.key'), cacert: at('ca.pem') };
    const cluster = await startCluster({
      ...{ etcd, nodes: 1, start: false, dynamic: { synchronous_mode: 'off' } },
      local: () => ({
        etcd3: { protocol: 'https', ...files },
        restapi: { certfile: files.cert, keyfile: files.key, cafile: files.cacert, verify_client: 'optional' },
      }),
    });
    const node = cluster.nodes[0]!;
    const client = { ca: readFileSync(at('ca.pem')), cert: readFileSync(at('client.pem')), key: readFileSync(at('client.key')) };
    const rest = (path: string, method = 'GET') =>
      call(`https://127.0.0.1:${node.place.restPort}${path}`, method, undefined, client).then(
        ({ status }) => status,
        () => null,
      );
    const dcs = open(etcd.endpoints, { cacert: at('ca.pem'), cert: at('client.pem'), key: at('client.key') }, cluster.scope);
    const lead = async () => ({
      server: node.postmasterPid,
      lease: (await dcs.read(CALL)).leader?.leaseId,
      answer: await rest('/primary'),
    });
    try {
      node.start();
      await cluster.until('it leads', 90_000, async () => (await rest('/primary')) === 200);
      const [before, serial] = [await lead(), await serialAt(node.place.restPort)];
      put('renewed');
      reload(node);
      await cluster.until('the new one is shown', 30_000, async () => (await serialAt(node.place.restPort)) !== serial);
      await cluster.until('etcd gets it too', 30_000, () => node.log().includes('new connections to etcd use the renewed certificates'));
      const renewed = await serialAt(node.place.restPort);
      writeFileSync(at('node.pem'), 'spoiled');
      expect(await rest('/reload', 'POST')).toBe(202);
      for (const line of ['REST API keeps its old settings: the certificate', 'etcd is asked with the certificates from before: '])
        await cluster.until(line, 30_000, () => node.log().includes(line));
      expect(await serialAt(node.place.restPort)).toBe(renewed);
      expect(await lead()).toEqual(before);
    } finally {
      await cluster.close();
    }
  });
});

/** Of the certificate that is shown there. */
function serialAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

function makeCertificates(folder: string): void {
  const openssl = (...argv: string[]) => execFileSync('openssl', argv, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const ca of ['ca', 'other-ca']) {
    openssl('req', '-x509', ...key, '-keyout', `${ca}.key`, '-out', `${ca}.pem`, '-subj', `/CN=${ca}`, '-days', '2');
  }
  writeFileSync(join(folder, 'extensions'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  for (const name of ['server', 'client', 'renewed']) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const issue = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'extensions'];
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...issue);
  }
  writeFileSync(
    join(folder, 'both.pem'),
    readFileSync(join(folder, 'client.pem'), 'utf8') + readFileSync(join(folder, 'client.key'), 'utf8'),
    { mode: 0o600 },
  );
}
