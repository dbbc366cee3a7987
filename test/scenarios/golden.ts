import { expect } from 'vitest';
import { ensureError } from '../../src/support/errors.ts';

export const HINT =
  'The story is another than the one in the file. Read the difference below: it is what your change does to a cluster. If you understand why every line of it ' +
  'changed, and it is better so, rewrite the stories (vitest run --project unit test/scenarios -u), read git diff, and commit only what you understand.';

/** The failure, with what to do about it before the difference. */
export function withHint(error: unknown): Error {
  const failure = ensureError(error);
  failure.message = `${HINT}\n\n${failure.message}`;
  return failure;
}

/** Compares with the file of that name beside this one; `vitest -u` rewrites it. */
export async function matchGolden(text: string, file: string): Promise<void> {
  try {
    await expect(text).toMatchFileSnapshot(`./${file}`);
  } catch (error) {
    throw withHint(error);
  }
}
