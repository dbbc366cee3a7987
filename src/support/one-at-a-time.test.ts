import { describe, expect, test } from 'vitest';
import { oneAtATime } from './one-at-a-time.ts';

/** Work that ends when told to, and says how often it was begun and how many ran at once. */
function stage() {
  const ends: Array<{ resolve: (value: number) => void; reject: (error: Error) => void }> = [];
  const seen = { begun: 0, atOnce: 0, most: 0 };
  const work = oneAtATime(async (argument: string) => {
    const turn = ++seen.begun;
    seen.most = Math.max(seen.most, ++seen.atOnce);
    try {
      await new Promise<number>((resolve, reject) => ends.push({ resolve, reject }));
      return `${turn} ${argument}`;
    } finally {
      seen.atOnce -= 1;
    }
  });
  return { ends, seen, work };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('oneAtATime', () => {
  test('callers during a run get one shared run that began after they came', async () => {
    const { ends, seen, work } = stage();
    const first = work('a');
    const crowd = [work('b'), work('c'), work('d')];
    ends[0]!.resolve(0);
    expect(await first).toBe('1 a');
    await turn();
    ends[1]!.resolve(0);
    expect(await Promise.all(crowd)).toEqual(['2 b', '2 b', '2 b']);
    expect(seen).toEqual({ begun: 2, atOnce: 0, most: 1 });
  });

  test('a caller at the end of a run does not start one beside the crowd’s', async () => {
    const { ends, seen, work } = stage();
    const again = work('a').then(() => work('again'));
    const waiting = work('b');
    ends[0]!.resolve(0);
    await turn();
    for (const end of ends.splice(1)) end.resolve(0);
    await turn();
    for (const end of ends.splice(1)) end.resolve(0);
    await Promise.all([again, waiting]);
    expect(seen.most).toBe(1);
  });

  test('a failure reaches only the callers that waited for that run', async () => {
    const { ends, work } = stage();
    const first = work('a');
    const second = work('b');
    ends[0]!.reject(new Error('broken'));
    await expect(first).rejects.toThrow('broken');
    await turn();
    ends[1]!.resolve(0);
    expect(await second).toBe('2 b');
  });
});
