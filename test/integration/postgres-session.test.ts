/**
 * What the agent's own session sees: not what ALTER ROLE has set for the superuser's, and not a
 * mark that PostgreSQL keeps for too long.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServerRole } from '../../src/core/effects.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { Postgres } from '../../src/ports/postgres.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, eventually, foundCluster, settingsFor, sql, temporaryHome } from './support/postgres.ts';

const QUICK = { timeoutMs: 10_000 };
const PRIMARY: ServerRole = { kind: 'primary', syncNames: '' };
const LIMITS = {
  idle_session_timeout: '300ms',
  default_transaction_read_only: 'on',
  datestyle: 'German, DMY',
  search_path: 'nowhere',
  timezone: 'Asia/Kolkata',
};

let home: Awaited<ReturnType<typeof temporaryHome>>;
let settings: Settings;
let adapter: Postgres;

const heartbeats = async () =>
  (
    await sql<{ pid: number }>(
      settings,
      `SELECT pid FROM pg_catalog.pg_stat_activity WHERE application_name = 'Regent heartbeat' ORDER BY pid`,
    )
  ).map(({ pid }) => pid);

beforeAll(async () => {
  home = await temporaryHome();
  settings = settingsFor({ home: home.path, name: 'a', port: await freePort() });
  adapter = adapterFor(settings);
  await foundCluster(adapter);
});

afterAll(async () => {
  await adapter.stop('immediate', QUICK).catch(() => undefined);
  await adapter.close();
  await home.remove();
});

test('a setting that was undone before it took effect is not pending, although PostgreSQL goes on saying so', async () => {
  const pending = async () => (await adapter.observe(QUICK)).sql?.pendingRestart;
  await adapter.apply(PRIMARY, QUICK);
  adapter.configure({ ...settings, parameters: { ...settings.parameters, max_files_per_process: '900' } });
  await adapter.apply(PRIMARY, QUICK);
  expect(await pending()).toEqual({ max_files_per_process: { old_value: '1000', new_value: '900' } });
  adapter.configure(settings);
  await adapter.apply(PRIMARY, QUICK);
  expect(await pending()).toEqual({});
  const marked = await sql(settings, "SELECT pending_restart FROM pg_settings WHERE name = 'max_files_per_process'");
  expect(marked).toEqual([{ pending_restart: true }]);
});

test('limits and formats of the superuser’s role do not end or change the connection of the agent', async () => {
  const before = await adapter.observe(QUICK);
  // All in one, because each later session is subject to them.
  const alter = Object.entries(LIMITS).map(([name, value]) => `ALTER ROLE postgres SET ${name} = ${pg.escapeLiteral(value)}`);
  await sql(settings, alter.join('; '));
  // A fresh connection, as after a restart of the agent.
  const restarted = adapterFor(settings);
  try {
    await restarted.observe(QUICK);
    const mine = await restarted.observe(QUICK);
    expect(mine.sql).toMatchObject({ inRecovery: false, postmasterStartTime: before.sql!.postmasterStartTime });
    const connected = await heartbeats();
    await anIdleSessionIsEnded();
    expect(await heartbeats()).toEqual(connected);
    await restarted.setSyncNames('ANY 1 (nobody)', QUICK);
    await restarted.setSyncNames('', QUICK);
    await restarted.checkpoint(QUICK);
  } finally {
    await restarted.close();
  }
});

/** PostgreSQL itself says when the limit has struck. */
async function anIdleSessionIsEnded(): Promise<void> {
  const { superuser, port } = settings.postgresql;
  const person = new pg.Client({
    host: '127.0.0.1',
    port,
    user: superuser.username,
    password: superuser.password ?? '',
    database: 'postgres',
  });
  let ended = false;
  person.on('error', () => {
    ended = true;
  });
  await person.connect();
  await eventually('an idle session is ended', 30_000, () => ended);
}
