/** A primary that is started with its clients kept out, and lets them in. */
import { existsSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Settings } from '../../src/core/settings.ts';
import type { Postgres } from '../../src/ports/postgres.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, foundCluster, recordingLog, settingsFor, sql, temporaryHome } from './support/postgres.ts';

const BOUND = { timeoutMs: 60_000 };
const PRIMARY = { kind: 'primary' } as const;
const log = recordingLog();

let home: Awaited<ReturnType<typeof temporaryHome>>;
let settings: Settings;
let agent: Postgres;

beforeAll(async () => {
  home = await temporaryHome();
  settings = settingsFor({ home: home.path, name: 'pg-1', port: await freePort() });
  agent = adapterFor(settings, log);
  await foundCluster(agent);
  await sql(settings, `CREATE ROLE app LOGIN PASSWORD 'app'`);
});
afterAll(async () => {
  await agent?.close();
  await home.remove();
});

/** What a client of that kind is told; null: it is let in. */
async function refusal(user: string, password: string, more: { readonly replication?: 'true' } = {}): Promise<string | null> {
  const { connectHost: host, port } = settings.postgresql;
  const client = new pg.Client({ host, port, user, password, database: 'postgres', ...more } as pg.ClientConfig);
  try {
    await client.connect();
    return null;
  } catch (error) {
    return String((error as Error).message);
  } finally {
    await client.end().catch(() => {});
  }
}

const app = () => refusal('app', 'app');
const standby = () =>
  refusal(settings.postgresql.replication.username, settings.postgresql.replication.password ?? '', { replication: 'true' });
const link = () => `${settings.postgresql.dataDir}.regent-hba`;
const observe = (adapter: Postgres) => adapter.observe({ timeoutMs: 10_000 });

async function startAgain(clientsOut: boolean): Promise<void> {
  await agent.stop('immediate', BOUND);
  await agent.start(PRIMARY, { ...BOUND, clientsOut });
}

test('replication and the agent are let in, others are not, until they are admitted by whichever agent', async () => {
  expect(await app()).toBeNull();
  await startAgain(true);
  expect(await app()).toContain('no pg_hba.conf entry');
  expect(await standby()).toBeNull();
  const facts = await observe(agent);
  expect(facts).toMatchObject({ state: 'running', clientsOut: true });
  expect(facts.sql?.pendingRestart).toEqual({});

  const next = adapterFor(settings, log);
  try {
    expect((await observe(next)).clientsOut).toBe(true);
    await next.admitClients(BOUND);
    expect(await app()).toBeNull();
    const after = await observe(next);
    expect(after.clientsOut).toBeUndefined();
    expect(after.sql?.pendingRestart).toEqual({});
  } finally {
    await next.close();
  }
});

test('from then on the rules of pg_hba.conf count, and changes of them', async () => {
  await startAgain(true);
  await agent.admitClients(BOUND);
  expect(await app()).toBeNull();
  const rules = ['host all app all reject', ...(settings.postgresql.pgHba ?? [])];
  agent.configure({ ...settings, postgresql: { ...settings.postgresql, pgHba: rules } });
  expect((await agent.apply(PRIMARY, BOUND)).notWritten).toEqual([]);
  expect(await app()).toContain('pg_hba.conf rejects connection');
  agent.configure(settings);
  await agent.apply(PRIMARY, BOUND);
  expect(await app()).toBeNull();
});

test('a start without it leaves nothing behind', async () => {
  await startAgain(true);
  expect(readlinkSync(link())).toBe(`${settings.postgresql.dataDir}.regent-closed-hba`);
  await startAgain(false);
  expect(await app()).toBeNull();
  expect((await observe(agent)).clientsOut).toBeUndefined();
  expect([existsSync(link()), existsSync(`${settings.postgresql.dataDir}.regent-closed-hba`)]).toEqual([false, false]);
});

test('rules that cannot be narrowed, or would keep the agent out, let everybody in, and the log says so', async () => {
  const rules = ['host all @names all reject', ...(settings.postgresql.pgHba ?? [])];
  writeFileSync(join(settings.postgresql.dataDir, 'names'), 'nobody\n', { mode: 0o644 });
  agent.configure({ ...settings, postgresql: { ...settings.postgresql, pgHba: rules } });
  await startAgain(true);
  expect(await app()).toBeNull();
  expect(log.lines.some((line) => line.includes('has rules that cannot be narrowed'))).toBe(true);

  const byGroup = ['local all +pg_monitor reject', 'host all +pg_monitor all reject', ...(settings.postgresql.pgHba ?? [])];
  agent.configure({ ...settings, postgresql: { ...settings.postgresql, pgHba: byGroup } });
  await startAgain(true);
  expect(await app()).toBeNull();
  expect(log.lines.some((line) => line.includes('does not let the agent in while clients are kept out'))).toBe(true);
  expect((await observe(agent)).clientsOut).toBeUndefined();
});
