/** The adapter against servers that let nobody in any more: everything a promise needs goes on over connections from before. */
import { afterAll, expect, test } from 'vitest';
import { adapterFor, foundCluster, freePort, settingsFor, sourceOf, sql, temporaryHome } from './support/postgres.ts';

const QUICK = { timeoutMs: 5000 };
const home = await temporaryHome();
afterAll(() => home.remove());

test('synchronous names, checkpoint, slots, letting go and promotion need no new connection, and the refusal is told', async () => {
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
}, 90_000);
