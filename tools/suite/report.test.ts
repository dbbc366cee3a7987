import { describe, expect, it } from 'vitest';
import { countTests, tallyLine } from './report.ts';

const file = (status: string, ...tests: string[]) => ({ status, assertionResults: tests.map((test) => ({ status: test })) });
const report = (...files: unknown[]) => JSON.stringify({ testResults: files });

describe('countTests', () => {
  it('adds up the tests of all files', () => {
    expect(countTests(report(file('passed', 'passed', 'passed', 'skipped'), file('failed', 'passed', 'failed')), 1)).toEqual({
      passed: 3,
      failed: 1,
      skipped: 1,
    });
  });

  it('counts a file that did not load', () => {
    expect(countTests(report(file('failed'), file('passed', 'passed')), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  it('never passes a run that ended badly', () => {
    expect(countTests(report(file('passed', 'passed')), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(countTests(null, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(countTests('{"testRes', 137)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

describe('tallyLine', () => {
  it('names what was skipped only where something was', () => {
    expect(tallyLine({ passed: 3, failed: 1, skipped: 0 })).toBe('3 passed, 1 failed');
    expect(tallyLine({ passed: 3, failed: 0, skipped: 2 })).toBe('3 passed, 0 failed, 2 skipped');
  });
});
