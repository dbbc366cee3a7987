/**
 * A real primary is stopped in good order while a standby's host is gone without notice. The
 * standby's walreceiver stands still, and its connection stays open.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { DRAIN_PATIENCE_MS } from '../../src/core/shutdown-wait.ts';
import { type BareNodes, bareNodes, LONG, QUICK, START } from './support/bare-nodes.ts';
import { findBinDir } from './support/bin-dir.ts';
import { freezeAlone, LOOK_AT_PARTS, LOOK_MS } from './support/freeze.ts';
import { eventually, sql } from './support/postgres.ts';

/** Far less than wal_sender_timeout, which is 60 s here. */
const SOON_MS = 15_000;

let nodes: BareNodes;
const node = (name: string) => nodes.node(name);
const of = (name: string) => nodes.settings(name);
const frozen = new Set<number>();
/** While it is there, archive_command does not end. */
const busyMark = (home = nodes.home) => join(home, 'archiver-is-busy');
const clients: ChildProcess[] = [];

/**
 * A client of the replication protocol on the old primary, which takes nothing more once it is
 * frozen.
 */
function replicationClient(program: 'pg_recvlogical' | 'pg_receivewal', ...args: string[]): ChildProcess {
  const { superuser, port } = of('old').postgresql;
  const child = spawn(join(findBinDir(), program), ['-h', '127.0.0.1', '-p', String(port), '-U', superuser.username, ...args], {
    stdio: 'ignore',
    env: { ...process.env, PGPASSWORD: superuser.password ?? '' },
  });
  clients.push(child);
  return child;
}

const isConnected = (name: string) =>
  eventually(`${name} is connected`, 2 * SOON_MS, async () => (await senders()).some((sender) => sender.applicationName === name));

/**
 * Its walsender cannot get rid of what it has to send: a logical one waits for its socket, a
 * physical one is behind.
 */
const isStuck = (name: string) =>
  eventually(`${name} takes no more`, SOON_MS, async () => {
    const rows = await sql(
      of('old'),
      `SELECT FROM pg_stat_replication r JOIN pg_stat_activity a USING (pid) WHERE r.application_name = '${name}'
      AND (a.wait_event = 'WalSenderWriteData' OR r.sent_lsn < pg_current_wal_flush_lsn() - 1000000)`,
    );
    return rows.length === 1;
  });

async function freeze(name: string): Promise<number> {
  const [receiver] = await sql<{ pid: number }>(of(name), 'SELECT pid FROM pg_stat_wal_receiver');
  frozen.add(receiver!.pid);
  await freezeAlone(receiver!.pid, () => sql(of(name), LOOK_AT_PARTS, LOOK_MS));
  return receiver!.pid;
}

function thaw(): void {
  for (const pid of frozen) process.kill(pid, 'SIGCONT');
  frozen.clear();
}

const senders = async () => (await node('old').observe(QUICK)).sql?.replication ?? [];
const senderOf = async (name: string) => (await senders()).find(({ applicationName }) => applicationName === name)!;

const bothStream = () =>
  eventually('both stream', 40_000, async () => {
    const streaming = (await senders()).filter(({ state, flushLsn }) => state === 'streaming' && flushLsn !== null);
    return streaming.length === 2;
  });

/** The shutdown checkpoint of the old primary is on that node's disk. */
async function hasShutdownOfOld(name: string): Promise<boolean> {
  const { control } = await node('old').observe(QUICK);
  expect(control?.state).toBe('shut down');
  const seen = await eventually(`${name} answers`, 60_000, async () => (await node(name).observe(QUICK)).sql);
  return seen.receiveLsn! > control!.checkpointLsn;
}

beforeAll(async () => {
  const archive = (home: string) => ({ archive_mode: 'on', archive_command: `test ! -e ${busyMark(home)} || sleep 300` });
  nodes = await bareNodes(
    ['old', 'successor', 'other'],
    (name, home) => (name === 'old' ? archive(home) : {}),
    (settings) => ({ ...settings, controlledParameters: { ...settings.controlledParameters, wal_level: 'logical' } }),
  );
  await nodes.start();
  await bothStream();
  expect(await sql(of('old'), 'SHOW wal_sender_timeout')).toEqual([{ wal_sender_timeout: '1min' }]);
});

/** Whatever became of the test: the old primary leads, and both follow. */
afterEach(async () => {
  thaw();
  rmSync(busyMark(), { force: true });
  for (const client of clients.splice(0)) client.kill('SIGKILL');
  if ((await node('old').observe(QUICK)).state === 'stopped') await node('old').start({ kind: 'primary' }, START);
  await bothStream();
});

afterAll(() => nodes?.close());

test('a standby that is gone is given up once the successor has everything; back again, it streams what it lacks', async () => {
  await freeze('other');
  const askedAt = performance.now();
  await node('old').stop('fast', { ...LONG, successors: ['successor'] });
  expect(performance.now() - askedAt).toBeLessThan(SOON_MS);
  expect(await hasShutdownOfOld('successor')).toBe(true);
  expect(await hasShutdownOfOld('other')).toBe(false);
});

test('a successor that is silent for a while is waited for, however long the others have had everything', async () => {
  await freeze('successor');
  let stopped = false;
  const stop = node('old')
    .stop('fast', { ...LONG, successors: ['successor'] })
    .then(() => {
      stopped = true;
    });
  await eventually('the other has the end of it', SOON_MS, async () => (await node('other').observe(QUICK)).sql?.receiver === null);
  // Nothing tells that nothing is going to happen but time.
  await new Promise((resolve) => setTimeout(resolve, 3 * DRAIN_PATIENCE_MS));
  expect(stopped).toBe(false);
  thaw();
  await stop;
  expect(await hasShutdownOfOld('successor')).toBe(true);
});

test('a stop without a successor waits for no standby', async () => {
  await freeze('successor');
  await freeze('other');
  const askedAt = performance.now();
  await node('old').stop('fast', { ...LONG, successors: [] });
  expect(performance.now() - askedAt).toBeLessThan(SOON_MS);
  expect((await node('old').observe(QUICK)).control?.state).toBe('shut down');
});

test('a walsender stuck in a full socket is ended while the server runs, because it would delay the shutdown checkpoint', async () => {
  await freeze('other');
  const before = await senderOf('other');
  await sql(of('old'), 'CREATE TABLE much AS SELECT repeat(md5(i::text), 40) FROM generate_series(1, 20000) i');
  await eventually('it sends no more', SOON_MS, async () => {
    const [row] = await sql<{ stuck: boolean }>(
      of('old'),
      `SELECT sent_lsn < pg_current_wal_lsn() - 1000000 AS stuck FROM pg_stat_replication WHERE pid = ${before.pid}`,
    );
    return row?.stuck;
  });
  await node('old').endWalsenders([before.pid], QUICK);
  expect((await senders()).map(({ pid }) => pid)).not.toContain(before.pid);
  const askedAt = performance.now();
  await node('old').stop('fast', { ...LONG, successors: ['successor'] });
  expect(performance.now() - askedAt).toBeLessThan(SOON_MS);
  expect(await hasShutdownOfOld('successor')).toBe(true);
});

test('an archiver that does not end keeps no member from leading: the server is closed, and ended at the deadline', async () => {
  writeFileSync(busyMark(), '');
  const askedAt = performance.now();
  let closedAfterMs = Number.POSITIVE_INFINITY;
  const stop = node('old').stop('fast', {
    timeoutMs: 8000,
    successors: ['successor'],
    onClosed: () => {
      closedAfterMs = performance.now() - askedAt;
    },
  });
  await eventually('closed for writes', SOON_MS, () => Number.isFinite(closedAfterMs));
  expect(closedAfterMs).toBeLessThan(6500);
  const { state, closed, postmaster } = await node('old').observe(QUICK);
  expect({ state, closed }).toEqual({ state: 'starting', closed: true });
  expect(postmaster).not.toBeNull();
  await stop;
  expect(await hasShutdownOfOld('successor')).toBe(true);
});

test('replication clients that do not receive, a logical consumer and a WAL receiver, do not hold up a stop', async () => {
  await sql(of('old'), `SELECT pg_create_logical_replication_slot('slow', 'test_decoding')`);
  const consumer = replicationClient('pg_recvlogical', '-d', 'postgres', '--slot=slow', '--start', '-f', '/dev/null');
  const receiver = replicationClient('pg_receivewal', '-D', nodes.home);
  await isConnected('pg_recvlogical');
  await isConnected('pg_receivewal');
  consumer.kill('SIGSTOP');
  receiver.kill('SIGSTOP');
  await sql(of('old'), 'CREATE TABLE many AS SELECT i, repeat(md5(i::text), 5) AS t FROM generate_series(1, 200000) i');
  await isStuck('pg_recvlogical');
  await isStuck('pg_receivewal');
  const askedAt = performance.now();
  await node('old').stop('fast', { ...LONG, successors: ['successor'] });
  expect(performance.now() - askedAt).toBeLessThan(SOON_MS);
  expect(await hasShutdownOfOld('successor')).toBe(true);
});
