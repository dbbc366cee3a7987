/** The etcd adapter with users and passwords, and over TLS. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { CALL, closeOpened, etcdctl, follow, open, WAIT, written } from './support/etcd-client.ts';

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
    const short = { timeoutMs: 500 };
    const stranger = open(etcd.endpoints, { cacert: at('other-ca.pem'), cert: at('client.pem'), key: at('client.key') });
    await expect(stranger.read(short)).rejects.toMatchObject({
      code: 'DCS_UNREACHABLE',
      message: expect.stringMatching(/certificate|self.signed/i),
    });
    const anonymous = open(etcd.endpoints, { cacert: at('ca.pem') });
    await expect(anonymous.read(short)).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    expect(() => open(etcd.endpoints, { cacert: at('missing.pem') })).toThrowError(expect.objectContaining({ code: 'DCS_TLS_FILE' }));
  });
});

function makeCertificates(folder: string): void {
  const openssl = (...argv: string[]) => execFileSync('openssl', argv, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const ca of ['ca', 'other-ca']) {
    openssl('req', '-x509', ...key, '-keyout', `${ca}.key`, '-out', `${ca}.pem`, '-subj', `/CN=${ca}`, '-days', '2');
  }
  writeFileSync(join(folder, 'extensions'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  for (const name of ['server', 'client']) {
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
