import { expect } from 'vitest';
import type { Machine } from '../sim/machine.ts';
import { commitsIn } from '../sim/wal.ts';
import { quorum, type Scenario } from './story.ts';

function hang(hung: boolean, ...machines: readonly Machine[]): void {
  for (const { server } of machines) if (server.process !== null) server.process.hung = hung;
}

export const crashHides: Scenario = {
  id: 'm03-crash-hides',
  mechanism:
    'A primary that crashes and recovers in place has commits that nobody had confirmed; a failover a moment later takes them away again.',
  answer:
    'starts PostgreSQL in place, which is quickest, and keeps clients out until so many standbys as confirm a commit have confirmed what ' +
    'recovery brought back. Nobody reads what may still be taken away.',
  config: quorum,
  play: async (story) => {
    const { world, a, b, c } = story;
    story.fault('PostgreSQL on b and c hangs, and confirms nothing', () => hang(true, b, c));
    story.operator('a commit on a, which waits for a confirmation', () => world.clients.write(a));
    const id = world.clients.attempts;
    await story.run(500);
    story.fault('PostgreSQL on a crashes', () => a.server.die('crashed'));
    await story.until('PostgreSQL on a runs again', () => a.server.running, 5000);
    expect(commitsIn(a.server.position).has(id)).toBe(true);
    story.note('recovery found the commit, which was never acknowledged, and is nowhere else');
    expect(a.server.process?.clientsOut).toBe(true);
    expect(world.clients.write(a)).toBe(false);
    story.note('no client is let in');
    story.fault('a loses power', () => a.crash());
    story.operator('PostgreSQL on b and c goes on', () => hang(false, b, c));
    await story.until('a successor', () => world.leader !== null && world.leader !== a, 20_000);
    expect(commitsIn(world.primary.server.position).has(id)).toBe(false);
    story.note('the commit is gone, and nobody has seen it');
    story.operator('a is switched on again', () => a.boot());
    await story.back();
  },
};

export const crashFailsOver: Scenario = {
  id: 'm03-crash-fails-over',
  mechanism: 'The same crash, with primary_start_timeout: 0.',
  answer:
    'gives the key up instead of starting PostgreSQL in place: nobody writes on top of what was never confirmed. It can still be read on the old node for the moment ' +
    'until that is compared with its successor.',
  config: { ...quorum, primary_start_timeout: 0 },
  play: async (story) => {
    const { world, a } = story;
    story.fault('a commit is written on a, the network blinks, and PostgreSQL on a crashes', () => {
      story.cut('a', 'b', 'c');
      world.clients.write(a);
      a.server.die('crashed');
    });
    await story.run(5);
    story.heal('a', 'b', 'c');
    const id = world.clients.attempts;
    await story.until('a successor', () => world.leader !== null, 10_000);
    expect(world.primary).not.toBe(a);
    expect(commitsIn(world.primary.server.position).has(id)).toBe(false);
    await story.back();
    expect(commitsIn(a.server.position).has(id)).toBe(false);
    expect(a.rules).toContain('stopped.give-up');
    expect(a.rules).not.toContain('stopped.restart-primary');
  },
};
