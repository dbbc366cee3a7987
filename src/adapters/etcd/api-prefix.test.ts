/** An etcd that is older than the gateway this client begins with, or is upgraded meanwhile. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createEtcdDcs } from './store.ts';
import { type FakeMember, fakeMember, headerOf, realClock, recordingLog, type Script, settingsOf } from './testing.ts';

const closing: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close();
});

const CALL = { timeoutMs: 1000 };
/** What follows `/v3` in the addresses of that version, and how it calls a revocation. */
const PLACES: Readonly<Record<string, string>> = { '3.1': 'alpha', '3.2': 'alpha', '3.3': 'beta', '3.5': '' };

/** Answers as that version does: `404 page not found` where it has no gateway. */
const etcd =
  (version: string): Script =>
  (path, _body, response) => {
    const place = PLACES[version];
    const revoke = place === '' ? '/lease/revoke' : '/kv/lease/revoke';
    const known = ['/kv/range', '/kv/txn', '/lease/grant', '/lease/keepalive', '/watch', revoke];
    if (path === '/version') response.end(JSON.stringify({ etcdserver: `${version}.27`, etcdcluster: `${version}.0` }));
    else if (place !== undefined && known.some((one) => path === place + one)) {
      const header = headerOf(2, 9);
      if (path.endsWith('/watch')) response.write(`${JSON.stringify({ result: { header, created: true } })}\n`);
      else response.end(JSON.stringify({ header, succeeded: true, ID: '7', TTL: '30', result: { header, ID: '7', TTL: '30' } }));
    } else {
      response.statusCode = 404;
      response.end('404 page not found\n');
    }
  };

async function client(version: string) {
  const member: FakeMember = await fakeMember(etcd(version));
  const log = recordingLog();
  const dcs = createEtcdDcs({ settings: settingsOf([member.endpoint]), scope: 'demo', namespace: 'service', log, clock: realClock() });
  closing.push(member, dcs);
  return { dcs, log, member, paths: () => member.seen.map(({ path }) => path) };
}

describe('etcd', () => {
  it('3.5 is asked nothing more', async () => {
    const { dcs, paths } = await client('3.5');
    await dcs.read(CALL);
    await dcs.revokeLease('7', CALL);
    expect(paths()).toEqual(['/kv/range', '/lease/revoke']);
  });

  it.each(['3.2', '3.3'])('%s is asked at its own place, which is looked for once, watches and leases included', async (version) => {
    const { dcs, log, paths } = await client(version);
    const place = PLACES[version];
    await dcs.read(CALL);
    expect(paths()).toEqual(['/kv/range', '/version', `${place}/kv/range`]);
    expect(await dcs.grantLease(30, CALL)).toBe('7');
    expect(await dcs.keepAlive('7', CALL)).toBe(30);
    await dcs.revokeLease('7', CALL);
    const keys: unknown[] = [];
    dcs.watch(({ key }) => keys.push(key));
    await vi.waitFor(() => expect(keys).toEqual([null]));
    expect(paths().slice(3, 6)).toEqual([`${place}/lease/grant`, `${place}/lease/keepalive`, `${place}/kv/lease/revoke`]);
    expect(paths()).toContain(`${place}/watch`);
    expect(paths().filter((path) => path === '/version')).toHaveLength(1);
    expect(log.lines.filter((line) => line.includes('does not have')).length).toBe(version === '3.2' ? 1 : 0);
  });

  it('is found again when it is upgraded while the client runs', async () => {
    const { dcs, member, paths } = await client('3.3');
    await dcs.read(CALL);
    member.script = etcd('3.5');
    await dcs.read(CALL);
    await dcs.read(CALL);
    expect(paths().slice(3)).toEqual(['beta/kv/range', '/version', '/kv/range', '/kv/range']);
  });

  it('before 3.0.4 is refused by its version, until it is upgraded', async () => {
    const { dcs, member } = await client('2.3');
    await expect(dcs.read(CALL)).rejects.toMatchObject({
      code: 'DCS_REFUSED',
      message: 'etcd refused: unsupported version of etcd: 2.3.27',
      mend: expect.stringContaining('Upgrade etcd'),
    });
    member.script = etcd('3.5');
    expect((await dcs.read(CALL)).revision).toBe('9');
  });

  it('without a gateway is named as such', async () => {
    const { dcs, member } = await client('3.5');
    member.script = (path, body, response, request) => {
      if (path === '/version') return etcd('3.5')(path, body, response, request);
      response.statusCode = 404;
      response.end('404 page not found\n');
    };
    await expect(dcs.read(CALL)).rejects.toMatchObject({
      code: 'DCS_UNREACHABLE',
      message: expect.stringContaining('--enable-grpc-gateway'),
    });
  });
});
