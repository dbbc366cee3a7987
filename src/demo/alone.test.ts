import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { alone } from './alone.ts';

const directory = join(tmpdir(), `regent-alone-${process.pid}`);

it('lets one command start a demo in a directory, and the next once that one is through', async () => {
  let finish = () => {};
  const first = alone(
    directory,
    () =>
      new Promise<string>((resolve) => {
        finish = () => resolve('first');
      }),
  );
  await expect(alone(`${directory}-other`, async () => 'other')).resolves.toBe('other');
  await expect.poll(() => alone(directory, async () => 'second').catch((error: { code?: string }) => error.code)).toBe('DEMO_STARTING');
  finish();
  expect(await first).toBe('first');
  await expect.poll(() => alone(directory, async () => 'third').catch((error: { code?: string }) => error.code)).toBe('third');
});

it('is free again after a start that failed', async () => {
  await expect(alone(directory, () => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk');
  await expect.poll(() => alone(directory, async () => 'again').catch((error: { code?: string }) => error.code)).toBe('again');
});
