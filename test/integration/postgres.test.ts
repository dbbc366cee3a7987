/** The adapter on real servers, through the port alone, also when things fail. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { clearIncomplete, markIncomplete } from '../../src/adapters/postgres/data-dir.ts';
import { findServerProcesses } from '../../src/adapters/postgres/detect.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { Postgres } from '../../src/ports/postgres.ts';
import { findBinDir } from './support/bin-dir.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, eventually, foundCluster, recordingLog, settingsFor, sourceOf, sql, temporaryHome } from './support/postgres.ts';

const START = { timeoutMs: 30_000 };
const QUICK = { timeoutMs: 20_000 };
/** Nobody asks: it is told. The room is for a busy machine. */
const NOTICED_MS = 2000;
const ROOM_MS = 2000;
const UNCHANGED = { changed: false, notWritten: [] };
const PRIMARY = { kind: 'primary' } as const;
type Home = Awaited<ReturnType<typeof temporaryHome>>;

let home: Home;
const opened: Postgres[] = [];

/** Closed after the test, in whatever way it ends. */
function open(settings: Settings, log = recordingLog()): Postgres {
  const adapter = adapterFor(settings, log);
  opened.push(adapter);
  return adapter;
}

async function closeAll(): Promise<void> {
  for (const adapter of opened.splice(0)) await adapter.close();
}

const member = async (name: string, more: Partial<Parameters<typeof settingsFor>[0]> = {}) =>
  settingsFor({ home: home.path, name, port: await freePort(), ...more });

const signal = (pid: number, name: NodeJS.Signals) => process.kill(pid, name);

function countServerProcesses(settings: Settings): number {
  const all = findServerProcesses(settings.postgresql.dataDir);
  for (const one of all) one.release();
  return all.length;
}

describe('one server', () => {
  let settings: Settings;
  let adapter: Postgres;

  beforeAll(async () => {
    home = await temporaryHome();
    settings = await member('alone');
    await foundCluster(adapterFor(settings));
  });
  afterAll(() => home.remove());
  beforeEach(async () => {
    adapter = open(settings);
    if ((await adapter.observe(QUICK)).state === 'stopped') await adapter.start(PRIMARY, START);
  });
  afterEach(closeAll);

  test('bootstrap leaves a running primary that observe describes', async () => {
    const facts = await adapter.observe(QUICK);
    expect(facts).toMatchObject({ dataDir: 'valid', state: 'running', control: null, localHistory: [], standbySignal: false });
    expect(facts.systemIdentifier).toMatch(/^\d{18,20}$/);
    expect(facts.sql).toMatchObject({
      inRecovery: false,
      timeline: 1,
      receiver: null,
      replication: [],
      pendingRestart: {},
      replayPaused: false,
    });
    expect(facts.sql?.postmasterStartTime).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00$/);
    expect(facts.sql?.flushLsn).toBeGreaterThan(0n);
    const rows = await sql<{ rolname: string; rolreplication: boolean }>(
      settings,
      `SELECT rolname, rolreplication FROM pg_roles WHERE rolname !~ '^pg_'`,
    );
    expect(rows.find((row) => row.rolname === 'replicator')?.rolreplication).toBe(true);
    expect(rows.some((row) => row.rolname === 'rewinder')).toBe(true);
  });

  test('passwords are not in arguments, or in files others may read', async () => {
    const { postmaster } = await adapter.observe(QUICK);
    expect(readFileSync(`/proc/${postmaster?.pid}/cmdline`, 'utf8')).not.toContain("'pass");
    const conf = join(settings.postgresql.dataDir, 'postgresql.conf');
    expect(statSync(conf).mode & 0o077).toBe(0);
  });

  test('stop in good order, start again, with the pid known at once', async () => {
    await adapter.stop('fast', QUICK);
    const stopped = await adapter.observe(QUICK);
    expect(stopped).toMatchObject({ state: 'stopped', postmaster: null, sql: null, control: { state: 'shut down', timeline: 1 } });
    const pids: number[] = [];
    await adapter.start(PRIMARY, { ...START, onSpawn: (pid) => pids.push(pid) });
    const started = await adapter.observe(QUICK);
    expect(pids).toEqual([started.postmaster?.pid]);
    expect(started.state).toBe('running');
    expect(started.systemIdentifier).toBe(stopped.systemIdentifier);
    // A session of its own, no pipe, none of the agent's variables: it outlives the agent.
    const { pid } = started.postmaster!;
    const session = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[3];
    expect(Number(session)).toBe(pid);
    for (const fd of [0, 1, 2]) expect(readlinkSync(`/proc/${pid}/fd/${fd}`)).toMatch(/^\//);
    await expect(adapter.start(PRIMARY, START)).rejects.toMatchObject({ code: 'PG_RUNNING' });
    await expect(adapter.removeDataDirectory({ ...QUICK, keepAside: true })).rejects.toMatchObject({ code: 'PG_RUNNING' });
  });

  test('a new agent adopts the running server, and hears of its death', async () => {
    const before = await adapter.observe(QUICK);
    await adapter.close();
    const successor = open(settings);
    const after = await successor.observe(QUICK);
    for (const reloaded of [true, false]) expect(await successor.apply(PRIMARY, QUICK)).toEqual({ ...UNCHANGED, reloaded });
    expect(after).toMatchObject({ state: 'running', postmaster: before.postmaster });
    const gone = new Promise<number>((resolve) => successor.onPostmasterGone(() => resolve(performance.now())));
    const killedAt = performance.now();
    signal(after.postmaster!.pid, 'SIGKILL');
    expect((await gone) - killedAt).toBeLessThan(NOTICED_MS);
    expect(await successor.observe(QUICK)).toMatchObject({ state: 'stopped', control: { state: 'in production' } });
  });

  test('kill -9 of a postmaster of our own is noticed at once, and a start does not trip over its orphans', async () => {
    await adapter.stop('fast', QUICK);
    await adapter.start(PRIMARY, START);
    const { postmaster } = await adapter.observe(QUICK);
    const gone = new Promise<number>((resolve) => adapter.onPostmasterGone(() => resolve(performance.now())));
    const killedAt = performance.now();
    signal(postmaster!.pid, 'SIGKILL');
    expect((await gone) - killedAt).toBeLessThan(NOTICED_MS);
    await adapter.start(PRIMARY, START);
    expect((await adapter.observe(QUICK)).state).toBe('running');
  });

  test('a frozen postmaster is unresponsive within the deadline, and stop ends it', async () => {
    const { postmaster } = await adapter.observe(QUICK);
    signal(postmaster!.pid, 'SIGSTOP');
    // A process stops when it is next scheduled, which a busy machine may put off.
    await eventually('the postmaster has stopped', 20_000, async () => / T /.test(readFileSync(`/proc/${postmaster!.pid}/stat`, 'utf8')));
    const askedAt = performance.now();
    expect(await adapter.observe({ timeoutMs: 500 })).toMatchObject({ state: 'unresponsive', sql: null, postmaster });
    expect(performance.now() - askedAt).toBeLessThan(500 + ROOM_MS);
    await adapter.stop('fast', { timeoutMs: 2000 });
    expect(countServerProcesses(settings)).toBe(0);
    expect((await adapter.observe(QUICK)).state).toBe('stopped');
  });

  test('a server frozen as a whole is unresponsive within the deadline, too', async () => {
    await adapter.observe(QUICK);
    const all = findServerProcesses(settings.postgresql.dataDir);
    const postmaster = all.find((one) => all.some((other) => other.ppid === one.pid));
    for (const one of all) if (one !== postmaster) one.signal('SIGSTOP');
    const askedAt = performance.now();
    const facts = await adapter.observe({ timeoutMs: 500 });
    expect(performance.now() - askedAt).toBeLessThan(500 + ROOM_MS);
    expect(facts).toMatchObject({ state: 'unresponsive', postmaster: { pid: postmaster?.pid } });
    await adapter.stop('immediate', { timeoutMs: 1000 });
    for (const one of all) one.release();
    expect(countServerProcesses(settings)).toBe(0);
  });

  test('a consumer of a logical slot that does not confirm does not hold up a fast stop', async () => {
    const logical = { ...settings, controlledParameters: { ...settings.controlledParameters, wal_level: 'logical' } };
    adapter.configure(logical);
    await adapter.stop('fast', QUICK);
    await adapter.start(PRIMARY, START);
    await sql(settings, `SELECT pg_create_logical_replication_slot('slow', 'test_decoding')`);
    const { database, superuser } = settings.postgresql;
    const args = ['-h', '127.0.0.1', '-p', String(settings.postgresql.port), '-U', superuser.username, '-d', database];
    const consumer = spawn(join(findBinDir(), 'pg_recvlogical'), [...args, '--slot=slow', '--start', '-f', '/dev/null'], {
      stdio: 'ignore',
      env: { ...process.env, PGPASSWORD: superuser.password ?? '' },
    });
    try {
      await eventually(
        'the consumer is connected',
        20_000,
        async () => (await adapter.observe(QUICK)).sql?.replication[0]?.state === 'streaming',
      );
      consumer.kill('SIGSTOP');
      await sql(settings, 'CREATE TABLE much AS SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 20000) i');
      const askedAt = performance.now();
      await adapter.stop('fast', { timeoutMs: 20_000 });
      expect(performance.now() - askedAt).toBeLessThan(15_000);
      // Not by force: the checkpoint was written.
      expect((await adapter.observe(QUICK)).control?.state).toBe('shut down');
    } finally {
      consumer.kill('SIGKILL');
    }
    await adapter.start(PRIMARY, START);
    await sql(settings, `SELECT pg_drop_replication_slot('slow')`);
    await adapter.stop('fast', QUICK);
    adapter.configure(settings);
  });

  test('a start that fails says why in PostgreSQL own words', async () => {
    await adapter.stop('fast', QUICK);
    const conf = join(settings.postgresql.dataDir, 'postgresql.base.conf');
    const good = readFileSync(conf);
    writeFileSync(conf, `${good}\nthis is not a setting\n`);
    await expect(adapter.start(PRIMARY, START)).rejects.toMatchObject({
      code: 'PG_START_FAILED',
      message: expect.stringContaining('syntax error'),
    });
    writeFileSync(conf, good);
    await adapter.start(PRIMARY, START);
  });

  test('setSyncNames returns when commits wait for standbys, and lets them go again', async () => {
    await adapter.setSyncNames('ANY 1 (nobody)', QUICK);
    expect((await adapter.observe(QUICK)).sql?.synchronousStandbyNames).toBe('ANY 1 (nobody)');
    const write = sql(settings, 'CREATE TABLE waits (i int)').then(() => 'done');
    await eventually('the commit waits', 20_000, async () => {
      const rows = await sql(settings, `SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
      return rows.length > 0;
    });
    await adapter.setSyncNames('', QUICK);
    expect(await write).toBe('done');
  });

  test('apply reloads what can be reloaded and shows what waits for a restart', async () => {
    await adapter.apply(PRIMARY, QUICK);
    expect(await adapter.apply(PRIMARY, QUICK)).toEqual({ ...UNCHANGED, reloaded: false });
    adapter.configure({
      ...settings,
      parameters: { ...settings.parameters, work_mem: '5MB', shared_buffers: '24MB' },
      controlledParameters: { ...settings.controlledParameters, max_connections: '31' },
    });
    expect(await adapter.apply(PRIMARY, QUICK)).toEqual({ changed: true, reloaded: true, notWritten: [] });
    expect((await sql(settings, 'SHOW work_mem'))[0]).toEqual({ work_mem: '5MB' });
    const facts = await adapter.observe(QUICK);
    expect(facts.sql?.pendingRestart).toEqual({
      max_connections: { old_value: '30', new_value: '31' },
      shared_buffers: { old_value: '128MB', new_value: '24MB' },
    });
    await adapter.stop('fast', QUICK);
    await adapter.start(PRIMARY, START);
    expect((await adapter.observe(QUICK)).sql?.pendingRestart).toEqual({});
    adapter.configure(settings);
    await adapter.stop('fast', QUICK);
    await adapter.start(PRIMARY, START);
  });

  test('work that was interrupted makes the directory incomplete', async () => {
    await adapter.stop('fast', QUICK);
    await markIncomplete(settings.postgresql.dataDir, 'rewind');
    expect(await adapter.observe(QUICK)).toMatchObject({ dataDir: 'incomplete', incompleteWork: 'rewind', state: 'stopped' });
    await expect(adapter.start(PRIMARY, START)).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
    await clearIncomplete(settings.postgresql.dataDir);
  });

  test('callbacks get action, role and scope; a newer one ends the older; pre_promote decides', async () => {
    const seen = join(home.path, 'callbacks');
    const script = (body: string) => `sh -c '${body}' callback`;
    adapter.configure({
      ...settings,
      postgresql: {
        ...settings.postgresql,
        callbacks: { on_role_change: script(`echo "$1 $2 $3" >> ${seen}; [ $2 = replica ] && sleep 30; echo "end $2" >> ${seen}`) },
        prePromote: script('exit 3'),
      },
    });
    await adapter.runCallback('on_role_change', 'replica');
    await eventually('the first callback runs', 20_000, () => existsSync(seen) && readFileSync(seen, 'utf8').includes('replica'));
    await adapter.runCallback('on_role_change', 'primary');
    await adapter.runCallback('on_start', 'primary');
    await eventually('the second callback ends', 20_000, () => readFileSync(seen, 'utf8').includes('end primary'));
    expect(readFileSync(seen, 'utf8')).toBe('on_role_change replica test\non_role_change primary test\nend primary\n');
    expect(await adapter.prePromote(QUICK)).toBe(false);
    adapter.configure(settings);
    expect(await adapter.prePromote(QUICK)).toBe(true);
  });
});

describe('a primary and its standby', () => {
  let first: Settings;
  let second: Settings;
  let a: Postgres;
  let b: Postgres;

  beforeAll(async () => {
    home = await temporaryHome();
    first = await member('first');
    second = await member('second');
    a = await foundCluster(adapterFor(first));
    b = adapterFor(second);
  });
  afterAll(async () => {
    await a.close();
    await b.close();
    await home.remove();
  });

  const streaming = (primary: Postgres, standby: Postgres) =>
    eventually('the standby streams and has replayed everything', 40_000, async () => {
      const [up, down] = await Promise.all([primary.observe(QUICK), standby.observe(QUICK)]);
      const sender = up.sql?.replication[0];
      return sender?.state === 'streaming' && down.sql?.receiver != null && down.sql.replayLsn === up.sql?.flushLsn ? { up, down } : null;
    });

  test('clone, stream, report', async () => {
    await b.clone(sourceOf(first), { timeoutMs: 60_000, fromLeader: true });
    expect(await b.observe(QUICK)).toMatchObject({ dataDir: 'valid', state: 'stopped' });
    await b.start({ kind: 'standby', source: sourceOf(first) }, START);
    await sql(first, 'CREATE TABLE t (i int)');
    const { up, down } = await streaming(a, b);
    expect(down.sql).toMatchObject({
      inRecovery: true,
      timeline: 1,
      flushLsn: null,
      receiver: { status: 'streaming', receivedTimeline: 1 },
    });
    expect(down.systemIdentifier).toBe(up.systemIdentifier);
    expect(down.sql?.receiveLsn).toBe(up.sql?.flushLsn);
    expect(up.sql?.replication).toMatchObject([
      { usename: 'replicator', applicationName: 'second', syncState: 'async', replyTime: expect.stringMatching(/^\d{4}-/) },
    ]);
    expect(down.standbySignal).toBe(true);
    expect(await b.sourceHistory(sourceOf(first), QUICK)).toMatchObject({
      name: 'first',
      systemIdentifier: up.systemIdentifier,
      timeline: 1,
      history: [],
      inRecovery: false,
    });
    expect((await a.sourceHistory(sourceOf(second), QUICK)).inRecovery).toBe(true);
  });

  test('promotion, with the new history told by both sides', async () => {
    await a.checkpoint(QUICK);
    await sql(first, 'INSERT INTO t VALUES (1)');
    await streaming(a, b);
    await a.stop('immediate', QUICK);
    await b.promote(QUICK);
    const facts = await b.observe(QUICK);
    expect(facts.sql).toMatchObject({ inRecovery: false, timeline: 2 });
    expect(facts.localHistory).toMatchObject([{ timeline: 1, reason: 'no recovery target specified' }]);
    const told = await a.sourceHistory(sourceOf(second), QUICK);
    expect(told).toMatchObject({ timeline: 2, inRecovery: false });
    expect(told.history).toEqual(facts.localHistory);
    expect(await sql(second, 'SELECT i FROM t')).toEqual([{ i: 1 }]);
  });

  test('a diverged primary is rewound and streams from its successor', async () => {
    await a.start(PRIMARY, START);
    await sql(first, 'INSERT INTO t VALUES (100)');
    await a.stop('fast', QUICK);
    await sql(second, 'INSERT INTO t VALUES (2)');
    await b.checkpoint(QUICK);
    await a.rewind(sourceOf(second), { timeoutMs: 60_000 });
    expect(await a.observe(QUICK)).toMatchObject({ dataDir: 'valid', state: 'stopped' });
    await a.start({ kind: 'standby', source: sourceOf(second) }, START);
    const { down } = await streaming(b, a);
    expect(down.sql?.timeline).toBe(2);
    expect(down.localHistory).toMatchObject([{ timeline: 1 }]);
    expect(await sql(first, 'SELECT i FROM t ORDER BY i')).toEqual([{ i: 1 }, { i: 2 }]);
  });

  test('without its source a standby still knows its timeline', async () => {
    await b.stop('immediate', QUICK);
    const facts = await eventually('the walreceiver is gone', 30_000, async () => {
      const seen = await a.observe(QUICK);
      return seen.sql !== null && seen.sql.receiver === null && seen;
    });
    expect(facts.sql?.timeline).toBe(2);
    await a.stop('fast', QUICK);
    expect(await a.observe(QUICK)).toMatchObject({ control: { state: 'shut down in recovery' }, localHistory: [{ timeline: 1 }] });
  });

  test('a directory that was a standby stays one, even when started as a primary', async () => {
    await a.start(PRIMARY, START);
    expect((await a.observe(QUICK)).sql?.inRecovery).toBe(true);
    await a.promote(QUICK);
    expect((await a.observe(QUICK)).sql).toMatchObject({ inRecovery: false, timeline: 3 });
    await a.stop('fast', QUICK);
  });

  test('an unreachable source is reported as such', async () => {
    await expect(a.sourceHistory(sourceOf(second), { timeoutMs: 2000 })).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
    const { name, host, port } = sourceOf(second);
    expect((await a.observe(QUICK)).sourceTrouble).toBe(`waiting for ${name} to answer: ${host}:${port} refuses the connection`);
  });

  test('the old data directory is kept aside, once', async () => {
    await b.removeDataDirectory({ ...QUICK, keepAside: true });
    expect(await b.observe(QUICK)).toMatchObject({ dataDir: 'missing', systemIdentifier: null, major: null });
    expect(existsSync(join(`${second.postgresql.dataDir}.removed`, 'PG_VERSION'))).toBe(true);
  });
});
