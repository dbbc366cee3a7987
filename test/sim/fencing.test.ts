import { describe, expect, test } from 'vitest';
import { leaseMargins } from '../../src/core/settings.ts';
import { healthCheck } from '../../src/dialect/health-checks.ts';
import { World } from './world.ts';

const TTL_MS = 10_000;
const { stepDownMs, guardMs } = leaseMargins(10);
const seeds = [61, 62, 63, 64, 65];

describe('the leader is cut off from etcd', () => {
  test.each(seeds)('it steps down in good order, before its guard and before another member leads (seed %i)', async (seed) => {
    const world = await World.ready({ seed, relays: false });
    const old = world.primary;
    world.clients.start(20);
    await world.run(2500);
    world.net.cut(old.name, 'etcd');
    const stoppedAfterMs = await world.expect('it stops taking writes', () => !old.server.writable, TTL_MS);
    // The last renewal may be up to a round old.
    expect(stoppedAfterMs).toBeLessThan(stepDownMs + 500);
    expect(stoppedAfterMs).toBeGreaterThan(stepDownMs - 2000 - 500);
    await world.expect('a successor', () => world.leader !== null, 2 * TTL_MS);
    expect(old.guard.fires).toBe(0);
    expect(old.rules).toContain('fence.lease-ended');
    world.net.healAll();
    await world.expect('the old one back as a replica', () => world.healthy(), 30_000);
  });

  test('until it steps down its health checks say that it takes writes, and then no more', async () => {
    const world = await World.ready({ seed: 75, relays: false });
    const old = world.primary;
    world.net.cut(old.name, 'etcd');
    const codes = new Set<string>();
    world.sim.afterEvent.push(() => {
      if (!old.server.writable) return;
      const { operator, running } = old;
      const { confirmedSentAtMs } = running.authority.now.lease;
      const led = confirmedSentAtMs !== null && running.parts.clock.bootMs() < confirmedSentAtMs + stepDownMs;
      for (const path of ['/', '/primary', '/leader', '/read-only']) {
        const { status, view, settings } = operator.checkFacts();
        const code = healthCheck(path, new Map(), status, view, settings);
        expect(healthCheck(path, new Map(), operator.status(), operator.view(), operator.settings())).toBe(code);
        codes.add(
          `${running.rounds.last?.observation.dcs.known ? 'etcd known' : 'etcd unknown'}, ${led ? 'leading' : 'lease over'}: ${code}`,
        );
      }
    });
    await world.expect('it stops taking writes', () => !old.server.writable, TTL_MS);
    expect(codes).toContain('etcd unknown, leading: 200');
    for (const said of codes) expect(said).toMatch(/leading: 200|over: 503/);
    const readable = () =>
      healthCheck('/read-only', new Map(), old.operator.status(), old.operator.view(), old.operator.settings()) === 200;
    await world.expect('it answers readers again', () => old.server.inRecovery && readable(), TTL_MS);
  });

  test('from the other nodes as well', async () => {
    const world = await World.ready({ seed: 71 });
    const old = world.primary;
    world.clients.start(20);
    for (const end of ['etcd', ...world.machines.map((machine) => machine.name)]) if (end !== old.name) world.net.cut(old.name, end);
    await world.expect('a successor', () => world.leader !== null && world.leader !== old, 2 * TTL_MS);
    await world.run(5000);
    world.net.healAll();
    await world.expect('the old one back as a replica', () => world.healthy(), 30_000);
  });

  test.each([
    ['its requests', 'a', 'etcd'],
    ['the answers', 'etcd', 'a'],
  ])('only %s are lost: its renewals do not keep the others waiting', async (_what, from, to) => {
    const world = await World.ready({ seed: 72, relays: false, tags: { b: { nofailover: true } }, nodes: ['a', 'b', 'c'] });
    if (world.primary.name !== 'a') {
      world.askFailover({ member: 'a' });
      await world.expect('a leads', () => world.leader?.name === 'a' && world.healthy(), 20_000);
    }
    world.net.cutOneWay(from, to);
    await world.expect('it stops taking writes', () => !world.node('a').server.writable, TTL_MS);
    await world.expect('a successor', () => world.leader?.name === 'c', 2 * TTL_MS);
    world.net.healAll();
    await world.expect('healthy again', () => world.healthy(), 30_000);
  });

  test('etcd answers, but slower than a leader that is late may wait: the lead ends, and comes back without help', async () => {
    const world = await World.ready({ seed: 74 });
    world.net.slowRequests = { chance: 1, maxMs: 1200 };
    world.etcd.stop();
    await world.expect('nobody takes writes', () => world.leader === null, TTL_MS);
    world.etcd.start();
    await world.expect('somebody leads', () => world.leader !== null, 3 * TTL_MS);
  });

  test('a PostgreSQL that falls silent just then does not keep its agent from stopping it before the guard', async () => {
    const world = await World.ready({ seed: 76, relays: false, config: { ttl: 3, loop_wait: 1, retry_timeout: 1 } });
    const old = world.primary;
    const { process } = old.server;
    world.net.cut(old.name, 'etcd');
    const { confirmedSentAtMs } = old.running.authority.now.lease;
    await world.run((confirmedSentAtMs ?? 0) + leaseMargins(3).stepDownMs - 300 - old.clock.bootMs());
    process!.hung = true;
    world.sim.disturbed();
    await world.run(400);
    process!.hung = false;
    world.sim.disturbed();
    await world.expect('it is stopped', () => old.server.process !== process, 1000);
    expect(old.guard.fires).toBe(0);
  });

  test('a cut shorter than the lease changes nothing', async () => {
    const world = await World.ready({ seed: 73 });
    const old = world.primary;
    const { process } = old.server;
    world.net.cut(old.name, 'etcd');
    await world.run(5000);
    world.net.healAll();
    await world.run(20_000);
    expect(world.primary).toBe(old);
    expect(old.server.process).toBe(process);
  });
});

describe('the leader’s agent is frozen', () => {
  test.each(seeds)('the guard stops PostgreSQL; thawed, the node becomes a replica (seed %i)', async (seed) => {
    const world = await World.ready({ seed });
    const old = world.primary;
    world.clients.start(20);
    await world.run(2500);
    old.freezeAgent();
    const stoppedAfterMs = await world.expect('its PostgreSQL stops', () => old.server.process === null, TTL_MS);
    expect(stoppedAfterMs).toBeLessThan(guardMs + 300);
    expect(old.guard.fires).toBe(1);
    await world.expect('a successor', () => world.leader !== null, TTL_MS);
    await world.run(3000);
    old.thawAgent();
    await world.expect('the old one back as a replica', () => world.healthy(), 30_000);
  });

  test('thawed just after the guard has fired, it finds its lease gone and does not open for writes', async () => {
    const world = await World.ready({ seed: 81 });
    const old = world.primary;
    old.freezeAgent();
    await world.expect('its PostgreSQL stops', () => old.server.process === null, TTL_MS);
    old.thawAgent();
    await world.expect('healthy again', () => world.healthy(), 30_000);
  });

  test('thawed in time, nothing has happened', async () => {
    const world = await World.ready({ seed: 82 });
    const old = world.primary;
    const { process } = old.server;
    old.freezeAgent();
    await world.run(4000);
    old.thawAgent();
    await world.run(10_000);
    expect(world.primary).toBe(old);
    expect(old.server.process).toBe(process);
  });
});

describe('the leader’s machine sleeps', () => {
  test('waking up after the lease, PostgreSQL is stopped at once, and nothing written then is acknowledged in quorum mode', async () => {
    const world = await World.ready({ seed: 91, config: { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode: 'quorum' } });
    const old = world.primary;
    // While the first name is taken up nobody may succeed it: /sync is ahead of PostgreSQL then.
    await world.expect('both in the synchronous set', () => old.server.live.syncNames.includes(','), 10_000);
    await world.run(1000);
    old.suspend();
    await world.expect('a successor', () => world.leader !== null, 30_000);
    await world.run(5000);
    world.checkers.noLoss = true;
    // Between waking up and the guard's first instruction the server is as it was: that is what the
    // quorum is for.
    world.checkers.onlyHolder = false;
    world.checkers.fenced = false;
    old.resume();
    world.clients.write(old);
    const exposedMs = await world.expect('its PostgreSQL stops', () => !old.server.writable, 1000);
    expect(exposedMs).toBeLessThan(300);
    world.checkers.onlyHolder = true;
    world.checkers.fenced = true;
    await world.expect('healthy again', () => world.healthy(), 30_000);
    world.checkers.checkLoss();
    world.checkers.assertClean();
  });
});

describe('the guard', () => {
  test('without one no member is promoted', async () => {
    const world = await World.ready({ seed: 101, nodes: ['a', 'b'] });
    const old = world.primary;
    const successor = world.replicas[0]!;
    successor.guard.mute = true;
    old.crash();
    await world.run(60_000);
    expect(successor.server.inRecovery).toBe(true);
    successor.guard.mute = false;
    await world.expect('promoted once it answers', () => world.leader === successor, 60_000);
  });

  test('a leader that cannot reach it gives up in good order, before it strikes', async () => {
    const world = await World.ready({ seed: 102 });
    const old = world.primary;
    old.guard.mute = true;
    await world.run(stepDownMs - 2000 - 500);
    expect(old.server.writable).toBe(true);
    await world.expect('a successor', () => world.leader !== null && world.leader !== old, 20_000);
    expect(old.rules).toContain('primary.guard');
    expect(old.guard.fires).toBe(0);
    old.guard.mute = false;
    await world.expect('healthy again', () => world.healthy(), 30_000);
  });

  test('frozen under an agent that was started again, it is not relied on', async () => {
    const world = await World.ready({ seed: 105 });
    const old = world.primary;
    old.freezeAgent();
    old.guard.freeze();
    await world.run(3000);
    old.killAgent();
    old.startAgent();
    await world.expect('it stops taking writes', () => !old.server.writable, TTL_MS);
    await world.expect('a successor', () => world.leader !== null, TTL_MS);
    old.guard.thaw();
    await world.expect('healthy again', () => world.healthy(), 30_000);
  });

  test('armed too late in a promotion that is called off, it is told to rest before a standby starts', async () => {
    const world = await World.ready({ seed: 104 });
    const old = world.primary;
    old.crash();
    await world.expect(
      'a promotion',
      () => world.machines.some((machine) => machine.rules.at(-1)?.startsWith('race.') === true && world.holder === machine.name),
      20_000,
    );
    const successor = world.node(world.holder!);
    await world.expect('the job has begun', () => world.lines.some((line) => line.includes(`${successor.name} INFO promoted self`)), 1000);
    successor.freezeAgent();
    await world.run(12_000);
    successor.thawAgent();
    await world.expect(
      'it follows the one that was promoted instead',
      () => world.leader !== null && successor.server.replication.source !== null,
      20_000,
    );
    expect(successor.guard.fired).toBe(false);
    expect(successor.guard.deadlineMs).toBeNull();
  });

  test.each([true, false])('killed together with its agent, PostgreSQL ends at once (agent first: %s)', async (agentFirst) => {
    const world = await World.ready({ seed: 107 });
    const old = world.primary;
    if (agentFirst) old.killAgent();
    old.guard.die();
    old.killAgent();
    await world.expect('it ends', () => old.server.process === null, 1000);
    await world.expect('a successor', () => world.leader !== null && world.leader !== old, 2 * TTL_MS);
    old.startAgent();
    await world.expect('the old one back as a replica', () => world.healthy(), 30_000);
  });

  test('a replica goes on when both are killed', async () => {
    const world = await World.ready({ seed: 109 });
    const replica = world.machines.find((machine) => machine !== world.primary)!;
    const { process } = replica.server;
    replica.guard.die();
    replica.killAgent();
    await world.run(5000);
    expect(replica.server.process).toBe(process);
  });

  test('killed, it is started again and armed at once', async () => {
    const world = await World.ready({ seed: 103 });
    const old = world.primary;
    old.guard.die();
    await world.expect('another, armed', () => old.guard.alive && old.guard.deadlineMs !== null, 1000);
    await world.run(10_000);
    expect(world.primary).toBe(old);
  });
});
