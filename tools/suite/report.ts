import { stripVTControlCharacters } from 'node:util';

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Could not be run here, and has said why. */
  readonly skipped: number;
  /** What failed, each with the first lines of why, as far as it has a name. */
  readonly failures?: readonly string[];
}

/** What several runs found together. */
export function sumOf(tallies: readonly Tally[]): Tally {
  const total = (count: 'passed' | 'failed' | 'skipped') => tallies.reduce((sum, tally) => sum + tally[count], 0);
  const failures = tallies.flatMap((tally) => tally.failures ?? []);
  return { passed: total('passed'), failed: total('failed'), skipped: total('skipped'), failures };
}

interface TestReport {
  readonly status?: string;
  readonly fullName?: string;
  readonly failureMessages?: readonly string[];
}

interface FileReport {
  readonly name?: string;
  readonly status?: string;
  readonly message?: string;
  readonly assertionResults?: readonly TestReport[];
}

/** Of a message: enough to know what went wrong. */
const LINES_SHOWN = 6;
const COLUMNS_SHOWN = 300;

/**
 * Counts the tests in vitest's JSON report. A file that failed without a failed test counts as one
 * failure, because it did not load or a hook threw. So does a run that ended badly without naming
 * any (an unhandled error), or that left no report.
 */
export function countTests(report: string | null, exitCode: number): Tally {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const failures: string[] = [];
  for (const file of readFiles(report)) {
    const statuses = (file.assertionResults ?? []).map((test) => test.status);
    const broken = (file.assertionResults ?? []).filter((test) => test.status === 'failed');
    passed += statuses.filter((status) => status === 'passed').length;
    skipped += statuses.filter((status) => status === 'skipped' || status === 'pending').length;
    for (const test of broken) failures.push(failure(`${file.name ?? ''}: ${test.fullName ?? ''}`, test.failureMessages?.[0] ?? ''));
    failed += broken.length;
    if (broken.length > 0 || file.status !== 'failed') continue;
    failed += 1;
    failures.push(failure(file.name ?? '', file.message ?? ''));
  }
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed, skipped, failures };
}

function failure(name: string, why: string): string {
  const lines = stripVTControlCharacters(why).split('\n').slice(0, LINES_SHOWN);
  return [name, ...lines.map((line) => `    ${line.slice(0, COLUMNS_SHOWN)}`)].join('\n').trimEnd();
}

/**
 * What failed, once more and last: the end of a long output is what is kept and read. Empty when
 * nothing has failed.
 */
export function failuresText(parts: readonly (Tally & { readonly part: string })[]): string {
  const named = parts
    .filter(({ failed }) => failed > 0)
    .flatMap(({ part, failed, failures = [] }) => {
      const unnamed = failed > failures.length ? [`${part}: ${failed - failures.length} of it, told above`] : [];
      return [...failures.map((text) => `${part}: ${text}`), ...unnamed];
    });
  return named.length === 0 ? '' : ['failed:', ...named.map((text) => `  ${text}`)].join('\n');
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
