/**
 * Which programs make a replica, in what order, what the log says of it, and what such a copy
 * counts for. The programs are played by the test.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { ended } from '../../../test/support/ended.ts';
import { instantClock } from '../../../test/support/instant-clock.ts';
import { clone } from './clone.ts';
import { inspectDataDir } from './data-dir.ts';
import type { Deps } from './deps.ts';
import { isMarked, setMark } from './directory-mark.ts';

const LEADER = { name: 'pg-2', host: '10.0.0.12', port: 5432 };

let home: string;
let dataDir: string;
let ran: string[];
let fails: Set<string>;
let log: ReturnType<typeof keptLog>;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-clone-'));
  dataDir = join(home, 'data');
  ran = [];
  fails = new Set();
  log = keptLog();
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function deps(createReplicaMethods: readonly string[], methodOptions = {}): Deps {
  const postgresql = { dataDir, configDir: dataDir, pgpass: join(home, 'pgpass'), createReplicaMethods, methodOptions };
  const run = async (file: string, args: readonly string[]) => {
    const name = basename(file);
    if (name === 'postgres') return ended({ stdout: 'postgres (PostgreSQL) 15.5' });
    if (name === 'initdb') return ended();
    ran.push([name, ...(name === 'pg_basebackup' ? [] : args)].join(' '));
    if (fails.has(name)) return ended({ code: 1, stderr: 'no such stanza' });
    mkdirSync(join(dataDir, 'global'), { recursive: true });
    writeFileSync(join(dataDir, 'PG_VERSION'), '15\n');
    writeFileSync(join(dataDir, 'global', 'pg_control'), 'x');
    writeFileSync(join(dataDir, 'patroni.dynamic.json'), '{}');
    return ended();
  };
  const connect = () => Promise.reject(new Error('nobody connects'));
  const seen = { nowMs: 0 };
  const clock = { ...instantClock(seen), monotonicMs: () => seen.nowMs };
  return { settings: someSettings({ postgresql }), log, clock, run, connect };
}
const BOUND = { timeoutMs: 60_000, fromLeader: false };
const told = () => log.lines.filter((line) => line.startsWith('info ')).map((line) => line.replace(/ \{.*|^info /g, ''));

describe('a clone', () => {
  test("uses the user's method first, and the log says which and why", async () => {
    await clone(
      deps(['pgbackrest', 'basebackup'], { pgbackrest: { command: 'pgbackrest restore', no_params: true, delta: true } }),
      LEADER,
      BOUND,
    );
    expect(ran).toEqual(['pgbackrest restore --delta=True']);
    expect(told()).toEqual([
      'making a replica from pg-2 by pgbackrest (1 of 2; the order of postgresql.create_replica_methods)',
      'pgbackrest made a replica in 0 s',
    ]);
    expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'valid', standbySignal: true });
  });

  test('goes on with the next method where that fails', async () => {
    fails.add('pgbackrest');
    await setMark(dataDir, 'restored');
    await clone(deps(['pgbackrest', 'basebackup'], { pgbackrest: { no_params: true } }), LEADER, BOUND);
    expect(ran).toEqual(['pgbackrest', 'pg_basebackup']);
    expect(told()).toContain('making a replica from pg-2 by basebackup (2 of 2; the order of postgresql.create_replica_methods)');
    expect(await isMarked(dataDir, 'restored')).toBe(false);
  });

  test.each([
    ['of another member with its dynamic settings', LEADER, true],
    ['of a server outside without those', { ...LEADER, remote: { others: [], slot: null } }, false],
    ['of an archive, which may be that server’s, without those', null, false],
  ])('is made %s', async (_, source, kept) => {
    await clone(deps(['pgbackrest'], { pgbackrest: { no_params: true, no_leader: true } }), source, BOUND);
    expect(existsSync(join(dataDir, 'patroni.dynamic.json'))).toBe(kept);
  });

  test('uses pg_basebackup alone where the operator wants it from the leader', async () => {
    await clone(deps(['pgbackrest', 'basebackup']), LEADER, { ...BOUND, fromLeader: true });
    expect(ran).toEqual(['pg_basebackup']);
    expect(log.lines[0]).toContain('--from-leader); not tried: pgbackrest');
  });

  test('without a leader uses the methods that say they can', async () => {
    await clone(deps(['basebackup', 'snapshot', 'walg'], { snapshot: {}, walg: { no_leader: true } }), null, BOUND);
    expect(ran).toEqual([`walg --no_leader=True --scope=demo --role=replica --datadir=${dataDir} --connstring=`]);
  });

  test("by the user's method counts as restored until it has caught up; one from a member does not", async () => {
    await setMark(dataDir, 'strayed');
    await setMark(dataDir, 'opened-by-hand');
    await clone(deps(['snapshot']), LEADER, BOUND);
    expect(await isMarked(dataDir, 'restored')).toBe(true);
    expect(await isMarked(dataDir, 'strayed')).toBe(false);
    expect(await isMarked(dataDir, 'opened-by-hand')).toBe(false);
    rmSync(dataDir, { recursive: true });
    await clone(deps(['basebackup']), LEADER, BOUND);
    expect(await isMarked(dataDir, 'restored')).toBe(false);
  });
});
