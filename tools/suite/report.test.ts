import { describe, expect, it } from 'vitest';
import { countTests, failuresText, tallyLine } from './report.ts';

const file = (status: string, ...tests: string[]) => ({
  name: 'x.test.ts',
  status,
  assertionResults: tests.map((test) => ({ status: test, fullName: `it ${test}`, failureMessages: ['why\nat line 1'] })),
});
const report = (...files: unknown[]) => JSON.stringify({ testResults: files });

describe('countTests', () => {
  it('adds up the tests of all files', () => {
    expect(countTests(report(file('passed', 'passed', 'passed', 'skipped'), file('failed', 'passed', 'failed')), 1)).toMatchObject({
      passed: 3,
      failed: 1,
      skipped: 1,
    });
  });

  it('counts a file that did not load', () => {
    expect(countTests(report(file('failed'), file('passed', 'passed')), 1)).toMatchObject({ passed: 1, failed: 1, skipped: 0 });
  });

  it('never passes a run that ended badly', () => {
    expect(countTests(report(file('passed', 'passed')), 1)).toMatchObject({ passed: 1, failed: 1, skipped: 0 });
    expect(countTests(null, 1)).toMatchObject({ passed: 0, failed: 1, skipped: 0 });
    expect(countTests('{"testRes', 137)).toMatchObject({ passed: 0, failed: 1, skipped: 0 });
  });
});

describe('tallyLine', () => {
  it('names what was skipped only where something was', () => {
    expect(tallyLine({ passed: 3, failed: 1, skipped: 0 })).toBe('3 passed, 1 failed');
    expect(tallyLine({ passed: 3, failed: 0, skipped: 2 })).toBe('3 passed, 0 failed, 2 skipped');
  });
});

describe('failuresText', () => {
  it('names each failed test with its part and the first lines of why', () => {
    const unit = {
      part: 'unit',
      ...countTests(report(file('failed', 'passed', 'failed'), { ...file('failed'), message: 'no such file' }), 1),
    };
    expect(failuresText([unit, { part: 'lint', passed: 0, failed: 1, skipped: 0 }])).toBe(
      [
        'failed:',
        '  unit: x.test.ts: it failed',
        '    why',
        '    at line 1',
        '  unit: x.test.ts',
        '    no such file',
        '  lint: 1 of it, told above',
      ].join('\n'),
    );
  });

  it('is empty when all is well', () => {
    expect(failuresText([{ part: 'unit', passed: 3, failed: 0, skipped: 0, failures: [] }])).toBe('');
  });
});
