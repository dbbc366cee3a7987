/**
 * The tutorial, typed by a patient reader: block by block, in its order, each command as it is
 * written, on a terminal. `sleep N` is a wait of at most N seconds for what the tutorial waits for
 * there.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { advanced } from './steps/advanced.ts';
import { change } from './steps/change.ts';
import { look } from './steps/look.ts';
import { reference } from './steps/reference.ts';
import { start } from './steps/start.ts';
import { Stack } from './support/stack.ts';
import { tutorialBlocks } from './support/tutorial.ts';
import { Walk } from './support/walk.ts';

let prepared: Stack | null = null;
const stack = () => {
  if (prepared === null) throw new Error('the stack could not be prepared');
  return prepared;
};

beforeAll(async () => {
  prepared = await Stack.prepare();
  const built = await prepared.type('docker-compose build --quiet', { timeoutMs: 600_000 });
  if (built.code !== 0) throw new Error(`docker-compose build:\n${built.output}`);
  prepared.say(`images built in ${(built.ms / 1000).toFixed(1)} s`);
}, 620_000);

afterAll(async () => prepared?.close(), 120_000);

const walk = new Walk(tutorialBlocks(), stack);
it('goes through every block of the tutorial', () => {
  for (const { title, why } of walk.looks) process.stdout.write(`  only looked at: ${title} (${why})\n`);
  expect(walk.account()).toEqual({ forgotten: [], unknown: [] });
});
walk.lookAt('High Availability Architecture', 'a drawing');
start(walk);
change(walk);
look(walk);
advanced(walk);
reference(walk);
