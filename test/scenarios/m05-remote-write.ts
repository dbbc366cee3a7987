import { expect } from 'vitest';
import { commitsIn } from '../sim/wal.ts';
import { quorum, type Scenario } from './story.ts';

export const remoteWrite: Scenario = {
  id: 'm05-remote-write',
  mechanism: 'A session sets synchronous_commit to remote_write, and the standby that confirmed loses power before it has flushed.',
  answer:
    'cannot forbid it, and promises nothing for such commits: who has less than was confirmed votes all the same. See docs/limits.md.',
  nodes: ['a', 'b'],
  config: quorum,
  play: async (story) => {
    const { world, a, b } = story;
    const { clients } = world;
    story.operator('on a, one commit with synchronous_commit on', () => clients.write(a));
    await story.run(1000);
    story.fault('the disk of b takes its time', () => b.server.hangDisk());
    story.operator('on a, one commit with remote_write', () => clients.write(a, { remoteWrite: true }));
    await story.until('it is answered', () => clients.unpromised === 1, 1000);
    story.fault('it is answered, and before b has flushed it both machines lose power', () => {
      b.crash();
      a.crash();
    });
    story.operator('b alone is switched on again', () => {
      b.server.freeDisk();
      b.boot();
    });
    await story.leads(b, 30_000);
    expect(commitsIn(b.server.position).size).toBe(1);
    expect(story.lost).toBe(0);
    story.note('the first commit is on b; the second is not, although its client was told of success');
    story.operator('a is switched on again', () => a.boot());
    await story.back();
  },
};
