/** Servers that do not let their agents in any more: what is connected goes on. */
import { expect, test } from 'vitest';
import { World } from './world.ts';

const config = { ttl: 5, loop_wait: 1, retry_timeout: 2, synchronous_mode: 'quorum' };

test.each([61, 62, 63])('all agents are locked out, the leader dies, and another leads within ttl + 5 s (seed %i)', async (seed) => {
  const world = await World.ready({ seed, config });
  world.clients.start(50);
  await world.run(3000);
  const old = world.primary;
  for (const { server } of world.machines) server.lockedOut = true;
  old.crash();
  expect(await world.expect('a successor', () => world.leader !== null, 10_000)).toBeLessThan(10_000);
  for (const { server } of world.machines) server.lockedOut = false;
  old.boot();
  await world.expect('all are back', () => world.healthy(), 60_000);
  world.checkers.assertClean();
});

test.each([64, 65])('a leader whose agent is started again while it is locked out leads on (seed %i)', async (seed) => {
  const world = await World.ready({ seed, config });
  const leader = world.primary;
  for (const { server } of world.machines) server.lockedOut = true;
  leader.killAgent();
  leader.startAgent();
  await world.run(20_000);
  expect(world.leader).toBe(leader);
  expect(leader.agent?.rounds.last?.decision.rule).toBe('starting.refused');
  for (const { server } of world.machines) server.lockedOut = false;
  await world.expect('all is well', () => world.healthy(), 30_000);
  expect(world.leader).toBe(leader);
  world.checkers.assertClean();
});

test('a standby whose agent is started again while it is locked out is restarted when an operator wants it (seed 66)', async () => {
  const world = await World.ready({ seed: 66, config });
  const standby = world.replicas[0]!;
  standby.server.lockedOut = true;
  standby.killAgent();
  standby.startAgent();
  await world.run(5000);
  const before = standby.server.process;
  let answer: unknown = null;
  void standby.operator.restart({}).then((outcome) => {
    answer = outcome;
  });
  await world.expect('an answer', () => answer !== null, 20_000);
  expect(answer).toMatchObject({ ok: true });
  expect(standby.server.process).not.toBe(before);
  await world.expect('it streams again', () => standby.server.replication.source === world.primary.server, 10_000);
  world.checkers.assertClean();
});
