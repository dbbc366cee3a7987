/**
 * M13 on real servers: two standbys that have the same are promoted without knowing of each other.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { divergenceFrom, rewindIsBlind, timelineStart } from '../../src/core/divergence.ts';
import { type BareNodes, bareNodes, LONG, QUICK, START } from './support/bare-nodes.ts';
import { eventually, sql } from './support/postgres.ts';

let nodes: BareNodes;
const at = (name: string) => nodes.at(name);
const node = (name: string) => nodes.node(name);
const write = (name: string, value: number) => sql(nodes.settings(name), `INSERT INTO t VALUES (${value})`);

const caughtUp = (from: string, to: string) =>
  eventually(`${to} has all of ${from}`, 40_000, async () => {
    const [up, down] = await Promise.all([node(from).observe(QUICK), node(to).observe(QUICK)]);
    return up.sql?.flushLsn != null && down.sql?.replayLsn === up.sql.flushLsn;
  });

beforeAll(async () => {
  nodes = await bareNodes(['old', 'left', 'right']);
  await nodes.start(() => sql(nodes.settings('old'), 'CREATE TABLE t (i int)'));
  for (const name of ['left', 'right']) await caughtUp('old', name);
  // In good order: its last record reaches both, so that both end where it ends.
  await node('old').stop('fast', QUICK);
  for (const name of ['left', 'right']) await node(name).promote(QUICK);
  await write('left', 1);
  for (let i = 0; i < 20; i += 1) await write('right', 100 + i);
});

afterAll(() => nodes?.close());

test('number and history are the same, the first WAL is not', async () => {
  const [left, right] = await Promise.all([node('left').observe(QUICK), node('right').observe(QUICK)]);
  expect([left.sql?.timeline, right.sql?.timeline]).toEqual([2, 2]);
  expect(left.localHistory).toEqual(right.localHistory);
  expect(left.timelineFingerprint).toMatch(/^[0-9a-f]{96}$/);
  expect(right.timelineFingerprint).toMatch(/^[0-9a-f]{96}$/);
  expect(left.timelineFingerprint).not.toBe(right.timelineFingerprint);
});

test('a follower begins as its source does, and is a prefix of it', async () => {
  await node('old').start({ kind: 'standby', source: at('right') }, START);
  await caughtUp('right', 'old');
  const follower = await node('old').observe(QUICK);
  const own = timelineStart(follower);
  expect(own).toMatchObject({ timeline: 2 });
  const told = await node('old').sourceHistory(at('right'), { ...QUICK, own: own! });
  expect(follower.timelineFingerprint).toBeDefined();
  expect(told.timelineFingerprint).toBe(follower.timelineFingerprint);
  expect(divergenceFrom(follower, told)).toBe('prefix');
});

test('the other one is recognized, also when its source has left that timeline since', async () => {
  await node('right').stop('fast', QUICK);
  await node('right').start({ kind: 'standby', source: null }, START);
  await node('right').promote(QUICK);
  await write('right', 200);
  const left = await node('left').observe(QUICK);
  const told = await node('left').sourceHistory(at('right'), { ...QUICK, own: timelineStart(left)! });
  expect(told.timeline).toBe(3);
  // By numbers and positions it could follow.
  expect(
    divergenceFrom(
      { ...left, sql: { ...left.sql!, inRecovery: true, replayLsn: left.sql!.flushLsn } },
      { ...told, timelineFingerprint: left.timelineFingerprint! },
    ),
  ).toBe('prefix');
  expect(divergenceFrom(left, told)).toBe('diverged');
  expect(rewindIsBlind(left, told)).toBe(true);
});

test('pg_rewind does not touch it, even when it crashed before its control file knew the timeline', async () => {
  await node('left').stop('immediate', QUICK);
  await node('right').checkpoint(QUICK);
  await expect(node('left').rewind(at('right'), LONG)).rejects.toMatchObject({ code: 'REWIND_BLIND' });
  expect(await node('left').observe(QUICK)).toMatchObject({ dataDir: 'valid', state: 'stopped' });
  // One that is no twin is rewound as ever.
  await node('old').stop('fast', QUICK);
  await node('old').rewind(at('right'), LONG);
  expect(await node('old').observe(QUICK)).toMatchObject({ dataDir: 'valid', state: 'stopped' });
});

/** A primary that crashed and may not be rewound follows the successor that has all it had. */
async function followsOnlyItsSuccessor(others: BareNodes): Promise<void> {
  const former = others.node('former');
  await expect(former.compare(others.at('early'), LONG)).rejects.toMatchObject({ code: 'COMPARE_DIVERGED' });
  expect(await former.observe(QUICK)).toMatchObject({ dataDir: 'valid', standbySignal: false, control: { state: 'in production' } });
  await former.compare(others.at('late'), LONG);
  expect(await former.observe(QUICK)).toMatchObject({ dataDir: 'valid', standbySignal: true });
  await former.start({ kind: 'standby', source: others.at('late') }, START);
  await eventually('it streams', 40_000, async () => (await former.observe(QUICK)).sql?.receiver?.status === 'streaming');
}

test('pg_rewind does not touch one whose timeline of that number began elsewhere; a crashed primary is compared with both', async () => {
  const others = await bareNodes(['former', 'early', 'late']);
  try {
    await others.start(() => sql(others.settings('former'), 'CREATE TABLE t (i int)'));
    await others.node('early').promote(QUICK);
    for (let i = 0; i < 20; i += 1) await sql(others.settings('former'), `INSERT INTO t VALUES (${i})`);
    await eventually('late has more than early began with', 40_000, async () => {
      const { sql: down } = await others.node('late').observe(QUICK);
      const { sql: up } = await others.node('former').observe(QUICK);
      return up?.flushLsn != null && down?.replayLsn === up.flushLsn;
    });
    // A primary that runs on writes by itself now and then, which nobody else would have.
    await others.node('former').stop('immediate', QUICK);
    await others.node('late').promote(QUICK);
    await followsOnlyItsSuccessor(others);
    await others.node('early').checkpoint(QUICK);
    await others.node('late').stop('immediate', QUICK);
    // By itself it finishes recovery, finds timeline 2 in both control files, and ends with 0.
    await expect(others.node('late').rewind(others.at('early'), LONG)).rejects.toMatchObject({ code: 'REWIND_BLIND' });
    expect(await others.node('late').observe(QUICK)).toMatchObject({ dataDir: 'valid', state: 'stopped' });
  } finally {
    await others.close();
  }
});
