/**
 * Standbys that are gone without a word when a primary is stopped in good order: PostgreSQL itself
 * would wait for them for a minute.
 */
import { describe, expect, test } from 'vitest';
import type { Machine } from './machine.ts';
import { World } from './world.ts';

const modes = [['off'], ['on'], ['quorum']] as const;

async function ready(seed: number, synchronous_mode: 'off' | 'on' | 'quorum' = 'off', nodes = ['a', 'b', 'c']) {
  const world = await World.ready({
    seed,
    nodes,
    lastingStreams: true,
    config: { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode },
  });
  world.checkers.noLoss = true;
  world.clients.start(20);
  await world.run(12_000);
  return world;
}

/** The machine does not answer any more, and its connections are not closed. */
function vanish(world: World, machine: Machine): void {
  machine.suspend();
  world.sim.touched();
}

/** The longest time without a commit acknowledged, from a moment on. */
function outageSince(world: World, from: number): number {
  const moments = [from, ...world.clients.acknowledged.map(({ at }) => at).filter((at) => at >= from), world.sim.now];
  return Math.max(...moments.map((at, i) => at - (moments[i - 1] ?? from)));
}

/** In mode on the candidate has to be the synchronous standby. */
function candidateOf(world: World): { successor: Machine; other: Machine } {
  const named = world.etcd.view().sync?.standbys[0];
  const successor = world.replicas.find(({ name }) => name === named) ?? world.replicas[0]!;
  return { successor, other: world.replicas.find((machine) => machine !== successor)! };
}

async function end(world: World, ...gone: readonly Machine[]): Promise<void> {
  for (const machine of gone) machine.resume();
  await world.expect('all are back', () => world.healthy(), 120_000);
  world.clients.stop();
  world.checkers.checkLoss();
  world.checkers.assertClean();
}

describe.each(modes)('synchronous_mode %s: another standby than the candidate', (mode) => {
  test('was gone before the switchover: clients notice the same as in any other', async () => {
    const world = await ready(301, mode);
    const { successor, other } = candidateOf(world);
    vanish(world, other);
    await world.run(300);
    const from = world.sim.now;
    world.askFailover({ leader: world.primary.name, member: successor.name });
    await world.expect('the candidate leads', () => world.leader === successor, 10_000);
    await world.run(3000);
    expect(outageSince(world, from)).toBeLessThan(mode === 'quorum' ? 3000 : 1500);
    await end(world, other);
  });

  test('goes while the leader stops: it is given a second', async () => {
    const world = await ready(302, mode);
    const old = world.primary;
    const { successor, other } = candidateOf(world);
    world.askFailover({ leader: old.name, member: successor.name });
    await world.expect('the leader stops', () => !old.server.writable, 5000);
    vanish(world, other);
    const tookMs = await world.expect('the candidate leads', () => world.leader === successor, 10_000);
    expect(tookMs).toBeLessThan(mode === 'quorum' ? 4000 : 2500);
    await end(world, other);
  });
});

test('the candidate is silent: the switchover is called off before anything is stopped', async () => {
  const world = await ready(303);
  const old = world.primary;
  const { process } = old.server;
  const successor = world.replicas[0]!;
  successor.server.hangDisk();
  const asked = world.sim.now;
  world.askFailover({ leader: old.name, member: successor.name });
  await world.expect('dropped', () => world.etcd.view().failover === null, 10_000);
  expect(old.server.process).toBe(process);
  expect(outageSince(world, asked)).toBeLessThan(1000);
  expect(world.timeOf(`switchover failed: ${successor.name} has confirmed no WAL for 3 s`, asked)).not.toBeNull();
  successor.server.freeDisk();
  await end(world);
});

test('a candidate that vanishes while the leader stops has the time that PostgreSQL gives it', async () => {
  const world = await ready(304);
  const old = world.primary;
  const [successor, other] = world.replicas as [Machine, Machine];
  world.askFailover({ leader: old.name, member: successor.name });
  await world.expect('the leader stops', () => !old.server.writable, 5000);
  vanish(world, successor);
  await world.run(20_000);
  expect(old.server.process).not.toBeNull();
  successor.resume();
  await world.expect('somebody leads', () => world.leader !== null, 60_000);
  expect(other.server.running).toBe(true);
  await end(world);
});

test('the leader is restarted while no other member is there', async () => {
  const world = await ready(305);
  const old = world.primary;
  const gone = world.replicas;
  for (const machine of gone) vanish(world, machine);
  await world.run(300);
  const from = world.sim.now;
  void old.operator.restart({});
  await world.expect('it takes writes again', () => world.leader === old && world.clients.acknowledged.at(-1)!.at > from + 4000, 20_000);
  expect(outageSince(world, from)).toBeLessThan(3500);
  await end(world, ...gone);
});

test('the agent ends while the only other node is silent: it waits until that node has everything', async () => {
  const world = await ready(306, 'off', ['a', 'b']);
  const old = world.primary;
  const successor = world.replicas[0]!;
  vanish(world, successor);
  await world.run(300);
  old.running.shutdown();
  await world.run(15_000);
  expect(old.server.process).not.toBeNull();
  successor.resume();
  await world.expect('the other leads', () => world.leader === successor, 60_000);
  old.startAgent();
  await end(world);
});
