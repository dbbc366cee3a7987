/** The loss of etcd alone. */
import { expect } from 'vitest';
import { quorum, type Scenario, type Story } from './story.ts';

/** Nobody else leads, no commit fails, and none waits for longer than that. */
export async function servesAllTheWhile(story: Story, forMs: number, rarelyMs = 300): Promise<void> {
  const { world, a } = story;
  const { clients } = world;
  let [before, sinceMs, longestMs] = [clients.acknowledged.length, story.nowMs, 0];
  const endMs = story.nowMs + forMs;
  while (story.nowMs < endMs) {
    await story.run(50);
    if (clients.acknowledged.length > before) sinceMs = story.nowMs;
    before = clients.acknowledged.length;
    longestMs = Math.max(longestMs, story.nowMs - sinceMs);
  }
  expect(longestMs).toBeLessThan(rarelyMs);
  expect(a.server.writable).toBe(true);
  expect(world.machines.map(({ server }) => server.position.branch.timeline)).toEqual([1, 1, 1]);
}

/** A client writes all the while; all is well afterwards, and nothing is lost. */
export async function etcdAwayForTenMinutes(story: Story): Promise<void> {
  const { world } = story;
  story.client.start();
  await story.run(3050);
  story.fault('all of etcd is away', () => world.etcd.stop());
  await servesAllTheWhile(story, 600_000);
  story.operator('etcd is back', () => world.etcd.start());
  await servesAllTheWhile(story, 20_000);
  await story.back();
  expect(story.lost).toBe(0);
}

export const etcdAway: Scenario = {
  id: 'm19-etcd-away',
  mechanism: 'All of etcd is away for ten minutes, and comes back with the leader’s lease at its end.',
  answer:
    'lets the voters vouch for the leader while etcd does not answer: as many as a commit waits for. Nobody can take the lead meanwhile, and the leader goes on.',
  config: quorum,
  play: etcdAwayForTenMinutes,
};

export const leaderAlone: Scenario = {
  id: 'm19-leader-without-etcd',
  mechanism: 'The leader alone is cut off from etcd; its standbys are not.',
  answer: 'sends its calls through another member. The lease stays real, so that this works in asynchronous mode too.',
  play: async (story) => {
    story.client.start();
    await story.run(3050);
    story.fault('a does not reach etcd any more; b and c do, and a reaches them', () => story.cut('a', 'etcd'));
    await servesAllTheWhile(story, 60_000);
    story.operator('a reaches etcd again', () => story.heal('a', 'etcd'));
    await servesAllTheWhile(story, 10_000);
    await story.back();
    expect(story.lost).toBe(0);
  },
};

export const leaderVouchedFor: Scenario = {
  id: 'm19-leader-vouched-for',
  mechanism: 'The same, and nobody carries the leader’s calls: its key ends in etcd.',
  answer:
    'lets no voter race that has vouched for the leader. The leader goes on without its key, and takes it again when it reaches etcd.',
  config: quorum,
  world: { relays: false },
  play: async (story) => {
    const { world } = story;
    // Whoever looks for the leader key finds none: those who are there are served.
    story.sessionOn(story.a);
    await story.run(3050);
    story.fault('a does not reach etcd any more; b and c do, and a reaches them', () => story.cut('a', 'etcd'));
    await servesAllTheWhile(story, 60_000);
    expect(world.holder).toBeNull();
    story.operator('a reaches etcd again', () => story.heal('a', 'etcd'));
    await story.until('a has its key again', () => world.holder === 'a', 10_000);
    await servesAllTheWhile(story, 10_000);
    await story.back();
    expect(story.lost).toBe(0);
  },
};
