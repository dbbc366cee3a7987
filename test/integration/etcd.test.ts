/** The etcd adapter against real etcd: leases, compares, watches, and members that die, freeze and come back. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/system.ts';
import { createEtcdDcs, listScopes } from '../../src/adapters/etcd/store.ts';
import type { EtcdSettings } from '../../src/core/settings.ts';
import type { Dcs } from '../../src/ports/dcs.ts';
import type { Log } from '../../src/ports/log.ts';
import { type EtcdCluster, type EtcdMember, startEtcd } from './support/etcd.ts';
import { startRelay } from './support/relay.ts';

const clock = createSystemClock();
const CALL = { timeoutMs: 3000 };
/** For what waits on an election of etcd or a detection. */
const WAIT = { timeout: 20_000, interval: 20 };

const written: string[] = [];
const note = (message: string, fields?: unknown) => {
  written.push(`${message} ${JSON.stringify(fields ?? {})}`);
};
const log: Log = { debug: note, info: note, warning: note, error: note, critical: note };

let opened: Array<{ close(): void }> = [];
let scopes = 0;

function settingsFor(endpoints: readonly string[], more: Partial<EtcdSettings> = {}): EtcdSettings {
  const none = { username: null, password: null, cacert: null, cert: null, key: null, srv: null, srvSuffix: null };
  return { ...none, endpoints, discover: false, ...more };
}

function open(endpoints: readonly string[], more: Partial<EtcdSettings> = {}, scope = `demo-${++scopes}`): Dcs & { scope: string } {
  const dcs = createEtcdDcs({ settings: settingsFor(endpoints, more), scope, namespace: 'service', log, clock });
  opened.push(dcs);
  return Object.assign(dcs, { scope });
}

function follow(dcs: Dcs): Array<string | null> {
  const keys: Array<string | null> = [];
  dcs.watch((event) => keys.push(event.deleted ? `-${event.key}` : event.key));
  return keys;
}

function etcdctl(cluster: EtcdCluster, ...argv: string[]): string {
  return execFileSync('etcdctl', ['--endpoints', cluster.endpoints.join(','), ...argv], {
    encoding: 'utf8',
    env: { ...process.env, ETCDCTL_API: '3' },
    timeout: 10_000,
  });
}

/** Endpoints with that of `member` first, so that calls and watches begin there. */
function first(cluster: EtcdCluster, member: EtcdMember): string[] {
  return [member.endpoint, ...cluster.endpoints.filter((endpoint) => endpoint !== member.endpoint)];
}

afterEach(() => {
  for (const dcs of opened) dcs.close();
  opened = [];
});

describe('etcd', () => {
  let etcd: EtcdCluster;
  beforeAll(async () => {
    etcd = await startEtcd({ members: 3 });
  });
  afterAll(async () => {
    await etcd.close();
  });

  /** A member that does not lead, and the one that does. */
  async function roles(): Promise<{ leader: EtcdMember; follower: EtcdMember }> {
    const at = await etcd.leader();
    return { leader: etcd.members[at]!, follower: etcd.members[(at + 1) % 3]! };
  }

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
    expect(await dcs.attachLeader('pg-b', leaseB, CALL), 'creates an absent key').toBe(true);
  });

  it('drops the keys of a lease that is not kept, and says when it is gone', async () => {
    const dcs = open(etcd.endpoints);
    const lease = await dcs.grantLease(2, CALL);
    expect(await dcs.keepAlive(lease, CALL)).toBe(2);
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
    expect(await dcs.writeInitialize('7301234567890123456', false, CALL)).toBe(true);
    await dcs.revokeLease(leaseA, CALL);
    expect((await dcs.read(CALL)).initialize, 'outlives the lease').toBe('7301234567890123456');
    await dcs.clearInitialize(CALL);
    expect((await dcs.read(CALL)).initialize).toBeNull();
    expect(await dcs.writeInitialize('7301234567890123456', true, CALL)).toBe(true);
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

  it('answers within the time of one call while a member is frozen, and finds the healthy ones at once afterwards', async () => {
    const { follower } = await roles();
    const dcs = open(first(etcd, follower));
    const lease = await dcs.grantLease(10, CALL);
    await follower.freeze();
    try {
      const timed = async (run: () => Promise<unknown>) => {
        const start = performance.now();
        await run();
        return performance.now() - start;
      };
      expect(await timed(() => dcs.putMember('pg-a', { state: 'running' }, lease, { timeoutMs: 1000 }))).toBeLessThan(800);
      expect(await timed(() => dcs.keepAlive(lease, { timeoutMs: 1000 }))).toBeLessThan(300);
      expect(await timed(() => dcs.read({ timeoutMs: 1000 }))).toBeLessThan(300);
    } finally {
      await follower.thaw();
    }
    expect((await dcs.read(CALL)).members[0]!.state).toBe('running');
  });

  it('knows its own write again when the reply to it was lost', async () => {
    const relay = await startRelay(Number(new URL(etcd.endpoints[0]!).port));
    const scope = `demo-${++scopes}`;
    const witness = open(etcd.endpoints, {}, scope);
    /** Its first attempt takes effect unseen, the second goes to another member. */
    const unlucky = async <T>(run: (dcs: Dcs) => Promise<T>, newcomer = false): Promise<T> => {
      const dcs = open([`http://127.0.0.1:${relay.port}`, etcd.endpoints[1]!], {}, scope);
      if (!newcomer) await dcs.read(CALL);
      relay.loseReplies(true);
      const before = relay.repliesLost();
      const result = await run(dcs).finally(() => relay.loseReplies(false));
      expect(relay.repliesLost()).toBeGreaterThan(before);
      return result;
    };
    try {
      const lease = await witness.grantLease(30, CALL);
      expect(await unlucky((dcs) => dcs.acquireLeader('pg-a', lease, CALL))).toBe(true);
      expect(await unlucky((dcs) => dcs.attachLeader('pg-a', lease, CALL))).toBe(true);
      expect(await unlucky((dcs) => dcs.acquireLeader('pg-b', lease, CALL)), 'held by another').toBe(false);
      expect(await unlucky((dcs) => dcs.releaseLeader('pg-b', CALL)), 'held by another').toBe(false);
      expect(await unlucky((dcs) => dcs.releaseLeader('pg-b', CALL), true), 'held by another, first call of a client').toBe(false);
      expect(await unlucky((dcs) => dcs.releaseLeader('pg-a', CALL))).toBe(true);
      expect((await witness.read(CALL)).leader).toBeNull();
      expect(await unlucky((dcs) => dcs.raceInitialize(lease, CALL))).toBe(true);
      await witness.clearInitialize(CALL);
      expect(await unlucky((dcs) => dcs.writeInitialize('7301234567890123456', true, CALL))).toBe(true);

      await unlucky((dcs) => dcs.putMember('pg-a', { state: 'running' }, lease, CALL));
      const revision = await unlucky((dcs) => dcs.writeConfig({ ttl: 30 }, null, CALL));
      const { config, members } = await witness.read(CALL);
      expect(config!.modRevision).toBe(revision);
      expect(members).toHaveLength(1);
      const next = await unlucky((dcs) => dcs.writeConfig({ ttl: 20 }, config, CALL));
      expect((await witness.read(CALL)).config).toEqual({ data: { ttl: 20 }, modRevision: next });
      expect(await unlucky((dcs) => dcs.writeConfig({ ttl: 10 }, config, CALL)), 'an old revision').toBeNull();

      expect(await unlucky((dcs) => dcs.writeSync({ leader: 'pg-a', quorum: 0, standbys: ['pg-b'] }, null, CALL))).toBe(true);
      expect(await unlucky((dcs) => dcs.writeSync({ leader: 'pg-b', quorum: 0, standbys: [] }, null, CALL)), 'exists').toBe(false);
      const { sync } = await witness.read(CALL);
      expect(await unlucky((dcs) => dcs.deleteSync(sync!, CALL))).toBe(true);
      await unlucky((dcs) => dcs.deleteMember('pg-a', CALL));
      await unlucky((dcs) => dcs.removeCluster(CALL));
      expect(await witness.read(CALL)).toMatchObject({ members: [], config: null, initialize: null, leader: null });
    } finally {
      await relay.close();
    }
  });

  it('does not let a write that arrives late undo a newer one', async () => {
    const { follower } = await roles();
    const relay = await startRelay(Number(new URL(follower.endpoint).port));
    const scope = `demo-${++scopes}`;
    const direct = open(etcd.endpoints, {}, scope);
    const alone = open([`http://127.0.0.1:${relay.port}`], {}, scope);
    const keys = follow(direct);
    try {
      await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
      const lease = await alone.grantLease(30, CALL);
      await alone.putMember('pg-a', { state: 'starting' }, null, CALL);
      relay.stall();
      const given = { timeoutMs: 100 };
      const late = [alone.putMember('pg-a', { state: 'stopped' }, null, given), alone.acquireLeader('pg-a', lease, given)];
      for (const write of late) await expect(write).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
      await direct.putMember('pg-a', { state: 'running' }, null, CALL);
      await relay.mend();
      // Through the same member and after the late ones, which hold their connections until they are answered.
      await vi.waitFor(() => expect(relay.answeredLate()).toBeGreaterThanOrEqual(2), WAIT);
      const view = await direct.read(CALL);
      expect(view.members[0]!.state).toBe('running');
      expect(view.leader).toBeNull();
      await direct.writeStatus({ optime: 1 }, CALL);
      await vi.waitFor(() => expect(keys).toEqual([null, 'members/pg-a', 'members/pg-a', 'status']), WAIT);
    } finally {
      await relay.close();
    }
  });

  it('says at once that a member alone is no cluster, and recovers', async () => {
    const { leader, follower } = await roles();
    const other = etcd.members.find((member) => member !== leader && member !== follower)!;
    const dcs = open(first(etcd, follower));
    await dcs.writeStatus({ optime: 1 }, CALL);
    await Promise.all([leader.kill(), other.kill()]);
    await expect(dcs.read({ timeoutMs: 1000 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    await expect(dcs.writeStatus({ optime: 2 }, { timeoutMs: 500 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    const health = await dcs.health({ timeoutMs: 1000 });
    expect(health.map((member) => member.healthy)).toEqual([false, false, false]);
    await Promise.all([leader.restart(), other.restart()]);
    await vi.waitFor(() => dcs.read(CALL), WAIT);
  });

  it('tells each change once, across members that die', async () => {
    const { leader } = await roles();
    const scope = `demo-${++scopes}`;
    const writer = open(etcd.endpoints, {}, scope);
    const keys = follow(open(first(etcd, leader), {}, scope));
    await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
    await writer.putMember('a', {}, null, CALL);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a']), WAIT);
    await leader.kill();
    await vi.waitFor(() => writer.putMember('b', {}, null, CALL), WAIT);
    await writer.deleteMember('a', CALL);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a', 'members/b', '-members/a']), WAIT);
    await leader.restart();
    await writer.writeStatus({ optime: 1 }, CALL);
    await vi.waitFor(() => expect(keys.at(-1)).toBe('status'), WAIT);
    expect(keys).toHaveLength(5);
  });

  it('leaves a frozen member for another and misses nothing', async () => {
    const { follower } = await roles();
    const scope = `demo-${++scopes}`;
    const healthy = etcd.endpoints.filter((endpoint) => endpoint !== follower.endpoint);
    const writer = open(healthy, {}, scope);
    const keys = follow(open(first(etcd, follower), {}, scope));
    await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
    await follower.freeze();
    try {
      const start = performance.now();
      await writer.putMember('a', {}, null, CALL);
      await vi.waitFor(() => expect(keys).toEqual([null, 'members/a']), WAIT);
      expect(performance.now() - start, 'nothing but the watch itself could notice').toBeLessThan(6000);
    } finally {
      await follower.thaw();
    }
    await writer.putMember('b', {}, null, CALL);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a', 'members/b']), WAIT);
  });

  it('leaves a member that lost the others', async () => {
    const { leader, follower } = await roles();
    const scope = `demo-${++scopes}`;
    const keys = follow(open(first(etcd, follower), {}, scope));
    await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
    const others = etcd.members.filter((member) => member !== follower);
    await Promise.all(others.map((member) => member.kill()));
    await vi.waitFor(() => expect(written.some((line) => line.includes('no endpoint of etcd serves the watch'))).toBe(true), WAIT);
    await follower.kill();
    await Promise.all(others.map((member) => member.restart()));
    const writer = open(
      others.map((member) => member.endpoint),
      {},
      scope,
    );
    await vi.waitFor(() => writer.putMember('a', {}, null, CALL), WAIT);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a']), WAIT);
    await follower.restart();
    expect(leader.pid()).not.toBeNull();
  });

  it('goes on after all members were restarted', async () => {
    const dcs = open(etcd.endpoints);
    const keys = follow(dcs);
    await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
    await Promise.all(etcd.members.map((member) => member.stop()));
    await expect(dcs.read({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    await Promise.all(etcd.members.map((member) => member.restart()));
    await vi.waitFor(() => dcs.putMember('a', {}, null, CALL), WAIT);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a']), WAIT);
  });

  it('says that something may be missing when the revisions it needs were compacted away', async () => {
    const { follower } = await roles();
    const relay = await startRelay(Number(new URL(follower.endpoint).port));
    const scope = `demo-${++scopes}`;
    const writer = open(etcd.endpoints, {}, scope);
    const keys = follow(open([`http://127.0.0.1:${relay.port}`], {}, scope));
    try {
      await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
      await relay.cut();
      for (const name of ['a', 'b', 'c']) await writer.putMember(name, {}, null, CALL);
      etcdctl(etcd, 'compact', (await writer.read(CALL)).revision);
      await relay.mend();
      await vi.waitFor(() => expect(keys).toEqual([null, null]), WAIT);
      await writer.putMember('d', {}, null, CALL);
      await vi.waitFor(() => expect(keys).toEqual([null, null, 'members/d']), WAIT);
    } finally {
      await relay.close();
    }
  });

  it('leaves a connection that has gone dead without a word', async () => {
    const { follower } = await roles();
    const relay = await startRelay(Number(new URL(follower.endpoint).port));
    const scope = `demo-${++scopes}`;
    const writer = open(etcd.endpoints, {}, scope);
    const keys = follow(open([`http://127.0.0.1:${relay.port}`, ...etcd.endpoints], {}, scope));
    try {
      await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
      relay.stall();
      await writer.putMember('a', {}, null, CALL);
      await vi.waitFor(() => expect(keys).toEqual([null, 'members/a']), WAIT);
    } finally {
      await relay.close();
    }
  });

  it('finds the other members by itself', async () => {
    const { follower } = await roles();
    const dcs = open([follower.endpoint], { discover: true });
    // The list is fetched behind the calls, a second after the start.
    await vi.waitFor(async () => {
      await dcs.read(CALL);
      expect((await dcs.health(CALL)).map((member) => member.endpoint)).toEqual([...etcd.endpoints].sort());
    }, WAIT);
    await follower.kill();
    await vi.waitFor(() => dcs.read(CALL), WAIT);
    await follower.restart();
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

  it('talks to nobody else', async () => {
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
