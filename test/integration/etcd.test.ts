/** The etcd adapter against real etcd: keys, leases, compares. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createEtcdDcs, listScopes } from '../../src/adapters/etcd/store.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { CALL, clock, closeOpened, etcdctl, follow, log, open, settingsFor, WAIT } from './support/etcd-client.ts';

afterEach(closeOpened);

describe('etcd', () => {
  let etcd: EtcdCluster;
  beforeAll(async () => {
    etcd = await startEtcd({ members: 3 });
  });
  afterAll(async () => {
    await etcd.close();
  });

  it('reads an empty cluster and then everything that was written to it', async () => {
    const dcs = open(etcd.endpoints);
    expect(await dcs.read(CALL)).toMatchObject({
      initialize: null,
      config: null,
      leader: null,
      members: [],
      failover: null,
      sync: null,
      status: null,
    });
    const lease = await dcs.grantLease(30, CALL);
    await dcs.putMember(
      'pg-b',
      { conn_url: 'postgres://10.0.0.2:5432/postgres', state: 'running', role: 'replica', xlog_location: 2n ** 63n + 1n },
      lease,
      CALL,
    );
    await dcs.putMember('pg-a', { state: 'running', role: 'primary' }, null, CALL);
    await dcs.writeStatus({ optime: 18446744073709551615n, slots: { pg_b: 5 } }, CALL);
    await dcs.writeHistory([[1, 50331808, 'no recovery target specified']], CALL);
    expect(await dcs.acquireLeader('pg-a', lease, CALL)).toBe(true);
    const view = await dcs.read(CALL);
    expect(view.members.map((member) => [member.name, member.leaseId])).toEqual([
      ['pg-a', null],
      ['pg-b', lease],
    ]);
    expect(view.members[1]!.lsn).toBe(9223372036854775809n);
    expect(view.leader).toMatchObject({ name: 'pg-a', leaseId: lease });
    expect(view.status).toEqual({ optime: 18446744073709551615n, slots: { pg_b: 5n }, retainSlots: [] });
    expect(view.history).toEqual([{ timeline: 1, switchLsn: 50331808n, reason: 'no recovery target specified' }]);
    expect(etcdctl(etcd, 'get', '--print-value-only', `/service/${dcs.scope}/members/pg-b`)).toBe(
      '{"conn_url":"postgres://10.0.0.2:5432/postgres","state":"running","role":"replica","xlog_location":9223372036854775809}\n',
    );
    await dcs.deleteMember('pg-a', CALL);
    expect((await dcs.read(CALL)).members.map((member) => member.name)).toEqual(['pg-b']);
    await dcs.removeCluster(CALL);
    expect(await dcs.read(CALL)).toMatchObject({ leader: null, members: [], status: null, history: [] });
  });

  it('is understood where its gateway is that of 3.3, revocation and watch included', async () => {
    const endpoint = etcd.endpoints[0] ?? '';
    const paths: string[] = [];
    const old = createServer((incoming, response) => {
      const path = incoming.url ?? '';
      paths.push(path);
      if (path === '/version') return void response.end('{"etcdserver":"3.3.27","etcdcluster":"3.3.0"}');
      if (!path.startsWith('/v3beta/')) return void response.writeHead(404).end('404 page not found\n');
      const { method, headers } = incoming;
      const passed = request(endpoint + path.replace('/v3beta/', '/v3/'), { method: method ?? 'POST', headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(response);
      });
      passed.on('error', () => response.destroy());
      response.on('close', () => passed.destroy());
      incoming.pipe(passed);
    });
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
    try {
      const dcs = open([`http://127.0.0.1:${(old.address() as AddressInfo).port}`]);
      await dcs.read(CALL);
      const keys = follow(dcs);
      await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
      const lease = await dcs.grantLease(30, CALL);
      expect(await dcs.acquireLeader('pg-a', lease, CALL)).toBe(true);
      expect(await dcs.keepAlive(lease, CALL)).toBe(30);
      await vi.waitFor(() => expect(keys).toEqual([null, 'leader']), WAIT);
      await dcs.revokeLease(lease, CALL);
      await vi.waitFor(() => expect(keys).toEqual([null, 'leader', '-leader']), WAIT);
      expect(await dcs.keepAlive(lease, CALL)).toBe(0);
      expect(paths.slice(0, 3)).toEqual(['/v3/kv/range', '/version', '/v3beta/kv/range']);
    } finally {
      old.closeAllConnections();
      old.close();
    }
  });

  it('lets one of many take the leader key, and only the holder change it', async () => {
    const dcs = open(etcd.endpoints);
    const [leaseA, leaseB] = [await dcs.grantLease(30, CALL), await dcs.grantLease(30, CALL)];
    const won = await Promise.all([dcs.acquireLeader('pg-a', leaseA, CALL), dcs.acquireLeader('pg-b', leaseB, CALL)]);
    expect(won.filter(Boolean)).toHaveLength(1);
    const [winner, loser] = won[0]
      ? [
          { name: 'pg-a', lease: leaseA },
          { name: 'pg-b', lease: leaseB },
        ]
      : [
          { name: 'pg-b', lease: leaseB },
          { name: 'pg-a', lease: leaseA },
        ];
    expect(await dcs.acquireLeader(winner.name, winner.lease, CALL), 'again, as after a lost reply').toBe(true);
    expect(await dcs.acquireLeader(winner.name, loser.lease, CALL), 'our name, but another lease').toBe(false);
    expect(await dcs.attachLeader(loser.name, loser.lease, CALL)).toBe(false);
    expect(await dcs.releaseLeader(loser.name, CALL)).toBe(false);
    const fresh = await dcs.grantLease(30, CALL);
    expect(await dcs.attachLeader(winner.name, fresh, CALL)).toBe(true);
    expect((await dcs.read(CALL)).leader).toMatchObject({ name: winner.name, leaseId: fresh });
    await dcs.revokeLease(winner.lease, CALL);
    expect((await dcs.read(CALL)).leader, 'no longer on the old lease').not.toBeNull();
    expect(await dcs.releaseLeader(winner.name, CALL)).toBe(true);
    expect(await dcs.releaseLeader(winner.name, CALL)).toBe(false);
    expect(await dcs.attachLeader(loser.name, loser.lease, CALL), 'creates an absent key').toBe(true);
  });

  it('drops the keys of a lease that is not kept, and says when it is gone', async () => {
    const dcs = open(etcd.endpoints);
    const lease = await dcs.grantLease(4, CALL);
    expect(await dcs.keepAlive(lease, CALL)).toBe(4);
    expect(await dcs.raceInitialize(lease, CALL)).toBe(true);
    expect(await dcs.acquireLeader('pg-a', lease, CALL)).toBe(true);
    await vi.waitFor(async () => expect((await dcs.read(CALL)).leader).toBeNull(), WAIT);
    expect((await dcs.read(CALL)).initialize).toBeNull();
    expect(await dcs.keepAlive(lease, CALL)).toBe(0);
    await expect(dcs.acquireLeader('pg-a', lease, CALL)).rejects.toMatchObject({ code: 'DCS_LEASE_GONE' });
    await expect(dcs.putMember('pg-a', {}, lease, CALL)).rejects.toMatchObject({ code: 'DCS_LEASE_GONE' });
    await expect(dcs.attachLeader('pg-a', lease, CALL)).rejects.toMatchObject({ code: 'DCS_LEASE_GONE' });
    await dcs.revokeLease(lease, CALL);
  });

  it('elects one bootstrapper and lets it name the system', async () => {
    const dcs = open(etcd.endpoints);
    const [leaseA, leaseB] = [await dcs.grantLease(30, CALL), await dcs.grantLease(30, CALL)];
    expect(await dcs.raceInitialize(leaseA, CALL)).toBe(true);
    expect(await dcs.raceInitialize(leaseB, CALL)).toBe(false);
    expect((await dcs.read(CALL)).initialize).toBe('');
    expect(await dcs.writeInitialize('7301234567890123456', true, CALL)).toBe(false);
    const published = await dcs.publishInitialize('7301234567890123456', leaseA, CALL);
    expect(published).not.toBeNull();
    await dcs.revokeLease(leaseA, CALL);
    expect((await dcs.read(CALL)).initialize, 'outlives the lease').toBe('7301234567890123456');
    expect(await dcs.clearInitialize({ modRevision: published! }, CALL)).toBe(true);
    expect((await dcs.read(CALL)).initialize).toBeNull();
    expect(await dcs.writeInitialize('7301234567890123456', true, CALL)).toBe(true);
  });

  it('does not touch initialize after its right to it is lost', async () => {
    const dcs = open(etcd.endpoints);
    const [leaseA, leaseB] = [await dcs.grantLease(30, CALL), await dcs.grantLease(30, CALL)];
    const initialize = async () => (await dcs.read(CALL)).initialize;
    const gives = async (id: string, lease: string) => [await dcs.publishInitialize(id, lease, CALL), await initialize()];
    expect(await gives('1111111111111111111', leaseA), 'nobody has a mark').toEqual([null, null]);
    expect(await dcs.raceInitialize(leaseA, CALL)).toBe(true);
    await dcs.revokeLease(leaseA, CALL);
    expect(await dcs.raceInitialize(leaseB, CALL)).toBe(true);
    expect(await gives('1111111111111111111', leaseA), 'the mark is another’s').toEqual([null, '']);
    expect(await dcs.clearInitialize({ leaseId: leaseA }, CALL)).toBe(false);
    expect(await initialize(), 'and stays').toBe('');
    const published = await dcs.publishInitialize('7301234567890123456', leaseB, CALL);
    expect(await gives('1111111111111111111', leaseA), 'the cluster is another’s').toEqual([null, '7301234567890123456']);
    expect(await gives('7301234567890123456', leaseB), 'not twice').toEqual([null, '7301234567890123456']);
    for (const own of [{ leaseId: leaseA }, { leaseId: leaseB }, { modRevision: String(BigInt(published!) - 1n) }])
      expect(await dcs.clearInitialize(own, CALL)).toBe(false);
    expect(await initialize()).toBe('7301234567890123456');
    expect(await dcs.clearInitialize({ modRevision: published! }, CALL)).toBe(true);
    expect(await dcs.clearInitialize({ modRevision: published! }, CALL), 'absent').toBe(false);
    expect(await dcs.raceInitialize(leaseB, CALL)).toBe(true);
    expect(await dcs.clearInitialize({ leaseId: leaseB }, CALL)).toBe(true);
    expect(await initialize()).toBeNull();
  });

  it('leaves a mark without a lease to the Patroni that made it', async () => {
    const dcs = open(etcd.endpoints);
    const lease = await dcs.grantLease(30, CALL);
    expect(await dcs.writeInitialize('', true, CALL)).toBe(true);
    expect(await dcs.raceInitialize(lease, CALL)).toBe(false);
    expect(await dcs.publishInitialize('7301234567890123456', lease, CALL)).toBeNull();
    expect(await dcs.clearInitialize({ leaseId: lease }, CALL)).toBe(false);
    expect((await dcs.read(CALL)).initialize).toBe('');
  });

  it('compares before it writes config, failover and sync', async () => {
    const dcs = open(etcd.endpoints);
    const revision = await dcs.writeConfig({ ttl: 30 }, null, CALL);
    const { config } = await dcs.read(CALL);
    expect(config).toEqual({ data: { ttl: 30 }, modRevision: revision });
    expect(await dcs.writeConfig({ ttl: 20 }, config, CALL)).not.toBeNull();
    expect(await dcs.writeConfig({ ttl: 10 }, config, CALL)).toBeNull();
    expect(await dcs.writeConfig({ ttl: 5 }, null, CALL)).not.toBeNull();

    expect(await dcs.writeFailover({ leader: 'pg-a', member: 'pg-b', scheduled_at: '2030-01-02T04:00:00+00:00' }, null, CALL)).toBe(true);
    const { failover } = await dcs.read(CALL);
    expect(failover).toMatchObject({ leader: 'pg-a', candidate: 'pg-b', scheduledAtMs: Date.UTC(2030, 0, 2, 4) });
    expect(await dcs.writeFailover(null, failover, CALL)).toBe(true);
    expect(await dcs.writeFailover({ member: 'pg-c' }, failover, CALL)).toBe(false);
    expect((await dcs.read(CALL)).failover).toBeNull();

    expect(await dcs.writeSync({ leader: 'pg-a', quorum: 1, standbys: ['pg-c', 'pg-b'] }, null, CALL)).toBe(true);
    expect(await dcs.writeSync({ leader: 'pg-b', quorum: 1, standbys: [] }, null, CALL), 'only if absent').toBe(false);
    const { sync } = await dcs.read(CALL);
    expect(sync).toMatchObject({ leader: 'pg-a', quorum: 1, standbys: ['pg-b', 'pg-c'] });
    expect(await dcs.writeSync({ leader: 'pg-a', quorum: 0, standbys: [] }, sync, CALL)).toBe(true);
    expect(await dcs.deleteSync(sync!, CALL)).toBe(false);
    expect(await dcs.deleteSync((await dcs.read(CALL)).sync!, CALL)).toBe(true);
    expect((await dcs.read(CALL)).sync).toBeNull();
  });

  it('reports the health of each member', async () => {
    const dcs = open(etcd.endpoints);
    const health = await dcs.health(CALL);
    expect(health.map((member) => [member.healthy, member.error])).toEqual([
      [true, null],
      [true, null],
      [true, null],
    ]);
    expect(health.filter((member) => member.isLeader)).toHaveLength(1);
    expect(health[0]!.version).toMatch(/^3\./);
  });

  it('lists the clusters of a namespace', async () => {
    for (const scope of ['beta', 'alpha']) {
      const dcs = createEtcdDcs({ settings: settingsFor(etcd.endpoints), scope, namespace: 'apart', log, clock });
      await dcs.writeConfig({}, null, CALL);
      await dcs.putMember('pg-a', {}, null, CALL);
      dcs.close();
    }
    etcdctl(etcd, 'put', '/apart/stray', 'x');
    expect(await listScopes({ settings: settingsFor(etcd.endpoints), namespace: 'apart', log, clock, ...CALL })).toEqual(['alpha', 'beta']);
  });
});
