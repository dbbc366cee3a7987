import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';

export const stillReplaying: Scenario = {
  id: 'm11-still-replaying',
  mechanism:
    'A standby that still replays what is on its own disk tells a position that is not its last; compared by it, the wrong one is promoted.',
  answer: 'counts no vote of a standby whose position still moves, and waits for it.',
  config: quorum,
  play: async (story) => {
    const { world, a, b, c } = story;
    story.client.start();
    await story.run(1050);
    story.fault('c gets no WAL from a any more', () => story.cut('a', 'c'));
    await story.run(1500);
    expect(world.clients.missingOn(c).length).toBeGreaterThan(10);
    story.note(`c lacks ${world.clients.missingOn(c).length} commits, which b has confirmed`);
    story.fault('all three lose power', () => {
      for (const machine of world.machines) machine.crash();
    });
    story.heal('a', 'c');
    await story.run(12_000);
    b.server.durations = { ...b.server.durations, replayMs: [5000, 5000] };
    story.operator('b and c are switched on again; b has to replay for five seconds', () => {
      b.boot();
      c.boot();
    });
    await story.until('one of them leads', () => world.leader !== null, 20_000);
    expect(world.primary).toBe(b);
    expect(story.lost).toBe(0);
    story.operator('a is switched on again', () => a.boot());
    await story.back();
  },
};
