import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const twoCandidates: Scenario = {
  id: 'm26-two-candidates',
  mechanism: 'Two nodes decide at the same time, each on its own, that they are the next primary.',
  answer: 'has etcd settle it: the key is created only where it is absent. The one that comes second is told so, and promotes nothing.',
  play: async (story) => {
    const { world, a, b, c } = story;
    story.client.start();
    await story.run(1050);
    story.fault('a loses power; requests to etcd take up to two seconds; b and c do not reach each other', () => {
      a.crash();
      story.cut('b', 'c');
      world.net.slowRequests = { chance: 1, maxMs: 2000 };
    });
    await story.until('one of them leads', () => world.leader !== null, 30_000);
    const second = world.primary === b ? c : b;
    expect(second.server.inRecovery).toBe(true);
    expect(world.checkers.successions.length).toBe(2);
    story.operator('everything is as it should be, and a is switched on again', () => {
      world.net.slowRequests = { chance: 0, maxMs: 0 };
      story.heal('b', 'c');
      a.boot();
    });
    await story.back();
  },
};
