import { describe, expect, test } from 'vitest';
import { World } from './world.ts';

describe('three nodes from nothing', () => {
  test.each([1, 2, 3, 4, 5])('one bootstraps, two clone the moment it leads (seed %i)', async (seed) => {
    const world = new World({ seed });
    world.startAll();
    const tookMs = await world.expect('a healthy cluster', () => world.healthy(), 20_000);
    expect(tookMs).toBeLessThan(6000);
    expect(new Set(world.machines.map((machine) => machine.server.systemId)).size).toBe(1);
    const bootstraps = world.lines.filter((line) => line.includes('bootstrap in progress'));
    expect(bootstraps).toHaveLength(1);
    const clones = world.lines.filter((line) => line.includes("bootstrap from leader '") && line.includes('in progress'));
    expect(clones).toHaveLength(2);
    const leads = world.timeOf('etcd puts leader')!;
    // Nothing waits for loop_wait: the watch on the leader's keys starts the clones.
    for (const replica of world.replicas) {
      const begins = world.timeOf(`${replica.name} INFO trying to bootstrap from`)!;
      expect(begins - leads).toBeLessThan(100);
    }
    expect(world.etcd.get('initialize')?.value).toBe(world.primary.server.systemId);
  });

  test('the bootstrapping node dies: its mark goes with its lease, and another makes the cluster', async () => {
    const world = new World({ seed: 7 });
    world.startAll();
    await world.expect('a bootstrap', () => world.etcd.get('initialize') !== null, 5000);
    const first = world.machines.find((machine) => machine.server.work === 'bootstrap') ?? world.node('a');
    await world.run(100);
    first.crash();
    await world.expect('another leader', () => world.leader !== null && world.leader !== first, 20_000);
    first.boot();
    await world.expect('all three healthy', () => world.healthy(), 20_000);
    expect(new Set(world.machines.map((machine) => machine.server.systemId)).size).toBe(1);
  });
});

test('an agent killed between writing a standby’s files and telling the server: the next one tells it', async () => {
  const world = await World.ready({ seed: 9 });
  const { server } = world.replicas[0]!;
  const [replica] = world.replicas;
  const written = server.file;
  replica!.killAgent();
  // What is in force is older than what is in the files.
  server.file = { ...written, source: null };
  server.reload();
  server.file = written;
  await world.expect('nobody to stream from', () => server.replication.source === null, 1000);
  replica!.startAgent();
  await world.expect('all three healthy', () => world.healthy(), 10_000);
});

test('a new cluster that could not be published gives way to the one that another made meanwhile', async () => {
  const world = new World({ seed: 8, nodes: ['a', 'b'] });
  world.startAll();
  await world.expect(
    'a server on a directory half made',
    () => world.machines.some(({ server }) => server.work === 'bootstrap' && server.running),
    10_000,
  );
  const first = world.machines.find(({ server }) => server.work === 'bootstrap')!;
  world.net.cut(first.name, 'etcd');
  await world.expect('a failed bootstrap', () => first.server.work === 'publication' && first.server.process === null, 20_000);
  first.killAgent();
  await world.expect('another leader', () => world.leader !== null && world.leader !== first, 20_000);
  world.net.heal(first.name, 'etcd');
  first.startAgent();
  await world.expect('both healthy', () => world.healthy(), 20_000);
});

test('a new cluster that could not be published is published later, if no other node made one', async () => {
  const world = new World({ seed: 8, nodes: ['a'] });
  world.startAll();
  const [first] = world.machines;
  await world.expect('a whole cluster', () => first!.server.work === 'publication', 10_000);
  const made = first!.server.systemId;
  first!.crash();
  await world.run(20_000);
  expect(world.etcd.get('initialize')).toBe(null);
  first!.boot();
  await world.expect('healthy', () => world.healthy(), 30_000);
  expect(first!.server.systemId).toBe(made);
});

test('a machine that ends between the publication and its mark goes on with the cluster it made', async () => {
  const world = new World({ seed: 8, nodes: ['a', 'b'] });
  world.startAll();
  await world.expect('a publication', () => (world.etcd.get('initialize')?.value ?? '') !== '', 10_000);
  const first = world.machines.find(({ server }) => server.work === 'publication')!;
  const made = first.server.systemId;
  expect(world.etcd.get('initialize')?.value).toBe(made);
  first.crash();
  await world.run(20_000);
  first.boot();
  await world.expect('both healthy', () => world.healthy(), 30_000);
  expect(new Set(world.machines.map(({ server }) => server.systemId))).toEqual(new Set([made]));
});

test('an agent killed during its bootstrap leaves an unknown server: it is stopped, and the node clones from the first member', async () => {
  const world = new World({ seed: 8, nodes: ['a', 'b'] });
  world.startAll();
  await world.expect(
    'a server on a directory half made',
    () => world.machines.some(({ server }) => server.work === 'bootstrap' && server.process !== null),
    5000,
  );
  const first = world.machines.find(({ server }) => server.work === 'bootstrap')!;
  first.killAgent();
  await world.expect('another leader', () => world.leader !== null && world.leader !== first, 20_000);
  first.startAgent();
  await world.expect('both healthy', () => world.healthy(), 20_000);
});

test('a bootstrapping agent freezes just after it was seen to lead: its cluster counts, and goes on when it is back', async () => {
  const world = new World({ seed: 10, nodes: ['a', 'b', 'c'] });
  world.startAll();
  await world.expect('a leader', () => world.holder !== null, 10_000);
  const first = world.node(world.holder!);
  first.freezeAgent();
  world.clients.start(20);
  await world.expect('the key gone', () => world.holder === null, 20_000);
  first.thawAgent();
  await world.expect('all healthy', () => world.healthy(), 30_000);
  expect(new Set(world.machines.map(({ server }) => server.systemId)).size).toBe(1);
  expect(world.etcd.get('initialize')?.value).toBe(world.primary.server.systemId);
});

describe('an agent that comes and goes', () => {
  test('restarted in time it finds PostgreSQL untouched and takes its key over', async () => {
    const world = await World.ready({ seed: 11 });
    const leader = world.primary;
    const { process } = leader.server;
    leader.killAgent();
    await world.run(2000);
    leader.startAgent();
    await world.run(30_000);
    expect(world.primary).toBe(leader);
    expect(leader.server.process).toBe(process);
    expect(leader.guard.fires).toBe(0);
    expect(leader.server.position.branch.timeline).toBe(1);
    expect(leader.rules).toContain('fence.attach');
  });

  test('killed for good: the guard stops PostgreSQL before another node may take writes', async () => {
    const world = await World.ready({ seed: 12 });
    const leader = world.primary;
    world.clients.start(20);
    leader.killAgent();
    await world.expect('a successor', () => world.leader !== null && world.leader !== leader, 20_000);
    expect(leader.guard.fires).toBe(1);
    expect(leader.server.process).toBeNull();
    leader.startAgent();
    await world.expect('the old one back as a replica', () => world.healthy(), 20_000);
  });

  test('SIGTERM to the leader hands over at once, without waiting for the lease', async () => {
    const world = await World.ready({ seed: 13 });
    const leader = world.primary;
    leader.running.shutdown();
    const tookMs = await world.expect('a successor', () => world.leader !== null && world.leader !== leader, 10_000);
    expect(tookMs).toBeLessThan(2000);
    await world.expect('the agent gone', () => leader.agent === null, 5000);
    expect(leader.exitCode).toBe(0);
    expect(leader.server.process).toBeNull();
    expect(leader.guard.alive).toBe(false);
    expect(leader.server.controlState).toBe('shut down');
    leader.startAgent();
    await world.expect('it comes back without a rewind', () => world.healthy(), 10_000);
    expect(leader.rules.filter((rule) => rule.startsWith('mend.'))).toEqual([]);
  });

  test('SIGTERM to a replica stops its PostgreSQL and leaves the leader alone', async () => {
    const world = await World.ready({ seed: 14 });
    const leader = world.primary;
    const replica = world.replicas[0]!;
    replica.running.shutdown();
    await world.expect('the agent gone', () => replica.agent === null, 10_000);
    expect(replica.exitCode).toBe(0);
    expect(replica.server.controlState).toBe('shut down in recovery');
    expect(world.primary).toBe(leader);
  });

  test('SIGTERM while cloning cancels the clone and leaves nothing half-made', async () => {
    const world = new World({ seed: 15 });
    world.startAll();
    await world.expect('a clone', () => world.machines.some((machine) => machine.server.work === 'clone'), 10_000);
    const cloning = world.machines.find((machine) => machine.server.work === 'clone')!;
    await world.run(100);
    cloning.running.shutdown();
    await world.expect('the agent gone', () => cloning.agent === null, 5000);
    expect(cloning.server.dir).toBe('missing');
    cloning.startAgent();
    await world.expect('cloned after all', () => world.healthy(), 10_000);
  });

  test('all agents killed and started again: the same primary, the same postmasters', async () => {
    const world = await World.ready({ seed: 16 });
    const leader = world.primary;
    const postmasters = world.machines.map((machine) => machine.server.process);
    for (const machine of world.machines) machine.killAgent();
    await world.run(1500);
    world.startAll();
    await world.run(20_000);
    expect(world.primary).toBe(leader);
    expect(world.machines.map((machine) => machine.server.process)).toEqual(postmasters);
  });
});
