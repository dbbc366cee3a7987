/**
 * The etcd adapter while members of a real etcd die, freeze, lose each other and come back, and
 * while the network loses and delays.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Dcs } from '../../src/ports/dcs.ts';
import { type EtcdCluster, startEtcd } from './support/etcd.ts';
import { CALL, closeOpened, etcdctl, first, follow, freshScope, open, rolesOf, WAIT, written } from './support/etcd-client.ts';
import { startRelay } from './support/relay.ts';

afterEach(closeOpened);

describe('etcd in trouble', () => {
  let etcd: EtcdCluster;
  beforeAll(async () => {
    etcd = await startEtcd({ members: 3 });
  });
  afterAll(async () => {
    await etcd.close();
  });

  it('answers within the time of one call while a member is frozen, and finds the healthy ones at once afterwards', async () => {
    const { follower } = await rolesOf(etcd);
    const dcs = open(first(etcd, follower));
    const lease = await dcs.grantLease(30, CALL);
    await follower.freeze();
    try {
      const given = { timeoutMs: 3000 };
      await dcs.putMember('pg-a', { state: 'running' }, lease, given);
      const tookMs: number[] = [];
      for (let i = 0; i < 9; i++) {
        const start = performance.now();
        await (i % 2 === 0 ? dcs.keepAlive(lease, given) : dcs.read(given));
        tookMs.push(performance.now() - start);
      }
      // The next member is asked 400 ms after one that does not answer. What is slow beside that is
      // the machine's.
      expect(tookMs.toSorted((a, b) => a - b)[4]).toBeLessThan(300);
    } finally {
      await follower.thaw();
    }
    expect((await dcs.read(CALL)).members[0]!.state).toBe('running');
  });

  it('recognizes its own write when the reply to it was lost', async () => {
    const relay = await startRelay(Number(new URL(etcd.endpoints[0]!).port));
    const scope = freshScope();
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
      const published = await unlucky((dcs) => dcs.publishInitialize('7301234567890123456', lease, CALL));
      expect(published).not.toBeNull();
      expect(await unlucky((dcs) => dcs.publishInitialize('7301234567890123456', lease, CALL)), 'by another call').toBeNull();
      expect(await unlucky((dcs) => dcs.clearInitialize({ leaseId: lease }, CALL)), 'not the mark any more').toBe(false);
      expect(await unlucky((dcs) => dcs.clearInitialize({ modRevision: published! }, CALL))).toBe(true);
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
    const { follower } = await rolesOf(etcd);
    const relay = await startRelay(Number(new URL(follower.endpoint).port));
    const scope = freshScope();
    const direct = open(etcd.endpoints, {}, scope);
    const alone = open([`http://127.0.0.1:${relay.port}`], {}, scope);
    const keys = follow(direct);
    try {
      await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
      const lease = await alone.grantLease(30, CALL);
      await alone.putMember('pg-a', { state: 'starting' }, null, CALL);
      relay.stall();
      const given = { timeoutMs: 1000 };
      const late = await Promise.allSettled([
        alone.putMember('pg-a', { state: 'stopped' }, null, given),
        alone.acquireLeader('pg-a', lease, given),
      ]);
      for (const write of late) expect(write).toMatchObject({ status: 'rejected', reason: { code: 'DCS_UNREACHABLE' } });
      await direct.putMember('pg-a', { state: 'running' }, null, CALL);
      await relay.mend();
      // Through the same member and after the late ones, which hold their connections until they
      // are answered.
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
    const { leader, follower } = await rolesOf(etcd);
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

  it('reports each change once, across members that die', async () => {
    const { leader } = await rolesOf(etcd);
    const scope = freshScope();
    const writer = open(etcd.endpoints, {}, scope);
    const keys = follow(open(first(etcd, leader), {}, scope));
    await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
    await writer.putMember('a', {}, null, CALL);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a']), WAIT);
    await leader.kill();
    // Written once: a second try would be a second change.
    await etcd.leader();
    await writer.putMember('b', {}, null, CALL);
    await writer.deleteMember('a', CALL);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a', 'members/b', '-members/a']), WAIT);
    await leader.restart();
    await writer.writeStatus({ optime: 1 }, CALL);
    await vi.waitFor(() => expect(keys.at(-1)).toBe('status'), WAIT);
    expect(keys).toHaveLength(5);
  });

  it('leaves a frozen member for another and misses nothing', async () => {
    const { follower } = await rolesOf(etcd);
    const scope = freshScope();
    const healthy = etcd.endpoints.filter((endpoint) => endpoint !== follower.endpoint);
    const writer = open(healthy, {}, scope);
    const keys = follow(open(first(etcd, follower), {}, scope));
    await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
    await follower.freeze();
    try {
      const start = performance.now();
      await writer.putMember('a', {}, null, CALL);
      await vi.waitFor(() => expect(keys).toEqual([null, 'members/a']), WAIT);
      expect(performance.now() - start, 'nothing but the watch itself could notice').toBeLessThan(15_000);
    } finally {
      await follower.thaw();
    }
    await writer.putMember('b', {}, null, CALL);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a', 'members/b']), WAIT);
  });

  it('leaves a member that lost the others', async () => {
    const { leader, follower } = await rolesOf(etcd);
    const scope = freshScope();
    const keys = follow(open(first(etcd, follower), {}, scope));
    await vi.waitFor(() => expect(keys).toEqual([null]), WAIT);
    const others = etcd.members.filter((member) => member !== follower);
    written.length = 0;
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
    await Promise.all(etcd.members.map((member) => member.kill()));
    await expect(dcs.read({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'DCS_UNREACHABLE' });
    await Promise.all(etcd.members.map((member) => member.restart()));
    await vi.waitFor(() => dcs.putMember('a', {}, null, CALL), WAIT);
    await vi.waitFor(() => expect(keys).toEqual([null, 'members/a']), WAIT);
  });

  it('says that something may be missing when the revisions it needs were compacted away', async () => {
    const { follower } = await rolesOf(etcd);
    const relay = await startRelay(Number(new URL(follower.endpoint).port));
    const scope = freshScope();
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

  it('leaves a connection that has gone dead without notice', async () => {
    const { follower } = await rolesOf(etcd);
    const relay = await startRelay(Number(new URL(follower.endpoint).port));
    const scope = freshScope();
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
    const { follower } = await rolesOf(etcd);
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
});
