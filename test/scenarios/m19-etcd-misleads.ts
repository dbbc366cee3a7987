import { expect } from 'vitest';
import type { Scenario } from './story.ts';

export const etcdMisleads: Scenario = {
  id: 'm19-etcd-misleads',
  mechanism:
    'A member of etcd answers nothing or nothing new, watches fall silent, and answers are lost although the request was carried out.',
  answer:
    'asks the other members, reads everything again every round whatever watches say, and takes a renewal without an answer for none. Nobody’s role changes.',
  play: async (story) => {
    const { world, a } = story;
    const { process } = a.server;
    const changes = world.checkers.successions.length;
    story.client.start();
    await story.run(1050);
    story.fault('etcd1 is cut off from the other two, and keeps its connections', () => world.etcd.spoil('etcd1', 'cut off'));
    await story.run(15_000);
    story.fault('etcd1 is well again; every watch breaks', () => world.etcd.mend('etcd1'));
    await story.run(15_000);
    story.fault('a is sent no answer by etcd, which does what a asks', () => world.net.lostReplies.set('a', 1));
    await story.run(5000);
    story.operator('answers reach a again', () => world.net.lostReplies.delete('a'));
    await story.run(15_000);
    expect(world.checkers.successions.length).toBe(changes);
    expect(a.server.process).toBe(process);
    expect(story.client.refused).toBe(0);
    await story.back();
  },
};
