import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';

export const tooFewVotes: Scenario = {
  id: 'm10-too-few-votes',
  mechanism:
    'The primary is gone, and a standby that hears too few of the others cannot know whether one of them confirmed a commit it does not have.',
  answer: 'counts votes: with two standbys of which any one confirms, both have to be heard. Until then nobody leads.',
  config: quorum,
  play: async (story) => {
    const { world, a, b, c } = story;
    story.client.start();
    await story.run(1050);
    story.fault('a loses power; b and c do not reach each other', () => {
      a.crash();
      story.cut('b', 'c');
    });
    await story.run(30_000);
    expect(world.leader).toBeNull();
    for (const { running } of [b, c]) expect(running.rounds.last?.decision.because).toContain('1 of the 2 votes needed');
    story.operator('b and c reach each other again', () => story.heal('b', 'c'));
    await story.until('one of them leads', () => world.leader !== null, 10_000);
    expect(story.lost).toBe(0);
    story.operator('a is switched on again', () => a.boot());
    await story.back();
  },
};
