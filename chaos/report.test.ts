import { describe, expect, it } from 'vitest';
import { medianOf, reportText } from './report.ts';

describe('the report of a chaos run', () => {
  it('has a row for each kind of fault, and one for all', () => {
    const episode = { group: 'kill.node leader', outageMs: 4000, recoveryMs: 1000 };
    const episodes = [
      { ...episode, number: 1 },
      { ...episode, number: 2, outageMs: 5000 },
      { number: 3, group: 'etcd.all', outageMs: null, recoveryMs: null },
    ];
    const checks = [
      { what: 'nothing is lost', violations: [], note: '2 timelines' },
      { what: 'it came back', violations: ['#3: not whole'], note: '' },
    ];
    expect(reportText({ title: 'chaos', episodes, checks })).toBe(`chaos

fault             count  outage: median   worst  whole after healing: median   worst
etcd.all              1               -       -                            -       -
kill.node leader      2          4.50 s  5.00 s                       1.00 s  1.00 s
all                   3          4.50 s  5.00 s                       1.00 s  1.00 s

held    nothing is lost (2 timelines)
FAILED  it came back
          #3: not whole
`);
  });

  it('tells a few of many violations, and how many there are', () => {
    const violations = Array.from({ length: 12 }, (_, i) => `row ${i}`);
    const text = reportText({ title: '', episodes: [], checks: [{ what: 'rows', violations, note: '' }] });
    expect(text).toContain('row 9\n          and 2 more');
    expect(text).not.toContain('row 10');
  });

  it('takes the middle of an odd number, and between the middle two of an even one', () => {
    expect([medianOf([3, 1, 2]), medianOf([4, 1, 2, 3]), medianOf([])]).toEqual([2, 2.5, null]);
  });
});
