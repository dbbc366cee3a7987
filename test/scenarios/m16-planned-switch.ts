import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const switchoverUnderLoad: Scenario = {
  id: 'm16-switchover-under-load',
  mechanism: 'A planned switch promotes a position behind the one at which the old leader still writes.',
  answer:
    'stops the old primary in good order first, which sends everything to whoever streams, and promotes then: nothing is lost, and nothing is to be rewound.',
  play: async (story) => {
    const { world, a, b } = story;
    story.client.start();
    story.sessionOn(a);
    await story.run(3050);
    story.operator('switchover from a to b', () => world.askFailover({ leader: 'a', member: 'b' }));
    await story.leads(b, 10_000);
    expect(story.lost).toBe(0);
    await story.back();
    expect(a.rules.filter((rule) => rule.startsWith('mend.'))).toEqual([]);
    expect(a.server.position.branch).toBe(b.server.position.branch);
  },
};

export const candidateBehind: Scenario = {
  id: 'm16-candidate-behind',
  mechanism: 'A planned switch to a candidate that is far behind.',
  answer: 'refuses it, says how far behind it is, and the leader goes on.',
  config: { maximum_lag_on_failover: 2000 },
  play: async (story) => {
    const { world, a, b } = story;
    story.client.start();
    await story.run(1050);
    story.fault('the disk of b hangs: its agent answers, its WAL stands still', () => b.server.hangDisk());
    await story.run(5000);
    story.operator('switchover from a to b', () => world.askFailover({ leader: 'a', member: 'b' }));
    await story.run(8000);
    expect(world.primary).toBe(a);
    expect(b.server.inRecovery).toBe(true);
    expect(story.client.refused).toBe(0);
    expect(world.etcd.view().failover).toBeNull();
    story.operator('the disk of b works again', () => b.server.freeDisk());
    await story.back();
  },
};

export const standbyVanishes: Scenario = {
  id: 'm16-standby-vanishes',
  mechanism:
    'A planned switch waits for a third node that is gone without a word: PostgreSQL ends when wal_sender_timeout is over, a minute later.',
  answer:
    'finds out before, while clients still write, who confirms nothing, and waits for nobody but the candidate; whoever was left out streams the rest later.',
  world: { lastingStreams: true },
  play: async (story) => {
    const { world, a, b, c } = story;
    story.client.start();
    await story.run(3050);
    story.fault('c freezes: its connections look alive', () => c.suspend());
    await story.run(500);
    story.operator('switchover from a to b', () => world.askFailover({ leader: 'a', member: 'b' }));
    await story.leads(b, 10_000);
    await story.run(2000);
    expect(story.lost).toBe(0);
    story.operator('c goes on', () => c.resume());
    await story.back();
    expect(a.rules.filter((rule) => rule.startsWith('mend.'))).toEqual([]);
    expect(c.rules.filter((rule) => rule.startsWith('mend.'))).toEqual([]);
  },
};
