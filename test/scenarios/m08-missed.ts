/** By what a standby knows that its leader is gone, where promises of voters are the fence. */
import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';

/** With the default ttl the lease would take half a minute. */
const config = { ...quorum, ttl: 30, loop_wait: 10, retry_timeout: 10 };

export const processesGone: Scenario = {
  id: 'm08-processes-gone',
  mechanism: 'PostgreSQL and the agent of the primary are both gone, on a machine that lives.',
  answer: 'takes the word of that machine’s kernel: nothing listens at either port, twice. Its standbys do not wait for a silence.',
  config,
  play: async (story) => {
    const { world, a } = story;
    story.client.start();
    await story.run(3050);
    story.fault('the agent and PostgreSQL on a are killed', () => {
      a.killAgent();
      a.server.die('was killed');
    });
    const tookMs = await story.until('a successor', () => world.leader !== null && world.leader !== a, 2000);
    expect(tookMs).toBeLessThan(500);
    story.operator('the agent on a is started', () => a.startAgent());
    await story.back();
    expect(story.lost).toBe(0);
  },
};

export const agentAway: Scenario = {
  id: 'm08-agent-away',
  mechanism: 'The agent of the primary pauses for some seconds; PostgreSQL serves its clients all the while.',
  answer: 'lets the standbys look at PostgreSQL itself. It answers, so a failover would be the only outage.',
  config,
  play: async (story) => {
    const { world, a } = story;
    story.client.start();
    await story.run(3050);
    const acked = story.ackedBy(a);
    story.fault('the agent on a stands still', () => a.freezeAgent());
    await story.run(5000);
    expect(story.ackedBy(a)).toBeGreaterThan(acked + 40);
    story.operator('the agent on a goes on', () => a.thawAgent());
    await story.run(2000);
    expect(world.leader).toBe(a);
    expect(world.checkers.successions.length).toBe(1);
    await story.back();
  },
};

export const blinkOfAnEye: Scenario = {
  id: 'm08-back-in-time',
  mechanism:
    'The primary’s machine stands still for so long that its standbys have let go of it when it is back, and nobody has taken its place.',
  answer:
    'has the leader write /sync anew. That makes every take-over fail that counted on the promises before, and only then do the standbys stream from it again.',
  config,
  play: async (story) => {
    const { world, a, b, c } = story;
    story.client.start();
    await story.run(3050);
    story.fault('the machine of a stands still, and etcd takes no writes', () => {
      a.suspend();
      world.net.slowRequests = { chance: 1, maxMs: 3000 };
    });
    await story.until('a voter has promised', () => b.server.fence !== null || c.server.fence !== null, 5000);
    story.operator('the machine of a goes on, and etcd answers at once', () => {
      a.resume();
      world.net.slowRequests = { chance: 0, maxMs: 0 };
    });
    await story.back();
    expect(story.lost).toBe(0);
    expect([b.server.fence, c.server.fence]).toEqual([null, null]);
  },
};
