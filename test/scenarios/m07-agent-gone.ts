import { expect } from 'vitest';
import type { Machine } from '../sim/machine.ts';
import type { Scenario, Story } from './story.ts';

async function guardedLoss(story: Story, what: string, lose: (a: Machine) => void, mend: (a: Machine) => void): Promise<void> {
  const { world, a } = story;
  story.client.start();
  story.sessionOn(a);
  await story.run(3000);
  story.fault(`the agent on a ${what}; PostgreSQL runs on, and so does a client’s session`, () => lose(a));
  await story.until('its PostgreSQL is stopped', () => a.server.process === null, 10_000);
  expect(a.guard.fires).toBe(1);
  expect(world.holder).toBe('a');
  const acked = story.ackedBy(a);
  await story.until('a successor', () => world.leader !== null, 20_000);
  expect(story.ackedBy(a)).toBe(acked);
  await story.run(2000);
  story.operator('the agent on a is back', () => mend(a));
  await story.back();
}

const answer = 'has a guard beside every PostgreSQL, a process of its own that knows when the lease ends and stops PostgreSQL before that.';

export const agentKilled: Scenario = {
  id: 'm07-agent-killed',
  mechanism: 'The agent of the primary dies, and PostgreSQL goes on taking writes.',
  answer,
  play: (story) =>
    guardedLoss(
      story,
      'is killed',
      (a) => a.killAgent(),
      (a) => a.startAgent(),
    ),
};

export const agentWedged: Scenario = {
  id: 'm07-agent-wedged',
  mechanism: 'The agent of the primary hangs, and PostgreSQL goes on taking writes.',
  answer,
  play: (story) =>
    guardedLoss(
      story,
      'hangs',
      (a) => a.freezeAgent(),
      (a) => a.thawAgent(),
    ),
};
