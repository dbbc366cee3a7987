/** bootstrap() with the user's own method: a restored cluster that lets nobody in, one that has to recover first, and one that fails. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/core/json.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { Postgres } from '../../src/ports/postgres.ts';
import { adapterFor, freePort, settingsFor, sql, temporaryHome } from './support/postgres.ts';

const QUICK = { timeoutMs: 10_000 };

let home: Awaited<ReturnType<typeof temporaryHome>>;
const opened: Postgres[] = [];

function open(settings: Settings): Postgres {
  const adapter = adapterFor(settings);
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
    await adapter.bootstrap({ timeoutMs: 60_000 });
    await sql(donor, 'CREATE TABLE kept AS SELECT 42 AS i');
    await adapter.stop('fast', QUICK);
    await adapter.close();
  });
  afterAll(() => home.remove());
  afterEach(closeAll);

  /** The copy knows the superuser by another password, and its pg_hba.conf lets nobody in. */
  const restored = async (name: string, more: JsonObject) => {
    const settings = await member(name, {
      postgresql: { superuser: { username: 'postgres', password: 'another', options: {} } },
      bootstrap: {
        method: 'restore',
        methodOptions: {
          command: `sh -c 'cp -a ${donor.postgresql.dataDir} ${home.path}/${name}.tmp && rmdir ${home.path}/${name} && mv ${home.path}/${name}.tmp ${home.path}/${name} && echo > ${home.path}/${name}/pg_hba.conf'`,
          ...more,
        },
        postBootstrap: `sh -c 'echo "$1" > ${home.path}/${name}.post' post`,
      },
    });
    const adapter = open(settings);
    const pids: number[] = [];
    const { systemIdentifier } = await adapter.bootstrap({ timeoutMs: 60_000, onSpawn: (pid) => pids.push(pid) });
    const facts = await adapter.observe(QUICK);
    expect(facts).toMatchObject({ dataDir: 'valid', state: 'running', systemIdentifier, sql: { inRecovery: false, pendingRestart: {} } });
    expect(pids.at(-1)).toBe(facts.postmaster?.pid);
    expect(await sql(settings, 'SELECT i FROM kept')).toEqual([{ i: 42 }]);
    expect(readFileSync(join(home.path, `${name}.post`), 'utf8')).toMatch(/user=postgres/);
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

  test('one that fails leaves no server and a marked directory, and can be tried again', async () => {
    const settings = await member('broken', { bootstrap: { postBootstrap: 'false' } });
    const adapter = open(settings);
    await expect(adapter.bootstrap({ timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'POST_BOOTSTRAP_FAILED' });
    expect(await adapter.observe(QUICK)).toMatchObject({ state: 'stopped', dataDir: 'incomplete', incompleteWork: 'bootstrap' });
    adapter.configure({ ...settings, local: { ...settings.local, bootstrap: { ...settings.local.bootstrap!, postBootstrap: null } } });
    await adapter.bootstrap({ timeoutMs: 60_000 });
    expect((await adapter.observe(QUICK)).dataDir).toBe('valid');
    await adapter.stop('immediate', QUICK);
  });
});
