import { expect } from 'vitest';
import { quorum, type Scenario, type Story } from './story.ts';

/** a is gone, b leads on timeline 2 without c having seen it, and is then gone too. */
async function unseenTimeline(story: Story): Promise<void> {
  const { world, a, b } = story;
  story.client.start();
  await story.run(1000);
  story.fault('a loses power', () => a.crash());
  await story.until('b holds the key', () => world.holder === 'b', 20_000);
  story.fault('b and c do not reach each other', () => story.cut('b', 'c'));
  await story.until('its timeline is on record', () => world.etcd.view().history.length === 1, 5000);
  await story.run(1000);
  story.fault('b loses power', () => b.crash());
  story.operator('a is switched on again; all who are on reach each other', () => {
    story.heal('b', 'c');
    story.heal('a', 'c');
    a.boot();
  });
}

export const secondTimelineRefused: Scenario = {
  id: 'm13-second-timeline-refused',
  mechanism:
    'Two nodes that do not know of each other begin a timeline of the same number: nothing tells afterwards which of them is right.',
  answer: 'lets nobody begin a timeline that /history already has, where commits were promised: the node that began it is waited for.',
  config: quorum,
  world: { tags: { b: { failover_priority: 2 } } },
  play: async (story) => {
    const { world, b, c } = story;
    story.client.start();
    await story.run(1050);
    await unseenTimeline(story);
    await story.run(40_000);
    expect(world.leader).toBeNull();
    expect(c.running.rounds.last?.decision.because).toContain('the cluster is on 2, which b began');
    story.operator('b is switched on again', () => b.boot());
    await story.leads(b, 30_000);
    expect(story.lost).toBe(0);
    await story.back();
  },
};

export const twinFoundOut: Scenario = {
  id: 'm13-twin-found-out',
  mechanism: 'The same without a promise (asynchronously): another node does begin a second timeline 2, and the first comes back.',
  answer:
    'compares the points where timelines began, not their numbers. pg_rewind would compare numbers and find nothing to do, so the one that does not belong is cloned ' +
    'anew (where removing its data is allowed; otherwise it says so and waits).',
  world: { tags: { b: { failover_priority: 2 } } },
  play: async (story) => {
    const { world, b } = story;
    story.client.start();
    await story.run(1050);
    story.fault('c gets no WAL from a any more', () => story.cut('a', 'c'));
    await story.run(500);
    await unseenTimeline(story);
    await story.until('somebody leads', () => world.leader !== null, 60_000);
    story.operator('b is switched on again', () => b.boot());
    await story.back();
    expect(b.rules).toContain('mend.copy');
    expect(b.recloned).toBe(true);
  },
};
