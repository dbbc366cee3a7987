/**
 * bootstrap() with the user's own method: a restored cluster that lets nobody in, one that has to
 * recover first, and one that fails.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { markIncomplete } from '../../src/adapters/postgres/data-dir.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { Postgres } from '../../src/ports/postgres.ts';
import type { JsonObject } from '../../src/support/json.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, foundCluster, recordingLog, settingsFor, sql, temporaryHome } from './support/postgres.ts';

const QUICK = { timeoutMs: 10_000 };

let home: Awaited<ReturnType<typeof temporaryHome>>;
const opened: Postgres[] = [];

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

describe('a cluster made by a program of the user', () => {
  let donor: Settings;

  beforeAll(async () => {
    home = await temporaryHome();
    donor = await member('donor');
    const adapter = adapterFor(donor);
    await foundCluster(adapter);
    await sql(donor, 'CREATE TABLE kept AS SELECT 42 AS i');
    await adapter.stop('fast', QUICK);
    await adapter.close();
  });
  afterAll(() => home.remove());
  afterEach(closeAll);

  /** The copy knows the superuser by another password, and its pg_hba.conf lets nobody in. */
  const restored = async (name: string, more: JsonObject, from = donor.postgresql.dataDir) => {
    const settings = await member(name, {
      postgresql: { superuser: { username: 'postgres', password: 'another', options: {} } },
      bootstrap: {
        method: 'restore',
        methodOptions: {
          command: `sh -c 'cp -a ${from} ${home.path}/${name}.tmp && mv ${home.path}/${name}.tmp ${home.path}/${name} && echo > ${home.path}/${name}/pg_hba.conf'`,
          ...more,
        },
        postBootstrap: `sh -c 'echo "$1" > ${home.path}/${name}.post' post`,
      },
    });
    const log = recordingLog();
    const adapter = open(settings, log);
    const pids: number[] = [];
    const { systemIdentifier } = await adapter.bootstrap({ timeoutMs: 60_000, onSpawn: (pid) => pids.push(pid) });
    await adapter.markPublished();
    const facts = await adapter.observe(QUICK);
    expect(facts).toMatchObject({ dataDir: 'valid', state: 'running', systemIdentifier, sql: { inRecovery: false, pendingRestart: {} } });
    expect(pids.at(-1)).toBe(facts.postmaster?.pid);
    expect(await sql(settings, 'SELECT i FROM kept')).toEqual([{ i: 42 }]);
    expect(readFileSync(join(home.path, `${name}.post`), 'utf8')).toMatch(/user=postgres/);
    expect(log.lines.filter((line) => line.startsWith('info running post_bootstrap'))).toHaveLength(1);
    await adapter.stop('fast', QUICK);
    return facts;
  };

  test('restored as it was', async () => {
    expect((await restored('plain', {})).sql?.timeline).toBe(1);
  });

  test('restored to a point in time, on a timeline of its own', async () => {
    const facts = await restored('pitr', { recovery_conf: { restore_command: 'false', recovery_target_timeline: 'latest' } });
    expect(facts.sql?.timeline).toBe(2);
    expect(facts.sql?.restoreCommand).toBe('');
    expect(facts.standbySignal).toBe(false);
  });

  test('restored from a base backup and an archive to a target, past limits that were raised after the backup', async () => {
    const archive = (file: string) => join(home.path, `archive-${file}`);
    const archiving = { archive_mode: 'on', archive_command: `cp %p ${archive('%f')}` };
    const origin = await member('origin', { parameters: archiving });
    const source = await foundCluster(open(origin));
    const backup = await member('backup');
    await open(backup).clone({ name: 'origin', host: '127.0.0.1', port: origin.postgresql.port }, { timeoutMs: 60_000, fromLeader: true });
    await source.stop('fast', QUICK);
    source.configure({ ...origin, controlledParameters: { ...origin.controlledParameters, max_connections: '200' } });
    await source.start({ kind: 'primary' }, { timeoutMs: 60_000 });
    await sql(origin, 'CREATE TABLE kept AS SELECT 42 AS i');
    await sql(origin, `SELECT pg_create_restore_point('wanted')`);
    await sql(origin, 'CREATE TABLE unwanted AS SELECT 1');
    await sql(origin, 'SELECT pg_switch_wal()');
    await source.stop('fast', QUICK);
    const facts = await restored(
      'wanted',
      {
        recovery_conf: {
          restore_command: `cp ${archive('%f')} %p`,
          recovery_target_name: 'wanted',
          recovery_target_action: 'promote',
          recovery_target_timeline: 'latest',
        },
      },
      backup.postgresql.dataDir,
    );
    expect(facts.sql?.timeline).toBe(2);
    expect(facts.standbySignal).toBe(false);
  });

  test('that fails leaves no server and a marked directory, and can be tried again', async () => {
    const settings = await member('broken', { bootstrap: { postBootstrap: 'false' } });
    const adapter = open(settings);
    await expect(adapter.bootstrap({ timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'POST_BOOTSTRAP_FAILED' });
    expect(await adapter.observe(QUICK)).toMatchObject({ state: 'stopped', dataDir: 'incomplete', incompleteWork: 'bootstrap' });
    adapter.configure({ ...settings, local: { ...settings.local, bootstrap: { ...settings.local.bootstrap!, postBootstrap: null } } });
    await adapter.bootstrap({ timeoutMs: 60_000 });
    expect(await adapter.observe(QUICK)).toMatchObject({ state: 'running', dataDir: 'incomplete', incompleteWork: 'publication' });
    await adapter.stop('immediate', QUICK);
  });

  describe('whole, and not known to be published', () => {
    const unpublished = async (name: string) => {
      const settings = await member(name);
      const adapter = open(settings);
      const { systemIdentifier } = await adapter.bootstrap({ timeoutMs: 60_000 });
      return { settings, adapter, systemIdentifier, dataDir: settings.postgresql.dataDir };
    };
    const MARKED = { dataDir: 'incomplete', incompleteWork: 'publication' };

    test('a crash leaves it marked, with its identity, and it does not start; published, it is normal data', async () => {
      const { settings, adapter, systemIdentifier } = await unpublished('crashed');
      expect(await adapter.observe(QUICK)).toMatchObject({ ...MARKED, state: 'running', systemIdentifier, sql: { inRecovery: false } });
      await sql(settings, 'CREATE TABLE kept AS SELECT 7 AS i');
      await adapter.stop('immediate', QUICK);
      // The next agent knows only what is on disk.
      const next = open(settings);
      expect(await next.observe(QUICK)).toMatchObject({ ...MARKED, state: 'stopped', systemIdentifier, control: { systemIdentifier } });
      await expect(next.start({ kind: 'primary' }, QUICK)).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
      await expect(next.bootstrap({ timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'BOOTSTRAP_REFUSED' });
      await next.markPublished();
      expect(await next.observe(QUICK)).toMatchObject({ dataDir: 'valid', systemIdentifier });
      await next.start({ kind: 'primary' }, { timeoutMs: 60_000 });
      expect(await sql(settings, 'SELECT i FROM kept')).toEqual([{ i: 7 }]);
      // Said twice, it changes nothing.
      await next.markPublished();
      await next.stop('immediate', QUICK);
    });

    test('a clone of the cluster that was published instead keeps it aside', async () => {
      const source = open(donor);
      await source.start({ kind: 'primary' }, { timeoutMs: 60_000 });
      const { adapter, systemIdentifier, dataDir } = await unpublished('late');
      await adapter.stop('immediate', QUICK);
      const from = { name: 'donor', host: '127.0.0.1', port: donor.postgresql.port };
      await adapter.clone(from, { timeoutMs: 60_000, fromLeader: true });
      const facts = await adapter.observe(QUICK);
      expect(facts).toMatchObject({ dataDir: 'valid', standbySignal: true });
      expect(facts.systemIdentifier).not.toBe(systemIdentifier);
      expect(existsSync(join(`${dataDir}.removed`, 'PG_VERSION'))).toBe(true);
      await source.stop('immediate', QUICK);
    });

    test('taken away by hand, it is missing, whatever the mark says; a mark of half-made work stays one', async () => {
      const { adapter, dataDir } = await unpublished('gone');
      await adapter.stop('immediate', QUICK);
      rmSync(dataDir, { recursive: true });
      expect(await adapter.observe(QUICK)).toMatchObject({ dataDir: 'missing', systemIdentifier: null });
      await expect(adapter.markPublished()).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
      await markIncomplete(dataDir, 'clone');
      await expect(adapter.markPublished()).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
      expect(await adapter.observe(QUICK)).toMatchObject({ dataDir: 'incomplete', incompleteWork: 'clone' });
    });
  });
});
