import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatLsn, parseLsn, toLsn } from '../../core/units.ts';
import { historyFileName, parseHistory } from './history-file.ts';

test('a history file, oldest first', () => {
  const text = '1\t0/5000060\tno recovery target specified\n\n# a comment\n2\t1/A0\tbefore 2026-11-22 21:31:05.506336+00\n';
  expect(parseHistory(text)).toEqual([
    { timeline: 1, switchLsn: parseLsn('0/5000060'), reason: 'no recovery target specified' },
    { timeline: 2, switchLsn: parseLsn('1/A0'), reason: 'before 2026-11-22 21:31:05.506336+00' },
  ]);
});

test('names', () => {
  expect(historyFileName(2)).toBe('00000002.history');
  expect(historyFileName(0x1ff)).toBe('000001FF.history');
});

test.each(['1\n', 'x\t0/1\treason\n', '1\t0/1\n1\t0/2\n', '2\t0/1\n1\t0/2\n', '1\t00000\treason\n'])('refuses %j', (text) => {
  expect(() => parseHistory(text)).toThrowError(expect.objectContaining({ code: 'HISTORY_UNREADABLE' }));
});

test('a history that PostgreSQL writes is read back', () => {
  const entry = fc.record({
    step: fc.integer({ min: 1, max: 9 }),
    lsn: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    reason: fc.stringMatching(/^[a-z0-9 .:+"-]{0,40}$/),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
      let timeline = 0;
      const expected = entries.map(({ step, lsn, reason }) => {
        timeline += step;
        return { timeline, switchLsn: toLsn(lsn), reason: reason.trim() };
      });
      const text = expected.map((one) => `${one.timeline}\t${formatLsn(one.switchLsn)}\t${one.reason}\n`).join('');
      expect(parseHistory(text)).toEqual(expected);
    }),
  );
});
