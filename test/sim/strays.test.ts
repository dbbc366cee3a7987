/** A replica that somebody opened for writes by hand while its agent was away. */
import { expect, test } from 'vitest';
import { historyFaults } from './faults/history.ts';
import { World } from './world.ts';

const config = { ttl: 5, loop_wait: 1, retry_timeout: 2 };

test.each([
  ['its leader leads on', 71, { succeeded: false, restarted: false }],
  ['another leads by then, on a later timeline', 72, { succeeded: true, restarted: false }],
  ['its leader leads on, and the agent that has seen it stopped is gone as well', 73, { succeeded: false, restarted: true }],
  ['another leads by then, and the agent that has seen it stopped is gone as well', 74, { succeeded: true, restarted: true }],
])('is cloned, also where its agent first starts it without etcd (%s)', async (_, seed, { succeeded, restarted }) => {
  const world = await World.ready({ seed, config });
  world.clients.start(50);
  await world.run(3000);
  const [opened, other] = world.replicas as [(typeof world.machines)[0], (typeof world.machines)[0]];
  opened.killAgent();
  world.net.cut(opened.name, 'etcd');
  historyFaults['open-by-hand']!.apply(world, { on: opened.name });
  expect(opened.server.controlState).toBe('shut down');
  await world.run(3000);
  if (succeeded) {
    world.askFailover({ leader: world.primary.name, member: other.name });
    await world.expect('the other leads', () => world.leader === other, 30_000);
  }
  opened.startAgent();
  await world.expect('it serves readers', () => opened.server.running, 30_000);
  expect(opened.server.replication.source).toBeNull();
  if (restarted) {
    opened.killAgent();
    opened.startAgent();
  }
  world.net.healAll();
  await world.expect('all are back', () => world.healthy(), 60_000);
  world.checkers.assertClean();
});
