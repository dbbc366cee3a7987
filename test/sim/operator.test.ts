import { describe, expect, test } from 'vitest';
import { failoverPriority } from '../../src/core/cluster.ts';
import type { RequestOutcome } from '../../src/ports/operator.ts';
import type { Machine } from './machine.ts';
import { World } from './world.ts';

/** Asks through the operator port and keeps the answer for when it comes. */
function asked(outcome: Promise<RequestOutcome>): { answer: RequestOutcome | null } {
  const kept: { answer: RequestOutcome | null } = { answer: null };
  void outcome.then((answer) => {
    kept.answer = answer;
  });
  return kept;
}

const jobOf = ({ answer }: { answer: RequestOutcome | null }) => (answer?.ok ? (answer.job ?? null) : null);
const pid = (machine: Machine) => machine.server.process?.pid ?? null;

describe('paused', () => {
  test('the leader’s PostgreSQL dies: no agent does anything, until the pause ends', async () => {
    const world = await World.ready({ seed: 301 });
    const old = world.primary;
    world.checkers.onlyHolder = false;
    world.patchConfig({ pause: true });
    await world.run(3000);
    old.server.die('was killed');
    await world.run(60_000);
    expect(world.leader).toBeNull();
    expect(world.holder).toBeNull();
    expect(old.server.process).toBeNull();
    world.patchConfig({ pause: false });
    await world.expect('healthy', () => world.healthy(), 30_000);
  });

  test('etcd away for longer than the lease: the primary goes on, its guard rests', async () => {
    const world = await World.ready({ seed: 302 });
    const leader = world.primary;
    const { process } = leader.server;
    world.checkers.onlyHolder = false;
    world.patchConfig({ pause: true });
    await world.expect('the guard rests', () => leader.guard.deadlineMs === null, 5000);
    world.etcd.stop();
    await world.run(60_000);
    expect(leader.server.process).toBe(process);
    world.etcd.start();
    await world.run(10_000);
    world.patchConfig({ pause: false });
    await world.expect('the guard is armed again', () => leader.guard.deadlineMs !== null, 5000);
    expect(world.primary).toBe(leader);
    expect(leader.server.process).toBe(process);
  });

  test('the pause ends, and the ended key cannot be taken: the primary does not go on without it', async () => {
    const world = await World.ready({ seed: 304, relays: false });
    const old = world.primary;
    world.checkers.onlyHolder = false;
    world.patchConfig({ pause: true });
    await world.run(3000);
    world.net.cut(old.name, 'etcd');
    await world.expect('the key free', () => world.holder === null, 20_000);
    world.patchConfig({ pause: false });
    world.etcd.full = true;
    world.net.healAll();
    await world.expect('it stops taking writes', () => !old.server.writable, 5000);
    expect(old.guard.fires).toBe(0);
    world.etcd.full = false;
    await world.expect('healthy', () => world.healthy(), 30_000);
  });

  test('SIGTERM leaves PostgreSQL running, and a new agent finds it', async () => {
    const world = await World.ready({ seed: 303 });
    const leader = world.primary;
    const { process } = leader.server;
    world.checkers.onlyHolder = false;
    world.patchConfig({ pause: true });
    await world.run(3000);
    leader.running.shutdown();
    await world.expect('the agent gone', () => leader.agent === null, 2000);
    expect(leader.exitCode).toBe(0);
    await world.run(30_000);
    leader.startAgent();
    await world.run(5000);
    world.patchConfig({ pause: false });
    await world.run(20_000);
    expect(leader.server.process).toBe(process);
    expect(world.primary).toBe(leader);
  });

  test('a switchover by name is carried out', async () => {
    const world = await World.ready({ seed: 304 });
    const old = world.primary;
    const successor = world.replicas[1]!;
    world.patchConfig({ pause: true });
    await world.run(3000);
    world.askFailover({ leader: old.name, member: successor.name });
    await world.expect('the candidate leads', () => world.leader === successor, 10_000);
  });
});

describe('restart at the operator’s request', () => {
  test('of the primary: it comes back as the primary, and no other member leads meanwhile', async () => {
    const world = await World.ready({ seed: 311 });
    const leader = world.primary;
    const before = pid(leader);
    const kept = asked(leader.operator.restart({}));
    await world.expect('an answer', () => kept.answer !== null, 10_000);
    expect(kept.answer).toEqual({ ok: true, message: 'restarted successfully' });
    expect(pid(leader)).not.toBe(before);
    expect(world.primary).toBe(leader);
    expect(leader.server.position.branch.timeline).toBe(1);
  });

  test('of a replica, and one at a time', async () => {
    const world = await World.ready({ seed: 312 });
    const replica = world.replicas[0]!;
    const first = asked(replica.operator.restart({ role: 'replica' }));
    const second = asked(replica.operator.restart({}));
    await world.expect('both answers', () => first.answer !== null && second.answer !== null, 10_000);
    expect(first.answer).toMatchObject({ ok: true });
    expect(second.answer).toMatchObject({ ok: false, status: 503 });
    await world.expect('healthy', () => world.healthy(), 5000);
  });

  test('conditions that do not hold are told at once', async () => {
    const world = await World.ready({ seed: 313 });
    const leader = world.primary;
    const kept = asked(leader.operator.restart({ role: 'replica' }));
    await world.expect('an answer', () => kept.answer !== null, 100);
    expect(kept.answer).toEqual({ ok: false, status: 503, message: 'restart conditions are not satisfied' });
  });

  test('a server that does not come up: the operator is told, and another leads', async () => {
    const world = await World.ready({ seed: 314 });
    const leader = world.primary;
    leader.server.failStarts = 3;
    const kept = asked(leader.operator.restart({}));
    await world.expect('an answer', () => kept.answer !== null, 20_000);
    expect(kept.answer).toMatchObject({ ok: false, status: 503 });
    await world.expect('healthy in the end', () => world.healthy(), 60_000);
  });

  test('scheduled: at its time, once, and shown to the others until then', async () => {
    const world = await World.ready({ seed: 315 });
    const replica = world.replicas[0]!;
    const before = pid(replica);
    const due = replica.clock.wallMs() + 150_000;
    const startedAt = replica.operator.status().sql!.postmasterStartTime;
    const data = { schedule: new Date(Math.round(due)).toISOString(), postmaster_start_time: startedAt };
    expect(replica.operator.scheduleRestart(data, {}, due)).toBe(true);
    expect(replica.operator.scheduleRestart(data, {}, due)).toBe(false);
    await world.run(10_000);
    expect(world.etcd.view().members.find((member) => member.name === replica.name)?.scheduledRestart).toEqual(data);
    await world.run(138_000);
    expect(pid(replica)).toBe(before);
    await world.expect('restarted', () => pid(replica) !== before && replica.server.running, 5000);
    const after = pid(replica);
    await world.run(20_000);
    expect(pid(replica)).toBe(after);
    expect(world.etcd.view().members.find((member) => member.name === replica.name)?.scheduledRestart).toBeNull();
  });

  test('scheduled, and dropped because PostgreSQL was restarted meanwhile', async () => {
    const world = await World.ready({ seed: 317 });
    const replica = world.replicas[0]!;
    const data = { postmaster_start_time: replica.operator.status().sql!.postmasterStartTime };
    expect(replica.operator.scheduleRestart(data, {}, replica.clock.wallMs() + 40_000)).toBe(true);
    const kept = asked(replica.operator.restart({}));
    await world.expect('restarted', () => kept.answer !== null && replica.server.running, 20_000);
    const between = pid(replica);
    await world.run(60_000);
    expect(pid(replica)).toBe(between);
  });

  test('scheduled and taken back', async () => {
    const world = await World.ready({ seed: 316 });
    const replica = world.replicas[0]!;
    const before = pid(replica);
    replica.operator.scheduleRestart({}, {}, replica.clock.wallMs() + 20_000);
    expect(replica.operator.deleteScheduledRestart()).toBe(true);
    expect(replica.operator.deleteScheduledRestart()).toBe(false);
    await world.run(40_000);
    expect(pid(replica)).toBe(before);
  });
});

describe('reinitialize', () => {
  test('a replica is cloned again', async () => {
    const world = await World.ready({ seed: 321 });
    const replica = world.replicas[0]!;
    const kept = asked(replica.operator.reinitialize({ force: false, fromLeader: false }));
    await world.expect('an answer', () => kept.answer !== null, 1000);
    expect(kept.answer).toMatchObject({ ok: true, message: 'reinitialize started' });
    await world.expect('a clone', () => replica.server.work === 'clone', 5000);
    const told = () => ({ ...replica.operator.status().reinitialization });
    expect(told()).toEqual({ job: jobOf(kept), state: 'running', reason: null });
    await world.expect('healthy', () => world.healthy(), 20_000);
    expect(told()).toEqual({ job: jobOf(kept), state: 'done', reason: null });
  });

  test('asked for when the leader has just died: the last copy of the data stays, and leads', async () => {
    const world = await World.ready({ seed: 324, nodes: ['a', 'b'] });
    const old = world.primary;
    const replica = world.replicas[0]!;
    old.crash();
    asked(replica.operator.reinitialize({ force: false, fromLeader: false }));
    await world.expect('it leads', () => world.leader === replica, 60_000);
    old.boot();
    await world.expect('healthy', () => world.healthy(), 30_000);
  });

  test('while it has begun on the member with the highest priority, another member leads', async () => {
    const world = await World.ready({ seed: 326, tags: { a: {}, b: { failover_priority: 2 }, c: { failover_priority: 3 } } });
    const replica = world.replicas.reduce((one, other) => (failoverPriority(one.tags) > failoverPriority(other.tags) ? one : other));
    const [rest] = world.replicas.filter((other) => other !== replica);
    await world.run(5000);
    replica.server.durations = { ...replica.server.durations, fastStopMs: [5000, 5000] };
    asked(replica.operator.reinitialize({ force: false, fromLeader: true }));
    await world.expect('it has begun', () => replica.operator.status().state === 'creating replica', 1000);
    expect(replica.server.process?.phase).toBe('running');
    world.primary.crash();
    world.etcd.delete('leader');
    await world.expect('another leads', () => world.leader === rest, 5000);
  });

  test('a request that cannot be fulfilled is dropped, and does not remove data later', async () => {
    const world = await World.ready({ seed: 325 });
    const replica = world.replicas[0]!;
    world.checkers.onlyHolder = false;
    world.etcd.put('leader', 'nobody-known', null);
    await world.run(1000);
    const kept = asked(replica.operator.reinitialize({ force: false, fromLeader: false }));
    await world.run(35_000);
    expect(kept.answer).toMatchObject({ ok: true });
    expect(replica.operator.status().reinitialization).toMatchObject({ job: jobOf(kept), state: 'failed' });
    expect(replica.operator.status().reinitialization?.reason).toContain('could not begin within 30 seconds');
    world.etcd.delete('leader');
    await world.expect('healthy', () => world.healthy(), 30_000);
    await world.run(10_000);
    expect(replica.rules).not.toContain('request.reinitialize');
  });

  test('the leader refuses', async () => {
    const world = await World.ready({ seed: 322 });
    const kept = asked(world.primary.operator.reinitialize({ force: true, fromLeader: false }));
    await world.expect('an answer', () => kept.answer !== null, 1000);
    expect(kept.answer).toMatchObject({ ok: false, status: 503 });
  });

  test('while it is being cloned: refused; with force it begins again', async () => {
    const world = await World.ready({ seed: 323 });
    const replica = world.replicas[0]!;
    replica.server.durations = { ...replica.server.durations, cloneMs: [30_000, 30_000] };
    const first = asked(replica.operator.reinitialize({ force: false, fromLeader: false }));
    await world.expect('a clone', () => replica.server.work === 'clone', 5000);
    await world.run(3000);
    const refused = asked(replica.operator.reinitialize({ force: false, fromLeader: false }));
    await world.expect('an answer', () => refused.answer !== null, 1000);
    expect(refused.answer).toMatchObject({ ok: false, status: 503 });
    replica.server.durations = { ...replica.server.durations, cloneMs: [1000, 1000] };
    const forced = asked(replica.operator.reinitialize({ force: true, fromLeader: false }));
    await world.expect('healthy', () => world.healthy(), 8000);
    expect(forced.answer).toMatchObject({ ok: true });
    expect(jobOf(forced)).not.toBe(jobOf(first));
    expect(replica.operator.status().reinitialization).toEqual({ job: jobOf(forced), state: 'done', reason: null });
    // The copy that was begun again is not removed once it is there.
    await world.run(20_000);
    expect(world.lines.filter((line) => line.includes(`${replica.name} PostgreSQL runs as standby`))).toHaveLength(2);
  });
});

test('a promotion under way is called off when the key is lost', async () => {
  const world = await World.ready({ seed: 331 });
  const old = world.primary;
  for (const machine of world.replicas) machine.server.durations = { ...machine.server.durations, promoteMs: [5000, 5000] };
  old.crash();
  await world.expect('a promotion', () => world.machines.some((machine) => machine.server.process?.promoting === true), 20_000);
  const successor = world.machines.find((machine) => machine.server.process?.promoting === true)!;
  const { process } = successor.server;
  world.etcd.put('leader', 'somebody-else', null);
  await world.expect('its PostgreSQL is stopped', () => successor.server.process !== process, 2000);
  await world.run(100);
  expect(successor.rules).toContain('fence.job-without-lock');
  expect(successor.server.signal).toBe(true);
});
