import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';

export const sessionDoesNotWait: Scenario = {
  id: 'm04-session-does-not-wait',
  mechanism: 'A session sets synchronous_commit to local: it is told of success before any standby has its commit.',
  answer: 'cannot forbid it, and promises nothing for such commits. docs/limits.md says how to find who does it.',
  config: quorum,
  play: async (story) => {
    const { world, a } = story;
    story.fault('no WAL gets from a to b and c any more', () => story.cut('a', 'b', 'c'));
    story.operator('on a, one commit with synchronous_commit on, and one with local', () => {
      world.clients.write(a);
      world.clients.write(a, { local: true });
    });
    await story.run(500);
    expect(world.clients.unpromised).toBe(1);
    expect(world.clients.acknowledged).toEqual([]);
    story.note('the second was answered at once; the first waits');
    story.fault('a loses power', () => a.crash());
    story.heal('a', 'b', 'c');
    await story.until('a successor', () => world.leader !== null, 20_000);
    expect(world.primary.server.position.branch.parent?.records.length ?? 0).toBe(2);
    story.operator('a is switched on again', () => a.boot());
    await story.back();
  },
};
