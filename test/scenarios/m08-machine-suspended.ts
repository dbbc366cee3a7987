import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';

export const machineSuspended: Scenario = {
  id: 'm08-machine-suspended',
  mechanism:
    'The primary’s machine stands still for longer than the lease, and wakes up with everything as it was: sessions, PostgreSQL, agent and guard.',
  answer:
    'counts time on a clock that goes on during suspension, so the guard strikes as soon as it runs. In quorum mode nobody has confirmed its commits since long before: ' +
    'its standbys missed it, and promised to take no more WAL from it before one of them took its place.',
  config: quorum,
  play: async (story) => {
    const { world, a } = story;
    story.client.start();
    story.sessionOn(a);
    await story.run(3050);
    story.fault('the machine of a stands still', () => a.suspend());
    await story.until('a successor', () => world.leader !== null, 30_000);
    await story.run(12_000);
    const acked = story.ackedBy(a);
    story.fault('the machine of a goes on; at that moment clients write to it', () => {
      a.resume();
      world.clients.write(a);
    });
    const exposedMs = await story.until('its PostgreSQL is gone', () => a.server.process === null, 1000);
    expect(exposedMs).toBeLessThan(300);
    expect(story.ackedBy(a)).toBe(acked);
    await story.back();
    expect(story.lost).toBe(0);
  },
};
