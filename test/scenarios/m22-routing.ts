import { expect } from 'vitest';
import type { Scenario, Story } from './story.ts';

/** Nobody reaches a but clients: they could go on writing to it. */
async function cutOff(story: Story): Promise<void> {
  story.client.start();
  await story.run(3050);
  story.fault('a is cut off from etcd, b and c; clients reach it', () => story.cut('a', 'etcd', 'b', 'c'));
}

async function comesBack(story: Story): Promise<void> {
  story.operator('the network is whole again', () => story.heal('a', 'etcd', 'b', 'c'));
  await story.back();
  expect(story.lost).toBe(0);
}

export const cutOffPrimary: Scenario = {
  id: 'm22-cut-off-primary',
  mechanism: 'A router goes on leading clients to a primary that has been succeeded.',
  answer:
    'the router follows the leader key: the old primary is put down at once, the new one up, and what is left of the old sessions is ended.',
  config: { synchronous_mode: 'quorum' },
  play: async (story) => {
    const { world, a } = story;
    const { haproxy } = await story.routed();
    await cutOff(story);
    await story.until('another leads', () => world.leader !== null && world.leader !== a, 30_000);
    const { name } = world.primary;
    await story.until('HAProxy leads there', () => haproxy.up.includes(name), 2000);
    expect(haproxy.up).toEqual([name]);
    await story.run(2000);
    expect(haproxy.inUse).not.toContain('a');
    await comesBack(story);
  },
};

export const routerKilled: Scenario = {
  id: 'm22-router-killed',
  mechanism: 'The same, and the router is dead.',
  answer:
    'the agent answers 503 to the check of /primary once it knows that neither etcd nor its voters answer; HAProxy finds the new primary by its checks alone, later, and ends no session.',
  config: { synchronous_mode: 'quorum' },
  play: async (story) => {
    const { world, a } = story;
    const routing = await story.routed();
    story.fault('the router is killed', () => routing.kill());
    await cutOff(story);
    await story.until('another leads', () => world.leader !== null && world.leader !== a, 30_000);
    const { name } = world.primary;
    await story.until('HAProxy leads to it, and nowhere else', () => routing.haproxy.up.join() === name, 10_000);
    expect(routing.haproxy.inUse).toContain('a');
    story.note('a session that came to a while a still looked up is still there and cannot write, until a steps down or a router ends it');
    story.operator('the router is started', () => routing.start());
    await story.until('nobody is left on a', () => routing.settled, 5000);
    await comesBack(story);
  },
};
