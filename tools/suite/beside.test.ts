import { describe, expect, it } from 'vitest';
import { talliesOf } from './beside.ts';

describe('what ran beside', () => {
  it('tells what each part found', () => {
    const told = [{ part: 'sim', passed: 3, failed: 1, skipped: 0, failures: ['seed 4'] }];
    expect(talliesOf(JSON.stringify(told), ['sim'])).toEqual(told);
  });

  it.each([null, '', '[{"par', '{}', '[]'])('has failed where it left no word: %s', (text) => {
    expect(talliesOf(text, ['zoo', 'sim']).map(({ part, failed }) => [part, failed])).toEqual([
      ['zoo', 1],
      ['sim', 1],
    ]);
  });
});
