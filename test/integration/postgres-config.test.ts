/** What real servers make of the files Regent writes, of clones and rewinds, when things fail. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/system.ts';
import { clone } from '../../src/adapters/postgres/clone.ts';
import { clearIncomplete, inspectDataDir, markIncomplete } from '../../src/adapters/postgres/data-dir.ts';
import type { Deps } from '../../src/adapters/postgres/deps.ts';
import { depsOf } from '../../src/adapters/postgres/local-server.ts';
import { rewind } from '../../src/adapters/postgres/rewind.ts';
import { syncSlots } from '../../src/adapters/postgres/slots.ts';
import { connect, discard } from '../../src/adapters/postgres/sql.ts';
import type { ServerRole } from '../../src/core/effects.ts';
import type { Credentials, Settings } from '../../src/core/settings.ts';
import { toLsn } from '../../src/core/units.ts';
import { parseConf } from '../../src/pgconf/guc.ts';
import type { Postgres } from '../../src/ports/postgres.ts';
import { postgresOwner } from './support/bare-postgres.ts';
import { Mounts, whyNoMounts } from './support/mounts.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, eventually, foundCluster, recordingLog, settingsFor, sourceOf, sql, temporaryHome } from './support/postgres.ts';

const BOUND = { timeoutMs: 60_000 };
const owner = process.getuid?.() === 0 ? postgresOwner() : null;
const mountable = whyNoMounts() === null;
const mounts = new Mounts();

let home: Awaited<ReturnType<typeof temporaryHome>>;
let primary: Settings;
let leader: Postgres;

const log = recordingLog();
const following = (settings: Settings): ServerRole => ({ kind: 'standby', source: sourceOf(settings) });
const own = async (path: string) => (owner ? await chown(path, owner.uid, owner.gid) : undefined);

function depsFor(settings: Settings): Deps {
  return depsOf({ settings, log, clock: createSystemClock(), runAs: owner });
}

async function member(name: string, more: Partial<Parameters<typeof settingsFor>[0]> = {}): Promise<Settings> {
  return settingsFor({ home: home.path, name, port: await freePort(), dynamic: { useSlots: true }, ...more });
}

/** Of the temporary files, those of this test only: others run on the same machine. */
const systemTmp = tmpdir();
const temporary = () => join(home.path, 'tmp');

beforeAll(async () => {
  home = await temporaryHome();
  mkdirSync(temporary());
  await own(temporary());
  process.env['TMPDIR'] = temporary();
  const archive = join(home.path, 'archive');
  mkdirSync(archive);
  await own(archive);
  const recoveryConf = { restore_command: `cp ${archive}/%f "%p"` };
  primary = await member('pg-1', {
    postgresql: { configDir: join(home.path, 'etc-1'), configBaseName: 'server', recoveryConf },
    parameters: {
      archive_mode: 'on',
      archive_command: `test ! -e ${home.path}/archive-off && cp "%p" ${archive}/%f`,
      log_statement: 'all',
    },
    bootstrap: { postBootstrap: `${home.path}/post.sh 'with blank'` },
  });
  mkdirSync(primary.postgresql.configDir);
  await own(primary.postgresql.configDir);
  writeFileSync(join(home.path, 'post.sh'), `#!/bin/sh\necho "$1|$2|$(cat $PGPASSFILE)|$PGOPTIONS" > ${home.path}/post.out\n`);
  chmodSync(join(home.path, 'post.sh'), 0o755);
  leader = adapterFor(primary, log);
  await foundCluster(leader);
});
afterAll(async () => {
  mounts.remove();
  await leader.close();
  process.env['TMPDIR'] = systemTmp;
  await home.remove();
});

describe('a new cluster, its configuration in a directory of its own and under a name of its own', () => {
  test('runs on the files written, with what initdb found out still in force', async () => {
    const base = readFileSync(join(primary.postgresql.configDir, 'server.base.conf'), 'utf8');
    expect(parseConf(base)).toHaveProperty('default_text_search_config');
    const rows = await sql<{ name: string; setting: string; sourcefile: string | null }>(
      primary,
      `SELECT name, setting, sourcefile FROM pg_settings WHERE name IN ('config_file', 'hba_file', 'wal_retrieve_retry_interval', 'wal_keep_size', 'cluster_name')`,
    );
    expect(Object.fromEntries(rows.map((row) => [row.name, row.setting]))).toEqual({
      config_file: join(primary.postgresql.configDir, 'server.conf'),
      hba_file: join(primary.postgresql.configDir, 'pg_hba.conf'),
      wal_retrieve_retry_interval: '100',
      wal_keep_size: '128',
      cluster_name: 'test',
    });
    expect(await sql(primary, 'SELECT line_number FROM pg_hba_file_rules WHERE error IS NOT NULL')).toEqual([]);
  });

  test('post_bootstrap got a connection string without the password, and the password in a file that is gone', () => {
    const [argument, conninfo, passfile, options] = readFileSync(join(home.path, 'post.out'), 'utf8').trim().split('|');
    expect(argument).toBe('with blank');
    expect(conninfo).toContain(`host=127.0.0.1 port=${primary.postgresql.port}`);
    expect(conninfo).not.toContain('pass');
    expect(passfile).toBe(`127.0.0.1:${primary.postgresql.port}:*:postgres:postgres 'pass`);
    expect(options).toContain('synchronous_commit=local');
    expect(readdirSync(temporary())).toEqual([]);
  });

  test('the users exist, and no password went through the log', async () => {
    const client = await connect({
      host: '127.0.0.1',
      port: primary.postgresql.port,
      database: 'postgres',
      credentials: primary.postgresql.rewind,
      applicationName: 'test',
      connectTimeoutMs: 5000,
      queryTimeoutMs: 5000,
    });
    try {
      expect((await client.query("SELECT length(pg_read_binary_file('PG_VERSION')) AS n")).rows).toEqual([{ n: 3 }]);
    } finally {
      discard(client);
    }
    const words = readFileSync(join(home.path, 'pg-1.postgres.log'), 'utf8');
    // Ordinary statements are there, so that the absence of the others says something.
    expect(words).toContain('statement: SELECT');
    expect(words).not.toMatch(/PASSWORD '|pass'/i);
    expect(log.lines.join('\n')).not.toContain("'pass");
  });
});

describe('a replica', () => {
  let settings: Settings;
  let replica: Postgres;

  beforeAll(async () => {
    settings = await member('pg-2', { postgresql: { basebackup: [{ name: 'no-sync', value: null }] } });
    replica = adapterFor(settings, log);
  });
  afterAll(() => replica.close());

  test('that cannot be made leaves an empty directory and the words of pg_basebackup', async () => {
    const wrong = { ...settings.postgresql, replication: { username: 'replicator', password: 'wrong', options: {} } };
    const failure = clone(depsFor({ ...settings, postgresql: wrong }), sourceOf(primary), { ...BOUND, fromLeader: true });
    await expect(failure).rejects.toMatchObject({
      code: 'CLONE_FAILED',
      message: expect.stringContaining('password authentication failed'),
    });
    expect(await inspectDataDir(settings.postgresql.dataDir)).toMatchObject({ state: 'missing', incompleteWork: null });
  });

  test('that is called off while it is made leaves nothing either', async () => {
    const slow = { ...settings.postgresql, basebackup: [{ name: 'max-rate', value: '32' }] };
    const abort = new AbortController();
    const failure = clone(depsFor({ ...settings, postgresql: slow }), sourceOf(primary), {
      ...BOUND,
      fromLeader: true,
      signal: abort.signal,
    });
    const ended = expect(failure).rejects.toMatchObject({ code: 'CLONE_FAILED', message: expect.stringContaining('called off') });
    await eventually(
      'the copy to begin',
      40_000,
      () => existsSync(join(settings.postgresql.dataDir, 'PG_VERSION')) || existsSync(join(settings.postgresql.dataDir, 'base')),
    );
    expect((await inspectDataDir(settings.postgresql.dataDir)).state).toBe('incomplete');
    abort.abort();
    await ended;
    expect(await inspectDataDir(settings.postgresql.dataDir)).toMatchObject({ state: 'missing', incompleteWork: null });
  });

  test('is made after other methods failed, over an interrupted clone’s remains, and only ever starts as a standby', async () => {
    mkdirSync(settings.postgresql.dataDir, { recursive: true });
    writeFileSync(join(settings.postgresql.dataDir, 'half'), '');
    await own(settings.postgresql.dataDir);
    await markIncomplete(settings.postgresql.dataDir, 'clone');
    const methods = {
      ...settings.postgresql,
      createReplicaMethods: ['broken', 'basebackup'],
      methodOptions: { broken: { command: 'false' } },
    };
    await clone(depsFor({ ...settings, postgresql: methods }), sourceOf(primary), { ...BOUND, fromLeader: false });
    expect(await inspectDataDir(settings.postgresql.dataDir)).toEqual({
      state: 'valid',
      incompleteWork: null,
      major: expect.any(Number),
      standbySignal: true,
      backupLabel: expect.stringContaining('START TIMELINE: 1'),
    });
    expect(existsSync(join(settings.postgresql.dataDir, 'half'))).toBe(false);
    expect(statSync(settings.postgresql.dataDir).mode & 0o777).toBe(0o700);
  });

  test('is not made over a data directory that is whole, foreign, or half rewound', async () => {
    const options = { ...BOUND, fromLeader: true };
    await expect(clone(depsFor(settings), sourceOf(primary), options)).rejects.toMatchObject({ code: 'CLONE_REFUSED' });
    await markIncomplete(settings.postgresql.dataDir, 'rewind');
    await expect(clone(depsFor(settings), sourceOf(primary), options)).rejects.toMatchObject({ code: 'CLONE_REFUSED' });
    await clearIncomplete(settings.postgresql.dataDir);
    const foreign = await member('foreign');
    mkdirSync(foreign.postgresql.dataDir);
    writeFileSync(join(foreign.postgresql.dataDir, 'thesis.txt'), 'x');
    await expect(clone(depsFor(foreign), sourceOf(primary), options)).rejects.toMatchObject({ code: 'CLONE_REFUSED' });
    expect(existsSync(join(foreign.postgresql.dataDir, 'thesis.txt'))).toBe(true);
  });

  test('streams with its slot and without a password in its configuration; slots are brought in order', async () => {
    const client = await connect({
      host: '127.0.0.1',
      port: primary.postgresql.port,
      database: 'postgres',
      credentials: primary.postgresql.superuser,
      applicationName: 'test',
      connectTimeoutMs: 5000,
      queryTimeoutMs: 10_000,
    });
    try {
      expect(await syncSlots(client, { create: ['pg_2', 'Not Valid', 'gone'], drop: [], advance: {} })).toMatchObject([
        { slot: 'Not Valid', action: 'create' },
      ]);
      // As a container mounts it: the passfile is written in place.
      writeFileSync(settings.postgresql.pgpass, '', { mode: 0o600 });
      await own(settings.postgresql.pgpass);
      if (mountable) mounts.bind(settings.postgresql.pgpass);
      await replica.start(following(primary), BOUND);
      const active = async () => (await sql(primary, `SELECT FROM pg_replication_slots WHERE slot_name = 'pg_2' AND active`)).length === 1;
      await eventually('the standby to use its slot', 30_000, active);
      await sql(primary, 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS n');
      const far = { gone: toLsn(0x7fff_ffff_0000_0000n) };
      expect(await syncSlots(client, { create: ['pg_2'], drop: ['pg_2', 'never_was'], advance: far })).toEqual([]);
      expect(await active()).toBe(true);
      const [slot] = await sql<{ ok: boolean }>(
        primary,
        `SELECT restart_lsn <= pg_current_wal_lsn() AS ok FROM pg_replication_slots WHERE slot_name = 'gone'`,
      );
      expect(slot?.ok).toBe(true);
      expect(await syncSlots(client, { create: [], drop: ['gone'], advance: {} })).toEqual([]);
      expect(await sql(primary, `SELECT FROM pg_replication_slots WHERE slot_name = 'gone'`)).toEqual([]);
    } finally {
      discard(client);
    }
    for (const name of readdirSync(settings.postgresql.dataDir).filter((file) => file.includes('.conf'))) {
      expect(readFileSync(join(settings.postgresql.dataDir, name), 'utf8')).not.toContain("'pass");
    }
    expect(statSync(settings.postgresql.pgpass).mode & 0o777).toBe(0o600);
    expect(readFileSync(settings.postgresql.pgpass, 'utf8')).toContain(`127.0.0.1:${primary.postgresql.port}:`);
    if (mountable) expect(log.lines.join('\n')).toContain(`${settings.postgresql.pgpass} cannot be replaced`);
  });

  test('is not rewound from a server that is in recovery, or from one that is not there', async () => {
    const target = await member('pg-3');
    await clone(depsFor(target), sourceOf(primary), { ...BOUND, fromLeader: true });
    const deps = depsFor(target);
    await expect(rewind(deps, sourceOf(settings), { timeoutMs: 10_000 })).rejects.toMatchObject({ code: 'SOURCE_NOT_READY' });
    await expect(rewind(deps, { name: 'x', host: '127.0.0.1', port: await freePort() }, { timeoutMs: 10_000 })).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
    });
    expect((await inspectDataDir(target.postgresql.dataDir)).state).toBe('valid');
    rmSync(target.postgresql.dataDir, { recursive: true });
  });
});

describe('a cluster restored from a backup', () => {
  const secret: Credentials = { username: 'postgres', password: 'another', options: {} };

  /** A copy of the primary, and a moment after it that is in the archive. */
  async function backUp(target: string): Promise<void> {
    const { port, dataDir } = (await member('backup')).postgresql;
    await clone(depsFor(settingsFor({ home: home.path, name: 'backup', port })), sourceOf(primary), { ...BOUND, fromLeader: true });
    rmSync(join(dataDir, 'standby.signal'));
    await sql(primary, 'CREATE TABLE kept AS SELECT 1 AS n');
    await sql(primary, `SELECT pg_create_restore_point('${target}')`);
    await sql(primary, 'DROP TABLE kept');
    const [named] = await sql<{ name: string }>(primary, 'SELECT pg_walfile_name(pg_switch_wal()) AS name');
    await eventually('the archiver', 30_000, () => existsSync(join(home.path, 'archive', named?.name ?? '')));
  }

  test('recovers to the moment asked for, takes its own password, and is a primary like any other', async () => {
    await backUp('here');
    const settings = await member('restored', {
      postgresql: { superuser: secret },
      bootstrap: {
        method: 'copy',
        methodOptions: {
          command: `sh -c 'cp -a ${home.path}/backup/. "${home.path}/restored/"' copy`,
          recovery_conf: {
            restore_command: `cp ${home.path}/archive/%f %p`,
            recovery_target_name: 'here',
            recovery_target_action: 'promote',
          },
        },
      },
    });
    const adapter = adapterFor(settings, log);
    try {
      await foundCluster(adapter);
      expect(await sql(settings, 'SELECT n FROM kept')).toEqual([{ n: 1 }]);
      const facts = await adapter.observe({ timeoutMs: 5000 });
      expect(facts).toMatchObject({ dataDir: 'valid', standbySignal: false, sql: { inRecovery: false, timeline: 2 } });
      const wrong = { ...settings, postgresql: { ...settings.postgresql, superuser: { ...secret, password: 'wrong' } } };
      await expect(sql(wrong, 'SELECT')).rejects.toThrow('password authentication failed');
      expect(readFileSync(join(settings.postgresql.dataDir, 'postgresql.auto.conf'), 'utf8')).not.toContain('recovery_target');
    } finally {
      await adapter.stop('immediate', BOUND);
      await adapter.close();
    }
  });

  test('that the program could not restore stays marked, and the next attempt begins again', async () => {
    const settings = await member('unrestored', { bootstrap: { method: 'copy', methodOptions: { command: 'false' } } });
    const adapter = adapterFor(settings, log);
    try {
      await expect(adapter.bootstrap(BOUND)).rejects.toMatchObject({ code: 'CUSTOM_BOOTSTRAP_FAILED' });
      expect(await inspectDataDir(settings.postgresql.dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'bootstrap' });
      await expect(adapter.bootstrap(BOUND)).rejects.toMatchObject({ code: 'CUSTOM_BOOTSTRAP_FAILED' });
    } finally {
      await adapter.close();
    }
  });
});

describe('a rewind', () => {
  test('of a crashed primary archives waiting WAL, and brings it behind its successor with its own configuration', async () => {
    const successor = await member('pg-2');
    const replica = adapterFor(successor, log);
    try {
      await replica.observe({ timeoutMs: 5000 });
      const [named] = await sql<{ name: string }>(primary, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS name');
      await replica.stop('immediate', BOUND);
      await replica.start({ kind: 'standby', source: null }, BOUND);
      await replica.promote(BOUND);
      await sql(successor, `SELECT pg_create_physical_replication_slot('pg_1', true)`);
      // Only the old primary has these rows. Its archiver fails, so a finished segment waits.
      writeFileSync(join(home.path, 'archive-off'), '');
      await sql(primary, 'INSERT INTO t SELECT generate_series(1, 50)');
      await sql(primary, 'SELECT pg_switch_wal()');
      await sql(primary, 'INSERT INTO t SELECT generate_series(1, 50)');
      await leader.stop('immediate', BOUND);
      rmSync(join(home.path, 'archive-off'));
      await rewind(depsFor(primary), sourceOf(successor), BOUND);
      expect(existsSync(join(home.path, 'archive', named?.name ?? ''))).toBe(true);
      expect(await inspectDataDir(primary.postgresql.dataDir)).toMatchObject({ state: 'valid', standbySignal: true });
      await leader.start(following(successor), BOUND);
      await sql(successor, 'INSERT INTO t VALUES (-1)');
      const caughtUp = async () => (await sql<{ n: string }>(primary, 'SELECT count(*) AS n FROM t'))[0]?.n === '1001';
      await eventually('the old primary to follow', 40_000, caughtUp);
      expect(await sql(primary, 'SHOW config_file')).toEqual([{ config_file: join(primary.postgresql.configDir, 'server.conf') }]);
    } finally {
      await replica.stop('immediate', BOUND);
      await replica.close();
    }
  });

  test('that fails before it copies anything leaves the directory as it was; one between two histories stays marked', async () => {
    await leader.stop('fast', BOUND);
    const other = await member('other');
    const stranger = adapterFor(other, log);
    try {
      await foundCluster(stranger);
      await expect(rewind(depsFor(primary), sourceOf(other), BOUND)).rejects.toMatchObject({
        code: 'REWIND_NOTHING_IN_COMMON',
        message: expect.stringContaining('different systems'),
      });
      expect(await inspectDataDir(primary.postgresql.dataDir)).toMatchObject({ state: 'valid', incompleteWork: null });
      // A crashed standby: pg_rewind first ends its recovery, then sees the foreign source.
      await leader.start({ kind: 'standby', source: null }, BOUND);
      await leader.stop('immediate', BOUND);
      for (let attempt = 0; attempt < 2; attempt += 1) {
        await expect(rewind(depsFor(primary), sourceOf(other), BOUND)).rejects.toMatchObject({ code: 'REWIND_NOTHING_IN_COMMON' });
      }
      expect(await inspectDataDir(primary.postgresql.dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'rewind' });
    } finally {
      await stranger.stop('immediate', BOUND);
      await stranger.close();
    }
  });
});

test('a new cluster is not made where files lie', async () => {
  const settings = await member('full');
  mkdirSync(settings.postgresql.dataDir);
  writeFileSync(join(settings.postgresql.dataDir, 'something'), '');
  const adapter = adapterFor(settings, log);
  try {
    await expect(adapter.bootstrap(BOUND)).rejects.toMatchObject({ code: 'BOOTSTRAP_REFUSED' });
    expect(readdirSync(settings.postgresql.dataDir)).toEqual(['something']);
  } finally {
    await adapter.close();
  }
});
