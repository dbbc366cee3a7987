import { expect } from 'vitest';
import { commitsIn } from '../sim/wal.ts';
import { quorum, type Scenario } from './story.ts';

export const waitCancelled: Scenario = {
  id: 'm02-wait-cancelled',
  mechanism:
    'A session that waits for a standby’s confirmation is told to stop waiting: PostgreSQL reports success with a WARNING, and shows the row, although only the ' +
    'primary has it.',
  answer: 'cannot undo that, and does not count it among what was promised. docs/limits.md says what to do about it.',
  config: quorum,
  play: async (story) => {
    const { world, a, b, c } = story;
    story.fault('no WAL gets from a to b and c any more', () => story.cut('a', 'b', 'c'));
    story.operator('a commit on a; its wait is cancelled after 0.3 s', () => world.clients.write(a, { cancelAfterMs: 300 }));
    const id = world.clients.attempts;
    await story.run(200);
    expect(world.clients.unpromised).toBe(0);
    await story.run(300);
    expect(world.clients.unpromised).toBe(1);
    expect(commitsIn(a.server.position).has(id)).toBe(true);
    for (const { server } of [b, c]) expect(commitsIn(server.position).has(id)).toBe(false);
    story.note('the session was told of success, with a WARNING: the row is visible on a, and nobody else has it');
    story.fault('a loses power', () => a.crash());
    story.heal('a', 'b', 'c');
    await story.until('a successor', () => world.leader !== null, 20_000);
    expect(commitsIn(world.primary.server.position).has(id)).toBe(false);
    story.note('that row is not there');
    story.operator('a is switched on again', () => a.boot());
    await story.back();
    expect(world.clients.acknowledged).toEqual([]);
  },
};
