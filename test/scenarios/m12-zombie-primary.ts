import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';
import { makeZombie } from './zombie.ts';

export const zombiePrimary: Scenario = {
  id: 'm12-zombie-primary',
  mechanism:
    'After an election a standby still streams from the old primary, which nobody has stopped, and confirms commits that the new one does not have.',
  answer:
    'has every voter end its walreceiver before it counts, in quorum mode. The old primary waits for confirmations that nobody gives any more.',
  config: quorum,
  play: async (story) => {
    const { world, a, b, c } = story;
    await makeZombie(story);
    await story.until('the key is taken', () => world.holder !== 'a' && world.holder !== null, 20_000);
    for (const { server } of [b, c]) expect(server.replication.source).toBeNull();
    const acked = story.ackedBy(a);
    await story.until('a successor', () => world.leader !== null && world.leader !== a, 20_000);
    await story.run(5000);
    expect(a.server.commits).toBe(true);
    expect(story.ackedBy(a)).toBe(acked);
    story.note('a still runs, and has acknowledged nothing since the key changed hands');
    story.operator('the agent on a goes on', () => a.thawAgent());
    await story.back();
    expect(a.rules).toContain('fence.other-leader');
    expect(story.lost).toBe(0);
  },
};
