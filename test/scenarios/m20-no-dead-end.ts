import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const noDeadEnd: Scenario = {
  id: 'm20-no-dead-end',
  mechanism: 'A node ends up in a state that nobody had planned for it, and is asked for something that cannot be reached from there.',
  answer: 'decides every round anew from what it finds, and has a rule for every situation (docs/rules.md): there is always a next step.',
  play: async (story) => {
    const { world, a, b, c } = story;
    story.client.start();
    await story.run(1050);
    story.fault('a and b lose power', () => {
      a.crash();
      b.crash();
    });
    await story.until('c is being promoted', () => c.server.process?.promoting === true, 20_000);
    story.fault('PostgreSQL on c is killed in the middle of its promotion, and does not start at the first try', () => {
      c.server.failStarts = 1;
      c.server.die('was killed');
    });
    await story.run(500);
    story.fault('the agent on c is killed as well, and started again five seconds later', () => c.killAgent());
    await story.run(5000);
    c.startAgent();
    await story.leads(c, 40_000);
    story.operator('a and b are switched on again', () => {
      a.boot();
      b.boot();
    });
    await story.back();
    expect(world.primary).toBe(c);
  },
};
