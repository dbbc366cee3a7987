/**
 * The adapter against servers that let nobody in any more: everything a promise needs goes on over
 * connections from before.
 */
import { afterAll, expect, test } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/system.ts';
import { Heartbeat } from '../../src/adapters/postgres/heartbeat.ts';
import { readPidFile } from '../../src/adapters/postgres/pid-file.ts';
import { freePort } from './support/ports.ts';
import { adapterFor, foundCluster, settingsFor, sourceOf, sql, temporaryHome } from './support/postgres.ts';

const CLOCK = createSystemClock();
const QUICK = { timeoutMs: 10_000 };
const home = await temporaryHome();
afterAll(() => home.remove());

test('synchronous names, checkpoint, slots, letting go and promotion need no new connection, and the refusal is reported', async () => {
  const settings = settingsFor({ home: home.path, name: 'a', port: await freePort() });
  const primary = await foundCluster(adapterFor(settings));
  const own = settingsFor({ home: home.path, name: 'b', port: await freePort() });
  const standby = adapterFor(own);
  await standby.clone(sourceOf(settings), { timeoutMs: 30_000, fromLeader: true });
  await standby.start({ kind: 'standby', source: sourceOf(settings) }, { timeoutMs: 20_000 });
  // The second look opens the spare connection.
  for (const adapter of [primary, standby, primary, standby]) expect((await adapter.observe(QUICK)).lockedOut).toBeUndefined();
  await sql(settings, `ALTER ROLE postgres PASSWORD 'rotated'`);
  await expect(sql(settings, 'SELECT 1')).rejects.toThrow('password authentication failed');

  await primary.setSyncNames('ANY 1 (nobody)', QUICK);
  expect((await primary.observe(QUICK)).sql?.synchronousStandbyNames).toBe('ANY 1 (nobody)');
  await primary.setSyncNames('', QUICK);
  await primary.checkpoint(QUICK);
  await primary.syncSlots({ create: ['member'], drop: [], advance: {} }, QUICK);
  const facts = await primary.observe(QUICK);
  expect(facts.sql?.slots).toHaveLength(1);
  expect(facts.lockedOut).toContain('password authentication failed');

  await primary.stop('immediate', QUICK);
  await standby.apply({ kind: 'standby', source: null }, QUICK);
  // The files were read again, so the door was tried again.
  expect(await standby.observe(QUICK)).toMatchObject({ sql: { primaryConninfo: '' } });
  expect((await standby.observe(QUICK)).lockedOut).toContain('password authentication failed');
  await standby.promote({ timeoutMs: 10_000 });
  expect((await standby.observe(QUICK)).sql?.inRecovery).toBe(false);
  await standby.close();
  await primary.close();
});

test('work on the last connection ends with its time and when it is called off, and leaves the connection', async () => {
  const settings = settingsFor({ home: home.path, name: 'c', port: await freePort() });
  const primary = await foundCluster(adapterFor(settings));
  const heartbeat = new Heartbeat(CLOCK, () => undefined);
  // One connection, and no spare one yet.
  const { row } = await heartbeat.facts(settings, 2000);
  await sql(settings, `ALTER ROLE postgres PASSWORD 'rotated'`);
  const begunAtMs = performance.now();
  const asked = { applicationName: 'test', timeoutMs: 300 };
  const slow = heartbeat.use(settings, asked, async (client) => {
    await client.query('SELECT pg_sleep(10)');
    await client.query('CREATE TABLE too_late ()');
  });
  await expect(slow).rejects.toMatchObject({ code: 'SQL_TIMEOUT' });
  expect(performance.now() - begunAtMs).toBeLessThan(5000);
  expect(heartbeat.lockedOut).toContain('password authentication failed');

  const signal = AbortSignal.timeout(100);
  const aborted = heartbeat.use(settings, { ...asked, timeoutMs: 5000, signal }, (client) => client.query('SELECT pg_sleep(10)'));
  await expect(aborted).rejects.toMatchObject({ code: 'PG_ABORTED' });
  const after = await heartbeat.facts(settings, 5000);
  expect(after.row.conf_load_time).toBe(row.conf_load_time);
  expect(heartbeat.connected).toBe(true);
  const made = await heartbeat.use(settings, { ...asked, timeoutMs: 5000 }, (client) =>
    client.query(`SELECT to_regclass('public.too_late') AS made`),
  );
  expect(made.rows).toEqual([{ made: null }]);
  heartbeat.reset();
  await primary.close();
});

test('a connection that ends while a new one is made does not replace the spare one', async () => {
  const settings = settingsFor({ home: home.path, name: 'd', port: await freePort() });
  const primary = await foundCluster(adapterFor(settings));
  let ended: () => void = () => undefined;
  const heartbeat = new Heartbeat(CLOCK, (stands) => {
    if (!stands) ended();
  });
  const facts = () => heartbeat.facts(settings, 5000);
  const pid = () => heartbeat.query<{ pid: number }>('SELECT pg_backend_pid() AS pid', [], 2000).then(([row]) => row!.pid);
  await facts();
  const spare = await pid();
  // The second look makes the first one's connection the spare.
  await facts();
  const old = await pid();
  expect(old).not.toBe(spare);
  // After a reload the next look makes a new one; a postmaster that stands still has it wait.
  const { row } = await facts();
  await sql(settings, 'SELECT pg_reload_conf()');
  while ((await facts()).row.conf_load_time === row.conf_load_time);
  const postmaster = readPidFile(settings.postgresql.dataDir)!.pid;
  process.kill(postmaster, 'SIGSTOP');
  const renewed = facts();
  await new Promise<void>((resolve) => {
    ended = resolve;
    process.kill(old, 'SIGTERM');
  });
  process.kill(postmaster, 'SIGCONT');
  await renewed;
  const used = await heartbeat.use(settings, { applicationName: 'test', timeoutMs: 2000 }, (client) =>
    client.query('SELECT pg_backend_pid() AS pid'),
  );
  expect(used.rows).toEqual([{ pid: spare }]);
  expect(await pid()).not.toBe(old);
  heartbeat.reset();
  await primary.close();
});
