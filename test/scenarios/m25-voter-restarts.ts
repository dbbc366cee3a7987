import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';
import { makeZombie } from './zombie.ts';

export const voterRestarts: Scenario = {
  id: 'm25-voter-restarts',
  mechanism: 'A node that has let go of the old primary, and was counted on for that, restarts and forgets it.',
  answer:
    'promises nothing in memory that matters: PostgreSQL’s own configuration names no source any more, and the agent follows only who holds the key.',
  config: quorum,
  play: async (story) => {
    const { world, a, b, c } = story;
    for (const { server } of [b, c]) server.durations = { ...server.durations, promoteMs: [4000, 4000] };
    await makeZombie(story);
    await story.until('the key is taken', () => world.holder !== 'a' && world.holder !== null, 20_000);
    const successor = world.node(world.holder ?? '');
    const voter = successor === b ? c : b;
    const acked = story.ackedBy(a);
    let streamed = false;
    world.sim.afterEvent.push(() => {
      streamed ||= voter.server.replication.source === a.server;
    });
    story.fault(`${voter.name}, whose vote ${successor.name} counted, loses power for half a second`, () => voter.crash());
    await story.run(500);
    voter.boot();
    await story.leads(successor, 20_000);
    await story.run(3000);
    expect(streamed).toBe(false);
    expect(story.ackedBy(a)).toBe(acked);
    story.operator('the agent on a goes on', () => a.thawAgent());
    await story.back();
    expect(story.lost).toBe(0);
  },
};
