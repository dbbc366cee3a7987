/**
 * Standbys that come back on connections which still look alive: commits must not wait for them
 * before they are heard.
 */
import { expect, test } from 'vitest';
import type { Machine } from './machine.ts';
import { World } from './world.ts';

const modes = { quorum: /^ANY 1 \(\w,\w\)$/, on: /^\w$/ };

test.each([
  ['quorum', 'quorum', 81],
  ['quorum', 'quorum', 82],
  ['on', true, 83],
] as const)('synchronous_mode %s: both standbys cut off for 30 s, then back (%s, seed %i)', async (mode, synchronous_mode, seed) => {
  const world = await World.ready({ seed, config: { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode } });
  world.net.lastingStreams = true;
  world.checkers.noLoss = true;
  const { primary, replicas } = world;
  const names = () => primary.server.live.syncNames;
  await world.expect('a synchronous set', () => modes[mode].test(names()), 10_000);
  world.clients.start(20);
  await world.run(3000);
  const linesBefore = world.lines.length;
  for (const { name } of replicas) for (const end of ['etcd', primary.name]) world.net.cut(name, end);
  await world.expect('the leader goes on alone', () => names() === '', 15_000);
  await world.run(20_000);
  const senders = primary.server.replication.senders();
  expect(senders).toHaveLength(2);
  world.net.healAll();
  const healedAt = world.sim.now;
  await world.expect('synchronous again', () => modes[mode].test(names()), 60_000);
  expect(primary.server.replication.senders(), 'the connections of before').toEqual(senders);
  await world.run(5000);
  const moments = [...world.clients.acknowledged.map(({ at }) => at).filter((at) => at >= healedAt), world.sim.now];
  const waits = moments.map((at, i) => at - (moments[i - 1] ?? healedAt));
  expect(Math.max(...waits)).toBeLessThan(500);
  expect(world.primary).toBe(primary);
  const said = world.lines
    .slice(linesBefore)
    .filter((line) => line.includes('synchronous standby'))
    .map((line) => /(INFO|WARNING) .*?:/.exec(line)?.[0]);
  expect(said).toEqual(['WARNING there is no synchronous standby:', 'INFO there is a synchronous standby again:']);
  world.checkers.checkLoss();
  world.checkers.assertClean();
});

test.each([
  [91, 8000],
  [92, 25_000],
])('a standby that was cut off confirms again at once, whenever TCP would have tried (seed %i, for %i ms)', async (seed, cutMs) => {
  const config = { ttl: 60, loop_wait: 10, retry_timeout: 10, synchronous_mode: 'quorum' };
  const world = await World.ready({ seed, config, lastingStreams: true });
  const { primary, replicas } = world;
  const [lost] = replicas as [Machine];
  await world.expect('both confirm', () => modes.quorum.test(primary.server.live.syncNames), 10_000);
  world.clients.start(20);
  await world.run(15_000);
  for (const end of ['etcd', ...world.machines.map(({ name }) => name)]) if (end !== lost.name) world.net.cut(lost.name, end);
  await world.run(cutMs);
  world.net.healAll();
  const { lsn } = primary.server.position;
  const confirms = () =>
    primary.server.replication.senders().some(({ standby, flushLsn }) => standby === lost.server && (flushLsn ?? 0n) >= lsn);
  expect(await world.expect('it confirms', confirms, 60_000)).toBeLessThan(1000);
  expect(world.primary).toBe(primary);
  world.checkers.assertClean();
});
