/** What PostgreSQL does when something breaks, as far as a cluster's safety hangs on it. */
import { describe, expect, test } from 'vitest';
import { factsOf } from '../facts.ts';
import type { Machine } from '../machine.ts';
import type { SimServer } from '../server.ts';
import { Branch, FIRST_LSN, plus } from '../wal.ts';
import { World } from '../world.ts';
import { DataDirectory } from './data-directory.ts';
import type { CommitEnd } from './waiting.ts';

const quorum = { ttl: 10, loop_wait: 2, retry_timeout: 3, synchronous_mode: 'quorum' };

async function synchronous(seed: number): Promise<World> {
  const world = await World.ready({ seed, config: quorum });
  await world.expect('a synchronous set of both', () => /ANY 1 \(\w,\w\)/.test(world.primary.server.obeyed), 10_000);
  return world;
}

function commit({ server }: Machine, options = {}): { end: CommitEnd | null } {
  const told: { end: CommitEnd | null } = { end: null };
  server.commit(
    900_000,
    options,
    () => undefined,
    (how) => {
      told.end = how;
    },
  );
  return told;
}

describe('a commit that waits', () => {
  test('cancelled, is reported as done, with a warning, though no standby confirmed it (M2)', async () => {
    const world = await synchronous(401);
    const { primary } = world;
    for (const replica of world.replicas) world.net.cut(primary.name, replica.name);
    const told = commit(primary, { cancelAfterMs: 200 });
    await world.run(150);
    expect(told.end).toBeNull();
    await world.run(100);
    expect(told.end).toBe('warned');
  });

  test('is in the WAL after a crash restart although no client was told so (M3)', async () => {
    const world = await synchronous(402);
    const { server } = world.primary;
    for (const replica of world.replicas) world.net.cut(server.name, replica.name);
    const before = server.position.lsn;
    const told = commit(world.primary);
    server.die('was killed');
    expect(server.position.lsn).toBeGreaterThan(before);
    await world.run(100);
    expect(told.end).toBeNull();
  });

  test('does not wait at all where its session does not ask for it (M4)', async () => {
    const world = await synchronous(403);
    for (const replica of world.replicas) world.net.cut(world.primary.name, replica.name);
    expect(commit(world.primary, { local: true }).end).toBe('local');
  });

  test('with remote_write waits for what a standby has written and not flushed, and is gone with its power (M5)', async () => {
    const world = await synchronous(407);
    for (const { server } of world.replicas) server.hangDisk();
    const before = world.replicas.map(({ server }) => server.position.lsn);
    const [written, ordinary] = [commit(world.primary, { remoteWrite: true }), commit(world.primary)];
    await world.run(100);
    expect(ordinary.end).toBeNull();
    for (const machine of world.replicas) machine.crash();
    expect(world.replicas.map(({ server }) => server.position.lsn)).toEqual(before);
    expect(written.end).toBe('remote_write');
  });

  test('is let go when no standby is waited for any more', async () => {
    const world = await synchronous(404);
    const { server } = world.primary;
    for (const replica of world.replicas) world.net.cut(server.name, replica.name);
    const told = commit(world.primary);
    // Otherwise it puts the names back.
    world.primary.killAgent();
    server.file = { ...server.file, syncNames: '' };
    server.reload();
    await world.run(150);
    expect(told.end).toBe('acknowledged');
  });

  test('does not wait for the first names while the checkpointer has not taken them up, whatever the setting shows', async () => {
    const world = await synchronous(405);
    const { primary } = world;
    const { server } = primary;
    const names = server.file.syncNames;
    primary.killAgent();
    for (const syncNames of ['', names]) {
      server.file = { ...server.file, syncNames };
      server.reload();
      await world.run(150);
      server.sessions.checkpointerBusyUntilMs = world.sim.now + 2000;
    }
    for (const replica of world.replicas) world.net.cut(server.name, replica.name);
    expect(server.live.syncNames).toBe(names);
    // The first reload was taken up, the second not.
    expect(commit(primary).end).not.toBeNull();
    await world.run(2100);
    expect(server.obeyed).toBe(names);
  });
});

describe('a standby', () => {
  test('opens before it has replayed what is on its disk, and only then has a received position', async () => {
    const world = await synchronous(405);
    const { server } = world.replicas[0]!;
    for (let i = 0; i < 20; i += 1) commit(world.primary);
    await world.run(200);
    server.minRecovery = { ...server.position, lsn: server.checkpoint.lsn };
    server.durations = { ...server.durations, replayMs: [300, 300] };
    server.die('was killed');
    await world.expect('it opens', () => server.running, 10_000);
    expect(server.replayLsn).toBeLessThan(server.position.lsn);
    expect(server.process).toMatchObject({ replaying: true, hasReceived: false });
    await world.expect('it streams', () => server.replication.source !== null, 5000);
    expect(server.replayLsn).toBe(server.position.lsn);
  });

  test('whose replay is paused is where it receives, follows no switch of its source, and recovers along what it replayed', async () => {
    const world = await World.ready({ seed: 408 });
    const [source, paused] = world.replicas.map(({ server }) => server) as [SimServer, SimServer];
    for (const machine of world.machines) machine.killAgent();
    world.checkers.onlyHolder = false;
    paused.file = { ...paused.file, source: { host: source.name, port: 5432 }, slot: '' };
    paused.reload();
    await world.expect('it streams from the other replica', () => paused.replication.source === source, 5000);
    paused.replayPaused = true;
    paused.process!.replaying = true;
    const replayed = paused.replayLsn;
    commit(world.primary);
    await world.expect('it receives more', () => paused.position.lsn > replayed, 5000);
    expect(factsOf(paused).sql).toMatchObject({ receiveLsn: paused.position.lsn, replayLsn: replayed });
    world.primary.crash();
    source.promote();
    await world.expect('the other is promoted', () => source.commits, 10_000);
    await world.expect('it does not stream any more', () => paused.replication.source === null, 10_000);
    expect(factsOf(paused).sql).toMatchObject({ timeline: 1, replayPaused: true });
    expect(factsOf(paused).sql).not.toHaveProperty('replaying');
  });

  test('recovers by itself along the timeline it has replayed last', () => {
    const parent = new Branch(1, null, FIRST_LSN, '');
    const disk = new DataDirectory();
    disk.controlState = 'shut down in recovery';
    disk.minRecovery = { branch: parent, lsn: plus(FIRST_LSN, 100) };
    disk.position = { branch: new Branch(2, parent, plus(FIRST_LSN, 200), ''), lsn: plus(FIRST_LSN, 900) };
    disk.finishRecovery();
    expect(disk.position.branch.timeline).toBe(1);
    expect(disk.checkpoint.lsn).toBe(plus(FIRST_LSN, 200));
  });

  test('that needs WAL which is gone cannot follow, and a slot is what keeps it', async () => {
    for (const held of [true, false]) {
      const world = await World.ready({ seed: 406, config: { ...quorum, postgresql: { use_slots: held } }, walKeepBytes: 1000 });
      const standby = world.replicas[0]!;
      standby.crash();
      for (let i = 0; i < 50; i += 1) commit(world.primary);
      world.primary.server.checkpointed();
      standby.boot();
      await world.run(15_000);
      expect(standby.server.replication.source === world.primary.server).toBe(held);
      expect(standby.server.replication.obstacle).toBe(held ? null : 'wal removed');
    }
  });
});

describe('a directory restored from a backup', () => {
  const first = new Branch(1, null, FIRST_LSN, '');
  const second = new Branch(2, first, plus(FIRST_LSN, 1000), '');
  const third = new Branch(3, second, plus(FIRST_LSN, 2000), '');
  const restored = new DataDirectory();
  restored.initialize('1');
  restored.restore(restored, { branch: third, lsn: plus(FIRST_LSN, 2500) }, true);
  restored.position = { branch: third, lsn: plus(FIRST_LSN, 3000) };
  const twin = new Branch(2, first, plus(FIRST_LSN, 1000), 'opened by hand');

  test.each([
    ['has no WAL of a timeline before, whoever asks for it', twin, 1500, true],
    ['does not know what came after its history left that timeline', twin, 2200, false],
    ['has the segment in which the backup begins', third, 2100, false],
    ['has what was written since', third, 2700, false],
  ])('%s', (_what, branch, bytes, lost) => {
    expect(restored.hasLostWalAt({ branch, lsn: plus(FIRST_LSN, bytes) })).toBe(lost);
  });
});

describe('a promotion that a crash interrupts', () => {
  test.each([
    ['early, leaves the old timeline', 0.3, 1, true],
    ['late, leaves the new one without a single commit', 0.85, 2, false],
  ])('%s', async (_when, share, timeline, signal) => {
    const world = await World.ready({ seed: 407 });
    const { server } = world.replicas[0]!;
    world.checkers.onlyHolder = false;
    server.durations = { ...server.durations, promoteMs: [1000, 1000] };
    server.promote();
    await world.run(1000 * share);
    server.die('was killed');
    expect(server.position.branch.timeline).toBe(timeline);
    expect(server.signal).toBe(signal);
    expect(server.inRecovery).toBe(true);
  });
});

describe('a disk', () => {
  test('that hangs lets nothing be acknowledged, and no process be killed, until it is back', async () => {
    const world = await World.ready({ seed: 408 });
    const { primary } = world;
    primary.server.hangDisk();
    const told = commit(primary);
    await world.run(500);
    expect(told.end).toBeNull();
    primary.server.stopImmediate(20);
    await world.run(100);
    expect(primary.server.process).toMatchObject({ doomed: true });
    expect(primary.server.commits).toBe(false);
    primary.server.freeDisk();
    expect(primary.server.process).not.toMatchObject({ doomed: true });
    expect(told.end).toBeNull();
  });

  test('that is full of WAL brings the server down with the next commit; full of data it refuses commits and serves readers', async () => {
    const world = await World.ready({ seed: 409 });
    const { server } = world.primary;
    server.full = 'data';
    expect(world.clients.write(world.primary)).toBe(false);
    expect(server.running).toBe(true);
    server.full = 'wal';
    world.clients.write(world.primary);
    expect(server.process).toBeNull();
  });
});

test('a postmaster that stands still lets no client in, while existing sessions go on', async () => {
  const world = await World.ready({ seed: 410 });
  const { primary } = world;
  primary.server.process!.postmasterHung = true;
  expect(world.clients.write(primary)).toBe(false);
  expect(commit(primary).end).toBe('acknowledged');
});
