import { expect, test } from 'vitest';
import { World } from '../../test/sim/world.ts';

test('the round that reads a change of /config also writes the files, on every member, without waiting for another round', async () => {
  const world = await World.ready({ seed: 3, config: { ttl: 30, loop_wait: 10, retry_timeout: 10, synchronous_mode: 'off' } });
  await world.run(13_000);
  const behind: string[] = [];
  for (const { name, agent } of world.machines) agent!.rounds.onEnd(() => agent!.settingsVersion.isDirty && behind.push(name));
  world.patchConfig({ maximum_lag_on_failover: 4711 });
  await world.run(200);
  for (const { agent } of world.machines) {
    expect(agent!.rounds.last?.observation.settings.dynamic.maximumLagOnFailoverBytes).toBe(4711);
    expect(agent!.settingsVersion.revisionInForce).toBe(String(world.etcd.get('config')?.modRevision));
  }
  expect(behind).toEqual([]);
});
