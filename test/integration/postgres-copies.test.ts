/**
 * Data directories that are copies: a restored base backup, a copied disk; and one that was
 * promoted by hand. What pg_control tells of them is true of another server.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { divergenceFrom, rewindIsBlind } from '../../src/core/divergence.ts';
import { emptyMemory } from '../../src/core/model.ts';
import { endToCompare } from '../../src/core/strays.ts';
import { type BareNodes, bareNodes, LONG, QUICK, START } from './support/bare-nodes.ts';
import { findBinDir } from './support/bin-dir.ts';
import { eventually, sql } from './support/postgres.ts';

let nodes: BareNodes;
const at = (name: string) => nodes.at(name);
const node = (name: string) => nodes.node(name);
const dirOf = (name: string) => nodes.settings(name).postgresql.dataDir;
const backup = () => join(nodes.home, 'backup');
const copy = () => join(nodes.home, 'copy');

const follows = (from: string, to: string) =>
  eventually(`${to} has all of ${from}, and streams`, 40_000, async () => {
    const [up, down] = await Promise.all([node(from).observe(QUICK), node(to).observe(QUICK)]);
    const level = down.sql?.replayLsn === up.sql?.flushLsn && down.sql?.timeline === up.sql?.timeline;
    return level && down.sql?.receiver?.status === 'streaming';
  });

function copyTo(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  execFileSync('cp', ['-a', from, to]);
  rmSync(join(to, 'postmaster.pid'), { force: true });
}

/** The leader is stopped in good order, the other promoted, and the former leader follows. */
async function switchover(from: string, to: string): Promise<void> {
  await follows(from, to);
  await node(from).stop('fast', QUICK);
  await node(to).promote(QUICK);
  await node(to).checkpoint(QUICK);
  await node(from).start({ kind: 'standby', source: at(to) }, START);
  await follows(to, from);
}

async function replaceData(with_: string): Promise<void> {
  await node('c').stop('immediate', QUICK);
  await node('c').removeDataDirectory({ ...QUICK, keepAside: false });
  copyTo(with_, dirOf('c'));
}

beforeAll(async () => {
  nodes = await bareNodes(['a', 'b', 'c'], () => ({ wal_keep_size: '256MB', max_wal_size: '256MB' }));
  await nodes.start(() => sql(nodes.settings('a'), 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i'));
  const { host, port } = at('a');
  const dsn = `host=${host} port=${port} user=replicator password='replicator \\'pass'`;
  execFileSync(join(findBinDir(), 'pg_basebackup'), ['-D', backup(), '-d', dsn, '-c', 'fast', '--no-sync'], { stdio: 'pipe' });
  execFileSync('chown', ['-R', '--reference', dirOf('a'), backup()]);
  await sql(nodes.settings('a'), 'INSERT INTO t SELECT generate_series(1, 1000)');
  await node('a').stop('immediate', QUICK);
  copyTo(dirOf('a'), copy());
  await node('a').start({ kind: 'primary' }, START);
  await sql(nodes.settings('a'), 'INSERT INTO t SELECT generate_series(1, 1000)');
  await switchover('a', 'b');
  await switchover('b', 'a');
});

afterAll(() => nodes?.close());

test.each([
  ['without', false],
  ['with', true],
])('a base backup from two timelines ago, %s standby.signal, is recognized, not rewound, and follows', async (_which, signal) => {
  await replaceData(backup());
  if (signal) execFileSync('install', ['-o', 'postgres', '-m', '600', '/dev/null', join(dirOf('c'), 'standby.signal')]);
  const found = await node('c').observe(QUICK);
  expect(found).toMatchObject({
    dataDir: 'valid',
    standbySignal: signal,
    baseBackup: { timeline: 1 },
    control: { state: 'in production' },
  });
  expect(divergenceFrom(found, await node('c').sourceHistory(at('a'), QUICK))).toBe('prefix');
  await expect(node('c').rewind(at('a'), LONG)).rejects.toMatchObject({ code: 'REWIND_REFUSED' });
  await node('c').start({ kind: 'standby', source: at('a') }, START);
  await follows('a', 'c');
  const recovered = await node('c').observe(QUICK);
  expect(recovered.baseBackup).toBeUndefined();
  // It may have confirmed more before: somebody has to see it catch up.
  expect(recovered.restored).toBe(true);
  await node('c').markCaughtUp();
  expect((await node('c').observe(QUICK)).restored).toBeUndefined();
});

test('the disk of another, copied at an earlier moment, is not spoilt by a crash recovery of its own', async () => {
  await replaceData(copy());
  const found = await node('c').observe(QUICK);
  expect(found).toMatchObject({ dataDir: 'valid', standbySignal: false, control: { state: 'in production', timeline: 1 } });
  expect(divergenceFrom(found, await node('c').sourceHistory(at('a'), QUICK))).toBe('diverged');
  await node('c').rewind(at('a'), LONG);
  expect(await node('c').observe(QUICK)).toMatchObject({ dataDir: 'valid', standbySignal: true, control: { state: 'in production' } });
  await node('c').start({ kind: 'standby', source: at('a') }, START);
  await follows('a', 'c');
});

test('a disk on which a crash recovery ended before is reported, as pg_rewind would not see it', async () => {
  await replaceData(copy());
  // As pg_rewind does it; what follows is a server that crashed right after.
  await node('c').start({ kind: 'primary' }, START);
  await node('c').stop('immediate', QUICK);
  await expect(node('c').rewind(at('a'), LONG)).rejects.toMatchObject({ code: 'REWIND_BLIND' });
});

test('a replica that was promoted by hand gives its timeline up, even when its control file does not show it', async () => {
  await replaceData(backup());
  await node('c').start({ kind: 'standby', source: at('a') }, START);
  // Much to write: the checkpoint after the promotion takes its time.
  await sql(nodes.settings('a'), `CREATE TABLE big AS SELECT g, repeat('x', 500) AS x FROM generate_series(1, 20000) AS g`);
  await follows('a', 'c');
  await sql(nodes.settings('c'), 'SELECT pg_promote()');
  await sql(nodes.settings('c'), 'CREATE TABLE mine (i int)');
  await node('c').stop('immediate', QUICK);
  const crashed = await node('c').observe(QUICK);
  expect(crashed.control).toMatchObject({ state: 'in production', minRecoveryTimeline: 4 });
  expect(crashed.control?.timeline).toBeLessThan(4);
  expect(divergenceFrom(crashed, await node('c').sourceHistory(at('a'), QUICK))).toBe('diverged');
  // As an agent does that does not know: its recovery follows the timeline it finds a history file
  // of.
  await node('c').start({ kind: 'standby', source: at('a') }, START);
  await node('c').stop('fast', QUICK);
  const stopped = await node('c').observe(QUICK);
  expect(stopped.control).toMatchObject({ state: 'shut down in recovery', minRecoveryTimeline: 4 });
  expect(stopped.control?.timeline).toBeLessThan(4);
  await node('c').rewind(at('a'), LONG);
  expect(existsSync(join(dirOf('c'), 'pg_wal', '00000004.history'))).toBe(false);
  await node('c').start({ kind: 'standby', source: at('a') }, START);
  await follows('a', 'c');
  expect((await node('c').observe(QUICK)).sql?.timeline).toBe(3);
});

test('WAL that a replica wrote by hand is found also on a timeline that the leader has left', async () => {
  const comparedWith = async (name: string, leader: string) => {
    const found = await node(name).observe(QUICK);
    const end = endToCompare(found, emptyMemory);
    const history = await node(name).sourceHistory(at(leader), { ...QUICK, ...(end && { end }) });
    return {
      control: found.control,
      hasOurEnd: history.hasOurEnd,
      divergence: divergenceFrom(found, history),
      blind: rewindIsBlind(found, history),
    };
  };
  await node('a').checkpoint(QUICK);
  await follows('a', 'c');
  await node('c').checkpoint(QUICK);
  await node('c').stop('fast', QUICK);
  rmSync(join(dirOf('c'), 'standby.signal'));
  await node('c').start({ kind: 'primary' }, START);
  await sql(nodes.settings('c'), 'INSERT INTO t VALUES (4001)');
  await node('c').stop('fast', QUICK);
  await sql(nodes.settings('a'), 'INSERT INTO t SELECT generate_series(1, 10000)');
  await switchover('a', 'b');
  const opened = await comparedWith('c', 'b');
  expect(opened).toMatchObject({ control: { state: 'shut down', timeline: 3 }, hasOurEnd: false, divergence: 'diverged', blind: true });
  // An agent that comes after one that has started it read-only, as nobody could be asked.
  const found = { hasOurEnd: false, divergence: 'diverged', blind: true };
  await node('c').start({ kind: 'standby', source: null }, START);
  expect(await comparedWith('c', 'b')).toMatchObject({ control: null, ...found });
  await node('c').stop('fast', QUICK);
  expect(await comparedWith('c', 'b')).toMatchObject({ control: { state: 'shut down in recovery' }, ...found });
  // The former leader has replayed what it wrote, and its successor has it as well.
  await node('a').stop('fast', QUICK);
  expect(await comparedWith('a', 'b')).toMatchObject({
    control: { state: 'shut down in recovery' },
    hasOurEnd: true,
    divergence: 'prefix',
  });
  await node('a').start({ kind: 'standby', source: null }, START);
  expect(await comparedWith('a', 'b')).toMatchObject({ control: null, hasOurEnd: true, divergence: 'prefix' });
  await node('a').apply({ kind: 'standby', source: at('b') }, QUICK);
  await follows('b', 'a');

  await node('b').stop('fast', QUICK);
  await node('a').promote(QUICK);
  expect(await comparedWith('b', 'a')).toMatchObject({
    control: { state: 'shut down', timeline: 4 },
    hasOurEnd: true,
    divergence: 'prefix',
  });
});
