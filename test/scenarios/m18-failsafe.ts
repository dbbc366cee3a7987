/** The loss of etcd alone, where no voters could vouch: failsafe mode. */
import { expect } from 'vitest';
import { etcdAwayForTenMinutes, servesAllTheWhile } from './m19-without-etcd.ts';
import type { Scenario } from './story.ts';

const failsafe = { failsafe_mode: true };

export const failsafeMode: Scenario = {
  id: 'm18-failsafe-mode',
  mechanism: 'All of etcd is away for ten minutes, and no standby has to confirm a commit.',
  answer:
    'asks every member that the failsafe map names whether the leader may go on. All agree, and take no lead for one ttl. The leader asks again long before that is over.',
  config: failsafe,
  play: etcdAwayForTenMinutes,
};

export const failsafeMemberGone: Scenario = {
  id: 'm18-failsafe-member-gone',
  mechanism: 'The same, and one member that the failsafe map names is not reached.',
  answer:
    'lets the leader step down when its lease ends, and with it the last word of all: a member that does not answer may have been led elsewhere. It goes on once etcd is back.',
  config: failsafe,
  play: async (story) => {
    const { a, c, world } = story;
    story.client.start();
    await story.run(3050);
    story.fault('all of etcd is away, and the machine of c with it', () => {
      world.etcd.stop();
      c.crash();
    });
    await story.until('a takes no more writes', () => !a.server.commits, 10_000);
    await story.run(20_000);
    expect(world.machines.some(({ server }) => server.commits)).toBe(false);
    story.operator('etcd and c are back', () => {
      world.etcd.start();
      c.boot();
    });
    await story.back();
  },
};

export const failsafeAlone: Scenario = {
  id: 'm18-failsafe-leader-alone',
  mechanism: 'The leader alone is cut off from etcd, nobody carries its calls, and its key ends in etcd.',
  answer: 'lets no member race that has agreed. The leader goes on without its key, and takes it again when it reaches etcd.',
  config: failsafe,
  world: { relays: false },
  play: async (story) => {
    const { world } = story;
    // Whoever looks for the leader key finds none: those who are there are served.
    story.sessionOn(story.a);
    await story.run(3050);
    story.fault('a does not reach etcd any more; b and c do, and a reaches them', () => story.cut('a', 'etcd'));
    await servesAllTheWhile(story, 60_000);
    expect(world.holder).toBeNull();
    story.operator('a reaches etcd again', () => story.heal('a', 'etcd'));
    await story.until('a has its key again', () => world.holder === 'a', 10_000);
    await servesAllTheWhile(story, 10_000);
    await story.back();
    expect(story.lost).toBe(0);
  },
};
