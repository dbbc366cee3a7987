import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const divergedInTheWay: Scenario = {
  id: 'm20-diverged-in-the-way',
  mechanism: 'A stale primary that may not lead is ahead of everybody, and who could lead yields to it: both wait for each other.',
  answer: 'does not yield to a node of which /history says that it cannot lead.',
  play: async (story) => {
    const { world, a, b, c } = story;
    story.sessionOn(a);
    await story.run(1050);
    story.fault('a is cut off from b, c and etcd, and c from b; a client goes on writing to a', () => {
      story.cut('a', 'b', 'c', 'etcd');
      story.cut('b', 'c');
    });
    await story.until('a successor', () => world.leader !== null && world.leader !== a, 20_000);
    world.clients.stop();
    const [successor, other] = world.primary === b ? [b, c] : [c, b];
    await story.until('its timeline is on record', () => world.etcd.view().history.length === 1, 10_000);
    story.fault(`${successor.name} is lost for good, before ${other.name} has seen its timeline; all others reach each other again`, () => {
      successor.crash();
      story.heal('a', 'b', 'c', 'etcd');
      story.heal('b', 'c');
    });
    await story.leads(other, 60_000);
    expect(a.server.position.branch).not.toBe(world.primary.server.position.branch);
    await story.until('a follows it', () => a.server.replication.source === other.server, 60_000);
  },
};
