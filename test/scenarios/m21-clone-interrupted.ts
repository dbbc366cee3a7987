import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const cloneInterrupted: Scenario = {
  id: 'm21-clone-interrupted',
  mechanism: 'A base backup is broken off half-way, and the node with half the data is elected.',
  answer:
    'marks a directory before anything is written to it. What is half made never runs, and so never leads, even if it is all that is left.',
  nodes: ['a', 'b'],
  play: async (story) => {
    const { world, a, b } = story;
    story.client.start();
    await story.run(1050);
    b.server.durations = { ...b.server.durations, cloneMs: [8000, 8000] };
    story.fault('b loses its disk', () => {
      b.crash();
      b.loseDisk();
      b.boot();
    });
    await story.until('b is being cloned', () => b.server.work === 'clone', 10_000);
    await story.run(4000);
    story.fault('a loses power', () => a.crash());
    await story.run(40_000);
    expect(b.server.process).toBeNull();
    expect(world.holder).toBeNull();
    story.operator('a is switched on again', () => a.boot());
    await story.leads(a, 30_000);
    await story.back();
    expect(story.lost).toBe(0);
  },
};
