import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const slowDemotion: Scenario = {
  id: 'm06-slow-demotion',
  mechanism: 'The old primary takes long to stop, and open sessions go on writing to it meanwhile.',
  answer:
    'never stops PostgreSQL the smart way: sessions are cut at once, and what does not end in time is stopped immediately, before the guard has to.',
  world: { relays: false },
  play: async (story) => {
    const { world, a } = story;
    story.client.start();
    story.sessionOn(a);
    a.server.durations = { ...a.server.durations, fastStopMs: [60_000, 60_000] };
    await story.run(3050);
    story.fault(
      'a does not reach etcd any more, and nobody carries its calls there; clients and standbys reach a. A fast stop takes a minute',
      () => story.cut('a', 'etcd'),
    );
    await story.until('it steps down', () => a.running.rounds.last?.decision.rule === 'fence.lease-ended', 10_000);
    await story.until('its sessions are gone', () => !a.server.commits, 100);
    const cutAt = story.nowMs;
    const acked = story.ackedBy(a);
    story.note('every session on a has ended');
    await story.until('its PostgreSQL is gone', () => a.server.process === null, 10_000);
    expect(world.holder).toBe('a');
    await story.until('a successor', () => world.leader !== null, 20_000);
    expect(story.ackedBy(a)).toBe(acked);
    expect(a.guard.fires).toBe(0);
    expect(story.nowMs - cutAt).toBeGreaterThan(1000);
    story.operator('a reaches etcd again', () => story.heal('a', 'etcd'));
    await story.back();
  },
};
