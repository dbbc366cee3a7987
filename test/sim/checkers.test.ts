/** Checkers and faults that once blamed where nobody was to blame, or excused too much. */
import { describe, expect, test } from 'vitest';
import { encodeFailover } from '../../src/adapters/etcd/encode.ts';
import { failoverPriority } from '../../src/core/cluster.ts';
import { copyFaults } from './faults/copies.ts';
import { strangerFaults } from './faults/strangers.ts';
import type { Machine } from './machine.ts';
import { World } from './world.ts';

const MINUTE_MS = 60_000;
const quick = { ttl: 5, loop_wait: 1, retry_timeout: 2 };

const told = ({ checkers }: World): readonly string[] => checkers.violations.map(({ invariant, message }) => `${invariant}: ${message}`);

/** From here on the test writes the keys itself. */
function withoutAgents(world: World): readonly [Machine, Machine, Machine] {
  const leader = world.primary;
  const [one, other] = world.replicas as [Machine, Machine];
  for (const machine of world.machines) machine.killAgent();
  return [leader, one, other];
}

describe('a stranger is not counted', () => {
  const streams = ({ lines }: World) => lines.some((line) => line.includes('a stranger streams'));

  async function begin(seed: number, config: object) {
    const world = await World.ready({ seed, config: { ...config, synchronous_mode: 'quorum' } });
    strangerFaults['stranger']!.apply(world, { on: world.replicas[0]!.name, forMs: 10 * MINUTE_MS });
    return world;
  }

  test('while etcd answers late', async () => {
    const world = await begin(401, quick);
    world.net.slowReplies = { chance: 0.01, maxMs: 5 };
    await world.run(30_000);
    expect(streams(world)).toBe(false);
    world.net.slowReplies = { chance: 0, maxMs: 0 };
    await world.expect('it streams', () => streams(world), 15_000);
  });

  test('while the leader’s machine stands still', async () => {
    const world = await begin(402, { ttl: 30, loop_wait: 10, retry_timeout: 10, failover_fence: 'lease' });
    const leader = world.primary;
    await world.run(38_000);
    leader.suspend();
    await world.run(4000);
    expect(world.holder).toBe(leader.name);
    leader.resume();
    expect(streams(world)).toBe(false);
  });
});

describe('a member with the highest priority is not to lead', () => {
  const tags = { a: {}, b: { failover_priority: 2 }, c: { failover_priority: 3 } };

  async function begin(seed: number): Promise<{ world: World; first: Machine; rest: Machine }> {
    const world = await World.ready({ seed, tags, config: { ttl: 10, loop_wait: 2, retry_timeout: 3 } });
    const [rest, first] = [...world.replicas].sort((a, b) => failoverPriority(a.tags) - failoverPriority(b.tags)) as [Machine, Machine];
    await world.run(6000);
    return { world, first, rest };
  }

  async function leads(world: World, rest: Machine): Promise<void> {
    world.primary.crash();
    world.etcd.delete('leader');
    await world.expect('another leads', () => world.leader === rest, 5000);
  }

  test('while it keeps out because a start of it failed', async () => {
    const { world, first, rest } = await begin(411);
    first.server.failStarts = 1;
    first.server.die('was killed');
    await world.expect('it runs again', () => first.server.running && first.operator.status().sql !== null, 9000);
    expect(first.operator.status()).toMatchObject({ state: 'running', keepsOut: true });
    await world.run(500);
    await leads(world, rest);
  });

  test('while its agent does not know its server yet', async () => {
    const { world, first, rest } = await begin(412);
    first.server.lockedOut = true;
    first.killAgent();
    first.startAgent();
    await world.run(8000);
    world.primary.crash();
    await world.expect('nobody streams', () => [first, rest].every(({ server }) => server.replication.source === null), 5000);
    first.server.lockedOut = false;
    const { sql, state } = first.operator.status();
    expect({ sql, state }).toEqual({ sql: null, state: 'running' });
    world.etcd.delete('leader');
    world.etcd.put('leader', rest.name, null);
    expect(told(world)).toEqual([]);
  });
});

describe('a leader goes on by failsafe mode, and an operator names a member that has agreed', () => {
  async function begin(seed: number) {
    const world = await World.ready({ seed, config: { ...quick, failsafe_mode: true }, relays: false });
    const leader = world.primary;
    const [candidate] = world.replicas as [Machine];
    await world.run(5000);
    world.net.cut(leader.name, 'etcd');
    await world.expect('its key is gone', () => world.holder === null, 15_000);
    expect(leader.server.writable).toBe(true);
    return { world, leader, candidate };
  }

  test('in a pause it is promoted', async () => {
    const { world, candidate } = await begin(421);
    world.patchConfig({ pause: true });
    await world.run(1000);
    world.askFailover({ member: candidate.name });
    await world.expect('it leads', () => world.leader === candidate, 5000);
  });

  test('outside a pause that is a violation', async () => {
    const { world, candidate } = await begin(422);
    world.askFailover({ member: candidate.name });
    world.checkers.failsafe.checkPromotion(candidate.server);
    expect(told(world)).toEqual([expect.stringMatching(/^S21: .* is promoted, and has agreed/)]);
  });
});

test('a standby that the leader key names may agree to failsafe mode while it cannot know that, and no primary may', async () => {
  const world = await World.ready({ seed: 425, config: { ...quick, failsafe_mode: true } });
  const leader = world.primary;
  const [standby] = world.replicas as [Machine];
  const agrees = ({ name }: Machine) => {
    world.checkers.failsafe.agreed(name, 'another', 3);
    return told(world).filter((text) => text.includes('agrees that another goes on')).length;
  };
  world.checkers.onlyHolder = false;
  world.etcd.put('leader', standby.name, null);
  world.etcd.stop();
  expect(agrees(standby)).toBe(0);
  world.etcd.start();
  expect(agrees(standby)).toBe(1);
  world.etcd.put('leader', leader.name, null);
  world.etcd.stop();
  expect(agrees(leader)).toBe(2);
});

test('a voter that has promised does not lose its disk', async () => {
  const config = { ...quick, synchronous_mode: 'quorum', synchronous_node_count: 2 };
  const world = await World.ready({ seed: 431, nodes: ['a', 'b', 'c', 'd'], config });
  await world.run(10_000);
  const [voter] = world.replicas as [Machine];
  expect(world.checkers.promises.canLose(voter)).toBe(true);
  voter.server.fence = { leader: world.primary.name, term: '1', sync: '1' };
  expect(world.checkers.promises.canLose(voter)).toBe(false);
});

describe('maximum_lag_on_failover', () => {
  const cases = [
    { when: 'on the timeline of the last leader it counts', mode: 'off', unheardOf: false, isBlamed: true },
    { when: 'on a timeline that /history does not name it does not count', mode: 'off', unheardOf: true, isBlamed: false },
    { when: 'for a member that /sync names it does not count', mode: 'on', unheardOf: false, isBlamed: false },
    { when: 'where votes decide it does not count', mode: 'quorum', unheardOf: false, isBlamed: false },
  ];

  test.each(cases)('$when (synchronous_mode $mode)', async ({ mode, unheardOf, isBlamed }) => {
    const world = await World.ready({ seed: 441, config: { ...quick, synchronous_mode: mode, maximum_lag_on_failover: 1000 } });
    await world.run(MINUTE_MS);
    const named = world.etcd.view().sync?.standbys ?? [];
    const [leader, one, other] = withoutAgents(world);
    const taker = named.length === 0 || named.includes(one.name) ? one : other;
    leader.crash();
    if (unheardOf) taker.server.promoteByHand();
    world.etcd.put('status', JSON.stringify({ optime: Number(taker.server.position.lsn) + 5000 }), null);
    world.etcd.delete('leader');
    world.etcd.put('leader', taker.name, null);
    const blamed = [expect.stringMatching(/^S1: .* 5000 bytes behind the last leader/)];
    expect(told(world)).toEqual(isBlamed ? blamed : []);
  });
});

test.each([
  { when: 'and had refused everybody before', refuses: true },
  { when: 'and had refused nobody', refuses: false },
])('a leader is replaced because it refuses connections; its machine is off by then, $when', async ({ refuses }) => {
  const world = await World.ready({ seed: 451, config: { ...quick, synchronous_mode: 'off', failover_on_refusal: true } });
  const leader = world.primary;
  const successor = world.replicas[0]!;
  if (refuses) {
    leader.killAgent();
    leader.server.die('was killed');
    await world.run(5);
  }
  leader.crash();
  world.etcd.put('leader', successor.name, null);
  expect(told(world)).toEqual(refuses ? [] : [expect.stringMatching(/^S4: .* machine is off and refused nobody/)]);
});

test('a replica that was promoted by hand takes the leader key: from then on it is judged by what it lacks', async () => {
  const world = await World.ready({ seed: 461, config: { ...quick, synchronous_mode: 'quorum' } });
  world.clients.start(20);
  await world.run(5000);
  const [leader, lacking] = withoutAgents(world);
  world.net.cut(leader.name, lacking.name);
  await world.run(500);
  world.net.healAll();
  copyFaults['promote-by-hand']!.apply(world, { on: lacking.name });
  leader.crash();
  world.etcd.delete('leader');
  expect(told(world)).toEqual([]);
  world.etcd.put('leader', lacking.name, null);
  expect(told(world)[0]).toMatch(/^S1: .* opens without acknowledged commits/);
});

test('an operator’s failover excuses a former leader that goes on only while others keep it', async () => {
  const world = await World.ready({ seed: 471, config: { ...quick, synchronous_mode: 'off' } });
  const [leader, named] = withoutAgents(world);
  world.etcd.put('failover', encodeFailover({ member: named.name }), null);
  world.etcd.delete('leader');
  world.etcd.put('leader', named.name, null);
  world.checkers.afterEvent();
  expect(told(world)).toEqual([`S2: ${leader.name} takes writes, the leader key names ${named.name}`]);
});

test('a server that its agent did not know since a pause: once it does, it has a round’s time to stop it, and does', async () => {
  const world = await World.ready({ seed: 481, config: { ...quick, synchronous_mode: 'off' } });
  const old = world.primary;
  world.patchConfig({ pause: true });
  await world.expect('its guard rests', () => old.guard.deadlineMs === null, 10_000);
  old.server.unseen = old.server.process;
  old.killAgent();
  old.startAgent();
  await world.run(8000);
  world.patchConfig({ pause: false });
  await world.expect('another leads', () => world.holder !== null && world.holder !== old.name, 60_000);
  // Longer than a pause that has just ended is an excuse.
  await world.run(20_000);
  expect([old.server.commits, told(world)]).toEqual([true, []]);
  old.server.unseen = null;
  world.checkers.afterEvent();
  expect([old.server.commits, told(world)]).toEqual([true, []]);
  await world.expect('it is stopped', () => !old.server.commits, 5000);
  expect(told(world)).toEqual([]);
});
