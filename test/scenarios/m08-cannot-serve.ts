/** The primary's agent is well, and knows that its PostgreSQL cannot serve. */
import { expect } from 'vitest';
import { quorum, type Scenario, type Story } from './story.ts';

/** With the default ttl, and an agent that goes on renewing its lease, no lease would ever end. */
const config = { ...quorum, ttl: 30, loop_wait: 10, retry_timeout: 10 };

/** postgresql_unresponsive_after (5 s), what a round needs to see it, and a failover. */
const REPLACED_MS = 10_000;

async function replaced(story: Story, hang: () => void, what: string, mend: () => void, mended: string): Promise<void> {
  const { world, a } = story;
  story.client.start();
  await story.run(3050);
  story.fault(what, hang);
  const tookMs = await story.until('a successor', () => world.leader !== null && world.leader !== a, REPLACED_MS);
  expect(tookMs).toBeGreaterThan(5000);
  story.operator(mended, mend);
  await story.back();
  expect(story.lost).toBe(0);
}

export const diskHangs: Scenario = {
  id: 'm08-disk-hangs',
  mechanism: 'The disk of the primary finishes no write any more. Nothing fails: commits wait, and not even SIGKILL ends who waits.',
  answer:
    'has the agent try the disk by itself once PostgreSQL’s WAL stands still. After postgresql_unresponsive_after it asks its voters, in its beats, for another leader. Their promises need neither its disk nor its PostgreSQL.',
  config,
  play: (story) =>
    replaced(
      story,
      () => story.a.server.hangDisk(),
      'the disk of a hangs',
      () => story.a.server.freeDisk(),
      'the disk of a works again',
    ),
};

export const postgresHangs: Scenario = {
  id: 'm08-postgres-hangs',
  mechanism: 'PostgreSQL on the primary hangs: its processes are there, and answer nobody. Its agent is well, and renews the lease.',
  answer:
    'gives it postgresql_unresponsive_after to come back. Then the agent asks its voters for another leader, and does not wait until processes that hang have ended.',
  config,
  play: (story) => {
    const hang = (hung: boolean) => () => {
      const { process } = story.a.server;
      if (process !== null) process.hung = hung;
    };
    return replaced(story, hang(true), 'PostgreSQL on a hangs', hang(false), 'PostgreSQL on a goes on');
  },
};
