import { describe, expect, it } from 'vitest';
import { summarize } from './figures.ts';

describe('the sum of repetitions', () => {
  it('is their median and range', () => {
    expect(summarize([30, 2, 100])).toEqual({ median: 30, least: 2, most: 100, count: 3 });
    expect(summarize([4, 1, 2, 3])).toEqual({ median: 2.5, least: 1, most: 4, count: 4 });
    expect(summarize([7])).toEqual({ median: 7, least: 7, most: 7, count: 1 });
  });

  it('is none of nothing', () => {
    expect(summarize([])).toBeNull();
  });
});
