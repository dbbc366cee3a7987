import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const stalePrimary: Scenario = {
  id: 'm17-stale-primary',
  mechanism: 'An old primary comes back with more WAL than anybody has, looks the most advanced, and wins the race.',
  answer: 'keeps in /history where the cluster left each timeline: who went past that point cannot lead, however much WAL it has.',
  play: async (story) => {
    const { world, a, b, c } = story;
    story.sessionOn(a);
    await story.run(1000);
    story.fault('a is cut off from b, c and etcd; a client goes on writing to it until it steps down', () =>
      story.cut('a', 'b', 'c', 'etcd'),
    );
    await story.until('a successor', () => world.leader !== null && world.leader !== a, 20_000);
    world.clients.stop();
    story.note(`${story.lost} commits were acknowledged by a alone and are lost (M1)`);
    const [successor, other] = world.primary === b ? [b, c] : [c, b];
    expect(a.server.position.lsn > successor.server.position.lsn).toBe(true);
    await story.until(
      'the other follows',
      () => world.etcd.view().history.length === 1 && other.server.replication.source !== null,
      10_000,
    );
    story.fault('b and c lose power; a reaches etcd again', () => {
      b.crash();
      c.crash();
      story.heal('a', 'b', 'c', 'etcd');
    });
    await story.run(40_000);
    expect(world.leader).toBeNull();
    expect(a.running.rounds.last?.decision.because).toContain('diverged from the cluster’s history');
    story.operator(`${other.name} is switched on again`, () => other.boot());
    await story.leads(other, 30_000);
    story.operator(`${successor.name} is switched on again`, () => successor.boot());
    await story.back();
  },
};
