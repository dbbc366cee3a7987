export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Could not be run here, and has said why. */
  readonly skipped: number;
}

interface FileReport {
  readonly status?: string;
  readonly assertionResults?: ReadonlyArray<{ readonly status?: string }>;
}

/**
 * Counts the tests in vitest's JSON report. A file that failed without a failed test (it did not
 * load, a hook threw) counts as one failure, and so does a run that ended badly without naming any
 * (an unhandled error), or that left no report.
 */
export function countTests(report: string | null, exitCode: number): Tally {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const file of readFiles(report)) {
    const statuses = (file.assertionResults ?? []).map((test) => test.status);
    const failures = statuses.filter((status) => status === 'failed').length;
    passed += statuses.filter((status) => status === 'passed').length;
    skipped += statuses.filter((status) => status === 'skipped' || status === 'pending').length;
    failed += failures === 0 && file.status === 'failed' ? 1 : failures;
  }
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed, skipped };
}

/** The line that closes every run; what was skipped is named only where something was. */
export function tallyLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function readFiles(report: string | null): readonly FileReport[] {
  try {
    const parsed = JSON.parse(report ?? '{}') as { testResults?: unknown };
    return Array.isArray(parsed.testResults) ? parsed.testResults : [];
  } catch {
    return [];
  }
}
