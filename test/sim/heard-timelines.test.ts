/** A replica that heard of a leader's timeline, got none of its WAL, and finds another leading. */
import { expect, test } from 'vitest';
import { Branch, plus } from './wal.ts';
import { World } from './world.ts';

test('follows the leader, although PostgreSQL keeps to another timeline of the same number', async () => {
  const world = await World.ready({ seed: 81, config: { ttl: 5, loop_wait: 1, retry_timeout: 2 } });
  world.clients.start(50);
  await world.run(3000);
  const [behind, next] = world.replicas as [(typeof world.machines)[0], (typeof world.machines)[0]];
  behind.crash();
  world.askFailover({ leader: world.primary.name, member: next.name });
  await world.expect('the other leads', () => world.leader === next && !next.server.inRecovery, 30_000);
  const { branch, lsn } = behind.server.position;
  const lost = new Branch(branch.timeline + 1, branch, plus(lsn, 100_000), 'led for a moment');
  behind.server.position = { branch: lost, lsn };
  behind.boot();
  await world.expect('all are back', () => world.healthy(), 60_000);
  expect(behind.rules).toContain('standby.aims-elsewhere');
  world.checkers.assertClean();
});
