import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';

export const fullForData: Scenario = {
  id: 'm24-full-for-data',
  mechanism: 'The disks of all members are full: writes fail everywhere, and a failover helps nobody.',
  answer: 'leaves the primary where it is. Reads go on, and writes as soon as there is room.',
  play: async (story) => {
    const { world, a } = story;
    const changes = world.checkers.successions.length;
    story.client.start();
    await story.run(1050);
    story.fault('there is no room for data on any node', () => {
      for (const { server } of world.machines) server.full = 'data';
    });
    await story.run(60_000);
    expect(world.primary).toBe(a);
    expect(world.checkers.successions.length).toBe(changes);
    for (const { server } of world.machines) expect(server.running).toBe(true);
    story.note('every node still answers readers');
    story.operator('there is room again', () => {
      for (const { server } of world.machines) server.full = 'no';
    });
    await story.back();
  },
};

export const fullForWal: Scenario = {
  id: 'm24-full-for-wal',
  mechanism:
    'There is no room for WAL on any node, which PostgreSQL does not survive: it ends, and the lead could be handed round for ever.',
  answer:
    'tries where it is, then elsewhere while enough others could lead, and then ever more rarely (1 s doubling to 30 s). The lead stays where there is room first.',
  config: quorum,
  play: async (story) => {
    const { world } = story;
    story.client.start();
    await story.run(1050);
    const changes = world.checkers.successions.length;
    story.fault('there is no room for WAL on any node', () => {
      for (const { server } of world.machines) server.full = 'wal';
    });
    await story.run(60_000);
    const handed = world.checkers.successions.length - changes;
    story.note(`in a minute the lead changed hands ${handed === 1 ? 'once' : `${handed} times`}`);
    expect(handed).toBeLessThan(3);
    story.operator('there is room again', () => {
      for (const { server } of world.machines) server.full = 'no';
    });
    await story.back();
    expect(story.lost).toBe(0);
  },
};
