import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const rewindSource: Scenario = {
  id: 'm15-rewind-source',
  mechanism: 'The node to rewind from is still being promoted, or restarts in the middle of the rewind.',
  answer:
    'waits until the leader takes writes, marks the directory before it is touched, and repeats a rewind that was broken off; until then it starts nothing there.',
  play: async (story) => {
    const { world, a, c } = story;
    story.client.start();
    for (const { server } of world.replicas) server.durations = { ...server.durations, promoteMs: [3000, 3000] };
    a.server.durations = { ...a.server.durations, rewindMs: [4000, 4000] };
    await story.run(1050);
    story.fault('a is cut off from b and c, while a client goes on writing to it', () => story.cut('a', 'b', 'c'));
    await story.run(500);
    story.fault('a loses power, with commits that nobody else has; its links are mended', () => {
      a.crash();
      story.heal('a', 'b', 'c');
    });
    await story.until('the key is taken', () => world.holder !== 'a' && world.holder !== null, 20_000);
    story.operator('a is switched on again, while its successor is still being promoted', () => a.boot());
    await story.until('a rewind', () => a.server.work === 'rewind', 20_000);
    expect(world.leader).not.toBeNull();
    await story.run(2000);
    story.fault(`PostgreSQL on ${world.primary.name}, from which a reads, crashes`, () => world.primary.server.die('crashed'));
    await story.until('the rewind is broken off', () => a.rules.at(-1)?.startsWith('mend.rewind') === true, 10_000);
    expect(a.server.dir).toBe('incomplete');
    expect(a.server.process).toBeNull();
    await story.back();
    expect(a.server.dir).toBe('valid');
    expect(c.server.dir).toBe('valid');
  },
};
