import { describe, expect, test } from 'vitest';
import { World } from './world.ts';

const quorumConfig = { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode: 'quorum' };
const at = (world: World, text: string, from: number) => {
  const time = world.timeOf(text, from);
  if (time === null) throw new Error(`'${text}' is not in the trace\n${world.tail()}`);
  return time;
};

describe('switchover', () => {
  test.each([201, 202, 203, 204])(
    'checkpoint, stop, release, acquire, promote, each after the other and none after a timer (seed %i)',
    async (seed) => {
      const world = await World.ready({ seed });
      const old = world.primary;
      const successor = world.replicas[1]!;
      world.clients.start(20);
      await world.run(3000);
      const asked = world.sim.now;
      world.askFailover({ leader: old.name, member: successor.name });
      const tookMs = await world.expect('the candidate leads', () => world.leader === successor, 10_000);
      const checkpoint = at(world, `${old.name} checkpoint`, asked);
      const stopped = at(world, `${old.name} PostgreSQL shut down`, checkpoint);
      const released = at(world, 'etcd deletes leader', stopped);
      const acquired = at(world, `etcd puts leader ${successor.name}`, released);
      const promoted = at(world, `${successor.name} PostgreSQL promoted`, acquired);
      expect(promoted).toBeGreaterThanOrEqual(acquired);
      // Of this the checkpoint takes up to 600 ms, with the clients still writing; the rest is what
      // they notice.
      expect(tookMs).toBeLessThan(1500);
      const outageMs = promoted - at(world, 'writable: nobody', checkpoint);
      expect(outageMs).toBeLessThan(700);
      await world.expect(
        'the request is cleared and all are healthy',
        () => world.etcd.view().failover === null && world.healthy(),
        10_000,
      );
      expect(old.rules.filter((rule) => rule.startsWith('mend.'))).toEqual([]);
      world.clients.stop();
      world.checkers.checkLoss();
      world.checkers.assertClean();
    },
  );

  test('without a candidate the best one takes over', async () => {
    const world = await World.ready({ seed: 211 });
    const old = world.primary;
    world.askFailover({ leader: old.name });
    await world.expect('another leads', () => world.leader !== null && world.leader !== old, 5000);
    await world.expect('healthy', () => world.healthy() && world.etcd.view().failover === null, 10_000);
  });

  test('the key does not wait for the archiver of the old primary, which comes back when pg_ctl_timeout has ended it', async () => {
    const world = await World.ready({ seed: 217 });
    const old = world.primary;
    const successor = world.replicas[0]!;
    world.clients.start(20);
    await world.run(3000);
    old.server.archiverBusyUntilMs = world.sim.now + 300_000;
    const asked = world.sim.now;
    world.askFailover({ leader: old.name, member: successor.name });
    await world.expect('the candidate takes writes', () => world.leader === successor && successor.server.writable, 10_000);
    const outageMs = world.sim.now - at(world, 'writable: nobody', asked);
    expect(outageMs).toBeLessThan(2000);
    expect(old.server.process?.archiving).toBe(true);
    await world.expect('the old primary follows', () => world.healthy(), 90_000);
    expect(world.primary).toBe(successor);
    world.clients.stop();
    world.checkers.checkLoss();
    world.checkers.assertClean();
  });

  test('a restarted agent ends the server that its predecessor was closing, and leads on', async () => {
    const world = await World.ready({ seed: 218 });
    const old = world.primary;
    old.server.archiverBusyUntilMs = world.sim.now + 300_000;
    old.server.onChange.add(function killed() {
      if (old.server.process?.phase !== 'stopping') return;
      old.server.onChange.delete(killed);
      old.killAgent();
    });
    world.askFailover({ leader: old.name, member: world.replicas[0]!.name });
    await world.expect('closed, and nobody to end it', () => old.server.process?.archiving === true, 5000);
    old.startAgent();
    await world.expect('somebody leads', () => world.leader?.server.writable === true, 20_000);
    expect(old.rules).toContain('starting.closed');
    await world.expect('healthy', () => world.healthy(), 60_000);
  });

  test('to a member that cannot take over it is dropped, and nothing stops', async () => {
    const world = await World.ready({ seed: 212 });
    const old = world.primary;
    const gone = world.replicas[0]!;
    const { process } = old.server;
    gone.crash();
    world.askFailover({ leader: old.name, member: gone.name });
    await world.expect('dropped', () => world.etcd.view().failover === null, 10_000);
    expect(old.server.process).toBe(process);
  });

  test('scheduled: not before its time', async () => {
    const world = await World.ready({ seed: 213 });
    const old = world.primary;
    const due = old.clock.wallMs() + 15_000;
    world.askFailover({ leader: old.name, scheduled_at: new Date(Math.round(due)).toISOString() });
    await world.run(14_500);
    expect(world.primary).toBe(old);
    const tookMs = await world.expect('another leads', () => world.leader !== null && world.leader !== old, 5000);
    expect(tookMs).toBeLessThan(2500);
  });

  test('the candidate dies while the leader stops: another takes over', async () => {
    const world = await World.ready({ seed: 214 });
    const old = world.primary;
    const successor = world.replicas[0]!;
    world.askFailover({ leader: old.name, member: successor.name });
    await world.expect('the leader stops', () => !old.server.writable, 5000);
    successor.crash();
    await world.expect('somebody leads', () => world.leader !== null, 15_000);
  });

  test('the candidate cannot reach etcd: the others stand back for a ttl, then one of them leads, and stays', async () => {
    const world = await World.ready({ seed: 216 });
    const old = world.primary;
    const successor = world.replicas[0]!;
    world.net.cut(successor.name, 'etcd');
    world.askFailover({ leader: old.name, member: successor.name });
    await world.expect('the leader stops', () => !old.server.writable, 5000);
    const tookMs = await world.expect('somebody leads', () => world.leader !== null, 25_000);
    expect(tookMs).toBeGreaterThan(9000);
    const { leader } = world;
    await world.run(30_000);
    expect(world.primary).toBe(leader);
    expect(world.etcd.view().failover).toBeNull();
  });

  test('in quorum mode under writing clients no acknowledged commit is lost', async () => {
    const world = await World.ready({ seed: 215, config: quorumConfig });
    world.checkers.noLoss = true;
    world.clients.start(10);
    await world.run(6000);
    for (let i = 0; i < 6; i += 1) {
      const old = world.primary;
      world.askFailover({ leader: old.name });
      await world.expect('another leads', () => world.leader !== null && world.leader !== old, 10_000);
      await world.expect('healthy', () => world.healthy() && world.etcd.view().failover === null, 20_000);
      const before = world.clients.acknowledged.length;
      await world.expect('commits are acknowledged again', () => world.clients.acknowledged.length > before + 20, 10_000);
    }
    expect(world.primary.server.position.branch.timeline).toBe(7);
  });
});

test('failover by name, in the absence of a leader', async () => {
  const world = await World.ready({ seed: 221 });
  const old = world.primary;
  const successor = world.replicas[1]!;
  world.askFailover({ member: successor.name });
  await world.expect('the candidate leads', () => world.leader === successor, 10_000);
  await world.expect('healthy', () => world.healthy() && world.etcd.view().failover === null, 10_000);
  expect(old.server.inRecovery).toBe(true);
});
