/**
 * A replica that somebody promoted beside the leader, and whose agent is started again before the
 * replica was mended: nobody waits for it, and it does not lead.
 */
import { test } from 'vitest';
import { copyFaults } from './faults/copies.ts';
import type { Machine } from './machine.ts';
import { World } from './world.ts';

const tellTheOperator = {
  use_pg_rewind: false,
  remove_data_directory_on_rewind_failure: false,
  remove_data_directory_on_diverged_timelines: false,
};

/** Where it dies at once, it has not had time to take the replica out of the synchronous set. */
const [atOnceMs, laterMs] = [50, 3000];
const three = ['a', 'b', 'c'];
const cases = [
  { mode: 'off', dynamic: {}, nodes: three, when: 'at once', afterMs: atOnceMs, seed: 91 },
  { mode: 'off', dynamic: {}, nodes: three, when: 'later', afterMs: laterMs, seed: 92 },
  { mode: 'on', dynamic: { synchronous_mode: true }, nodes: three, when: 'later', afterMs: laterMs, seed: 93 },
  { mode: 'quorum', dynamic: { synchronous_mode: 'quorum' }, nodes: three, when: 'later', afterMs: laterMs, seed: 94 },
  {
    mode: 'quorum, two confirm each commit',
    dynamic: { synchronous_mode: 'quorum', synchronous_node_count: 2 },
    nodes: [...three, 'd', 'e'],
    when: 'at once',
    afterMs: atOnceMs,
    seed: 95,
  },
];

test.each(cases)('synchronous_mode $mode: another standby leads when the leader dies $when', async (given) => {
  const { dynamic, nodes, afterMs, seed } = given;
  const config = { ttl: 5, loop_wait: 1, retry_timeout: 2, ...dynamic, postgresql: tellTheOperator };
  const world = await World.ready({ seed, nodes, config });
  world.clients.start(50);
  await world.run(3000);
  const { primary } = world;
  const [promoted, ...others] = world.replicas as [Machine, ...Machine[]];
  copyFaults['promote-by-hand']!.apply(world, { on: promoted.name });
  await world.expect('its agent stops it', () => promoted.server.process === null, 10_000);
  await world.run(afterMs);
  promoted.killAgent();
  promoted.startAgent();
  await world.run(afterMs);
  primary.crash();
  await world.expect('another leads', () => others.some((other) => other === world.leader), 30_000);
  primary.boot();
  world.patchConfig({ postgresql: {} });
  await world.expect('all are back', () => world.healthy(), 60_000);
  world.checkers.assertClean();
});
