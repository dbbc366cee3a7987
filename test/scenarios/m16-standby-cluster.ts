/** A whole cluster is demoted, and promoted again, at an operator's wish. */
import { expect } from 'vitest';
import { quorum, type Scenario } from './story.ts';

export const standbyCluster: Scenario = {
  id: 'm16-standby-cluster',
  mechanism: 'An operator makes the cluster follow a server elsewhere that nobody reaches, and takes that back.',
  answer:
    'stops the primary in good order and keeps its key. Nobody takes writes from then on, whoever has the key. When the setting is gone, the leader is promoted with all that was acknowledged.',
  config: quorum,
  play: async (story) => {
    const { a, b, world } = story;
    const nobodyWrites = () => !world.machines.some(({ server }) => server.commits);
    story.client.start();
    await story.run(3050);
    story.operator('standby_cluster is set', () => world.patchConfig({ standby_cluster: { host: 'elsewhere' } }));
    await story.until('a takes no more writes', () => !a.server.commits, 5000);
    await story.until('a runs again, as a standby', () => a.server.running && a.server.inRecovery, 10_000);
    story.fault('the machine of a dies', () => a.crash());
    await story.until('b or c has the key', () => world.holder !== null && world.holder !== 'a', 60_000);
    await story.run(5000);
    expect(nobodyWrites()).toBe(true);
    expect(world.checkers.violations).toEqual([]);
    story.operator('a is switched on again, and standby_cluster is gone', () => {
      a.boot();
      world.patchConfig({ standby_cluster: null });
    });
    await story.until('somebody leads', () => world.leader !== null, 10_000);
    await story.back();
    expect(story.lost).toBe(0);
    expect(b.up).toBe(true);
  },
};
