import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';

export const promiseKept: Scenario = {
  id: 'm25-promise-kept',
  mechanism: 'A voter has promised to take no more WAL from the leader, and its machine loses power. The leader is back before it.',
  answer:
    'keeps the promise on disk. What is started again streams from that leader only when /sync has been written anew, which makes every take-over fail that counted on it.',
  config: quorum,
  play: async (story) => {
    const { world, a, b, c } = story;
    story.client.start();
    await story.run(3050);
    story.fault('the machine of a stands still, and etcd takes up to three seconds', () => {
      a.suspend();
      world.net.slowRequests = { chance: 1, maxMs: 3000 };
    });
    await story.until('a voter has promised', () => b.server.fence !== null || c.server.fence !== null, 5000);
    const voter = b.server.fence !== null ? b : c;
    const { fence } = voter.server;
    story.fault(`${voter.name}, which has promised, loses power; the machine of a goes on`, () => {
      voter.crash();
      a.resume();
    });
    await story.run(300);
    expect(voter.server.fence).toEqual(fence);
    story.operator(`${voter.name} is switched on again, and etcd answers at once`, () => {
      voter.boot();
      world.net.slowRequests = { chance: 0, maxMs: 0 };
    });
    await story.back();
    expect(story.lost).toBe(0);
    expect(voter.server.fence).toBeNull();
  },
};
