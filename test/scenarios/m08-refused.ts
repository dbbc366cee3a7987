/** An asynchronous primary whose processes are gone, on a machine that lives. */
import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const asyncProcessesGone: Scenario = {
  id: 'm08-async-processes-gone',
  mechanism: 'Without synchronous mode the agent, the guard and PostgreSQL of the primary are killed, on a machine that lives.',
  answer:
    'waits for the lease, unless failover_on_refusal is on. Then the word of that machine’s kernel is enough: both ports refuse every member that answers.',
  config: { synchronous_mode: 'off', failover_on_refusal: true, ttl: 30, loop_wait: 10, retry_timeout: 10 },
  play: async (story) => {
    const { world, a } = story;
    story.client.start();
    await story.run(3050);
    story.fault('the agent, the guard and PostgreSQL on a are killed', () => {
      a.guard.die();
      a.killAgent();
      a.server.die('was killed');
    });
    const tookMs = await story.until('a successor', () => world.leader !== null && world.leader !== a, 2000);
    expect(tookMs).toBeLessThan(1000);
    story.operator('the agent on a is started', () => a.startAgent());
    await story.back();
  },
};

export const asyncMachineGone: Scenario = {
  id: 'm08-async-machine-gone',
  mechanism: 'Without synchronous mode the primary’s machine loses power, and failover_on_refusal is on.',
  answer: 'waits for the lease: a machine that does not answer may be cut off, with clients that still write to it.',
  config: { synchronous_mode: 'off', failover_on_refusal: true, ttl: 10, loop_wait: 2, retry_timeout: 3 },
  play: async (story) => {
    const { world, a } = story;
    story.client.start();
    await story.run(3050);
    story.fault('the machine of a loses power', () => a.crash());
    const tookMs = await story.until('a successor', () => world.leader !== null && world.leader !== a, 20_000);
    expect(tookMs).toBeGreaterThan(5000);
    story.operator('the machine of a is switched on', () => a.boot());
    await story.back();
  },
};
