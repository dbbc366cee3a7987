/** A primary that nobody can stop: its agent hangs, and its guard is dead. */
import type { Story } from './story.ts';

export async function makeZombie(story: Story): Promise<void> {
  const { a } = story;
  story.client.start();
  story.sessionOn(a);
  await story.run(3000);
  story.fault('the agent on a hangs, and its guard is dead; PostgreSQL runs on, standbys stream, a client writes', () => {
    a.freezeAgent();
    a.guard.die();
  });
}
