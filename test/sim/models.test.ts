/** The models themselves: what the agents are judged on must be right. */
import { describe, expect, test } from 'vitest';
import { divergenceFrom } from '../../src/core/divergence.ts';
import { sleep } from '../../src/ports/clock.ts';
import { Gate, MachineClock, processClock, Simulation } from './clock.ts';
import { simDcs } from './dcs.ts';
import { Etcd } from './etcd.ts';
import { Network } from './network.ts';
import { Rng } from './rng.ts';
import { runSwarm } from './swarm.ts';
import { areTwins, Branch, commitsIn, FIRST_LSN, isPrefix, plus } from './wal.ts';
import { World } from './world.ts';

const machineWith = (rate = 1) => {
  const sim = new Simulation();
  const machine = new MachineClock(sim, { bootMs: 1000, wallMs: 5000, rate });
  const gate = new Gate(sim, null);
  return { sim, machine, gate, clock: processClock(sim, machine, gate, new Rng(1)) };
};

describe('virtual time', () => {
  test('events run in order, and every promise settles before the next', async () => {
    const { sim, clock } = machineWith();
    const seen: string[] = [];
    void (async () => {
      await sleep(clock, 10);
      for (let i = 0; i < 5; i += 1) await Promise.resolve();
      seen.push('after ten');
    })();
    sim.after(10, () => seen.push('at ten, asked for later'));
    sim.after(11, () => seen.push('at eleven'));
    await sim.run(20);
    expect(seen).toEqual(['after ten', 'at ten, asked for later', 'at eleven']);
    expect(sim.now).toBe(20);
  });

  test('a fast clock is ahead, and its timers are early', async () => {
    const { sim, clock } = machineWith(1.01);
    let firedAt = 0;
    clock.timer(1010, () => {
      firedAt = sim.now;
    });
    await sim.run(10_000);
    expect(firedAt).toBeCloseTo(1000, 3);
    expect(clock.bootMs()).toBeCloseTo(1000 + 10_100, 3);
  });

  test('while the machine sleeps the boot clock goes on, the monotonic one and timers do not', async () => {
    const { sim, machine, gate, clock } = machineWith();
    let firedAt = 0;
    clock.timer(1000, () => {
      firedAt = sim.now;
    });
    await sim.run(500);
    machine.suspend();
    gate.freeze();
    await sim.run(5000);
    machine.resume();
    gate.thaw();
    expect(clock.bootMs() - clock.monotonicMs()).toBeCloseTo(5000, 3);
    await sim.run(2000);
    expect(firedAt).toBeCloseTo(6000, 3);
  });

  test('a frozen process runs what waited when it is thawed, timers first; a killed one never', async () => {
    const { sim, gate, clock } = machineWith();
    const inner = new Gate(sim, gate);
    const seen: string[] = [];
    const cancel = clock.timer(50, () => seen.push('cancelled'));
    clock.timer(100, () => seen.push('timer'));
    sim.after(60, () => gate.deliver('message', () => seen.push('message')));
    sim.after(60, () => inner.deliver('message', () => seen.push('inner')));
    gate.freeze();
    await sim.run(200);
    expect(seen).toEqual([]);
    cancel();
    gate.thaw();
    await sim.run(1);
    expect(seen).toEqual(['timer', 'message', 'inner']);
    gate.kill();
    inner.deliver('message', () => seen.push('too late'));
    await sim.run(1);
    expect(seen).toHaveLength(3);
  });
});

describe('the model of etcd', () => {
  test('a lease ends after its ttl, not before, and takes its keys along in one revision', async () => {
    const sim = new Simulation();
    const etcd = new Etcd(sim);
    const lease = etcd.grant(5);
    etcd.put('leader', 'a', lease);
    etcd.put('members/a', '{}', lease);
    await sim.run(4900);
    expect(etcd.get('leader')).not.toBeNull();
    const before = etcd.revision;
    await sim.run(700);
    expect(etcd.get('leader')).toBeNull();
    expect(etcd.get('members/a')).toBeNull();
    expect(etcd.revision).toBe(before + 1n);
    expect(etcd.keepAlive(lease)).toBe(0);
  });

  test('a lost reply: the write took effect, the caller is told that this is unknown, and asking again finds it done', async () => {
    const { sim, gate, clock } = machineWith();
    const etcd = new Etcd(sim);
    const net = new Network(new Rng(3));
    const dcs = simDcs({ sim, net, etcd, machine: 'a', gate, clock });
    const lease = etcd.grant(10);
    net.lostReplies.set('a', 1);
    const outcomes: unknown[] = [];
    const ask = () =>
      dcs.acquireLeader('a', lease, { timeoutMs: 500 }).then(outcomes.push.bind(outcomes), (error) => outcomes.push(error.code));
    void ask();
    await sim.run(1000);
    net.healAll();
    void ask();
    await sim.run(1000);
    expect(etcd.get('leader')?.value).toBe('a');
    expect(outcomes).toEqual(['DCS_UNREACHABLE', true]);
  });

  test('a watch that was cut off tells afterwards what happened meanwhile', async () => {
    const { sim, gate, clock } = machineWith();
    const etcd = new Etcd(sim);
    const net = new Network(new Rng(3));
    net.onChange = () => sim.disturbed();
    const dcs = simDcs({ sim, net, etcd, machine: 'a', gate, clock });
    const seen: Array<string | null> = [];
    const watch = dcs.watch(({ key }) => seen.push(key));
    await sim.run(100);
    etcd.put('config', '{}', null);
    await sim.run(100);
    net.cut('a', 'etcd');
    etcd.put('leader', 'b', null);
    await sim.run(1000);
    expect(seen).toEqual([null, 'config']);
    net.healAll();
    await sim.run(1000);
    expect(seen).toEqual([null, 'config', 'leader']);
    watch.close();
    etcd.put('leader', 'c', null);
    await sim.run(1000);
    expect(seen).toHaveLength(3);
  });
});

test('WAL: prefixes, commits, and twins that no history tells apart', () => {
  const first = new Branch(1, null, FIRST_LSN, '');
  const fork = plus(FIRST_LSN, 300);
  first.records.push({ lsn: plus(FIRST_LSN, 100), id: 1 }, { lsn: plus(FIRST_LSN, 400), id: 2 });
  const second = new Branch(2, first, fork, 'why');
  const twin = new Branch(2, first, fork, 'why');
  second.records.push({ lsn: plus(fork, 100), id: 3 });
  const onFirst = { branch: first, lsn: plus(FIRST_LSN, 400) };
  const onSecond = { branch: second, lsn: plus(fork, 100) };
  expect(isPrefix({ branch: first, lsn: fork }, onSecond)).toBe(true);
  expect(isPrefix(onFirst, onSecond)).toBe(false);
  expect([...commitsIn(onSecond)].sort()).toEqual([1, 3]);
  expect(areTwins(onSecond, { branch: twin, lsn: plus(fork, 50) })).toBe(true);
  expect(areTwins(onFirst, onSecond)).toBe(false);
});

describe('the whole world', () => {
  const config = { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode: 'quorum' };

  test('the same seed gives the same trace, another one another', async () => {
    const hashes: string[] = [];
    for (const seed of [4, 4, 5]) hashes.push((await runSwarm({ seed, config, faultMs: 30_000, noLoss: true })).hash());
    expect(hashes[0]).toBe(hashes[1]);
    expect(hashes[2]).not.toBe(hashes[0]);
  });

  test('commits wait for the standbys in synchronous_standby_names', async () => {
    const world = await World.ready({ seed: 6, config });
    await world.expect('a synchronous set of both', () => /ANY 1 \(\w,\w\)/.test(world.primary.server.live.syncNames), 10_000);
    const { primary } = world;
    for (const replica of world.replicas) world.net.cut(primary.name, replica.name);
    expect(world.clients.write(primary)).toBe(true);
    await world.run(1500);
    expect(world.clients.acknowledged).toHaveLength(0);
    world.net.heal(primary.name, world.replicas[0]!.name);
    await world.expect('acknowledged', () => world.clients.acknowledged.length === 1, 1000);
  });

  test('the agent recognizes a diverged node', async () => {
    const world = await World.ready({ seed: 8 });
    const old = world.primary;
    const replica = world.replicas[0]!;
    world.net.cut(old.name, replica.name);
    world.net.cut(old.name, world.replicas[1]!.name);
    await world.run(100);
    for (let i = 0; i < 10; i += 1) world.clients.write(old);
    old.crash();
    await world.expect('a successor', () => world.leader !== null, 30_000);
    world.net.healAll();
    expect(divergenceFrom({ ...replica.running.rounds.last!.observation.pg }, null)).toBe('unknown');
    old.boot();
    await world.expect('rewound', () => world.healthy(), 30_000);
    expect(old.rules).toContain('mend.rewind');
    expect(world.clients.missingOn(world.primary).length).toBe(world.clients.acknowledged.length);
  });
});

describe('the checkers catch', () => {
  test('a second server that takes writes', async () => {
    const world = await World.ready({ seed: 9 });
    const replica = world.replicas[0]!;
    replica.server.promote();
    await expect(world.run(2000)).rejects.toThrow(/S2: /);
  });

  test('a server that outlives its guard’s deadline', async () => {
    const world = await World.ready({ seed: 10 });
    const old = world.primary;
    old.killAgent();
    world.etcd.stop();
    old.server.stopImmediate = () => undefined;
    await expect(world.run(15_000)).rejects.toThrow(/S2: .*deadline/);
  });

  test('an acknowledged commit that its successor lacks', async () => {
    const world = await World.ready({ seed: 13 });
    world.checkers.noLoss = true;
    const old = world.primary;
    for (const replica of world.replicas) world.net.cut(old.name, replica.name);
    world.clients.write(old);
    await world.run(100);
    old.crash();
    await expect(world.run(30_000)).rejects.toThrow(/S1: /);
  });
});
