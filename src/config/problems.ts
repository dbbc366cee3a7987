/**
 * What is wrong with a configuration, and what to write instead. No text in here may ever hold the
 * value of a password: values are echoed by `show()` only, which knows the secret paths.
 */
import { RegentError } from '../support/errors.ts';
import { isSecretPath, maskText } from './redact.ts';

export type Severity = 'error' | 'warning';

export interface ConfigProblem {
  /**
   * File as the user named it, or the name of the environment variable, or `/config` for the key in
   * etcd; '' when there is none.
   */
  readonly file: string;
  /** From 1; null where lines mean nothing. */
  readonly line: number | null;
  readonly column: number | null;
  /** Dotted, list elements by index: `postgresql.pg_hba.0`. '' for the document as a whole. */
  readonly path: string;
  readonly message: string;
  /** What to write or do. */
  readonly mend: string | null;
  readonly severity: Severity;
}

/** A problem before its place in a file is known. */
export interface Finding {
  readonly path: readonly string[];
  readonly message: string;
  readonly mend: string | null;
  readonly severity: Severity;
  /** Because of it this node makes no new cluster. */
  readonly noBootstrap?: true;
}

export interface Place {
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
}

export function placed(finding: Finding, place: Place): ConfigProblem {
  return {
    file: place.file,
    line: place.line,
    column: place.column,
    path: finding.path.join('.'),
    message: finding.message,
    mend: finding.mend,
    severity: finding.severity,
  };
}

/** `file:line:column: path: what is wrong; what to write`, leaving out what there is none of. */
export function formatProblem(problem: ConfigProblem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== null && part !== '').join(':');
  const what = problem.mend === null ? problem.message : `${problem.message}; ${problem.mend}`;
  return [place, problem.path, what].filter((part) => part !== '').join(': ');
}

/** By file in order of appearance, then by line and column. */
export function sortProblems(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const files = [...new Set(problems.map((problem) => problem.file))];
  return [...problems].sort(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
  );
}

/** All problems of one load, warnings included. Code CONFIG_INVALID. */
export class ConfigError extends RegentError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const sorted = sortProblems(problems);
    // A misspelt key is a warning, and the cause of the error that follows: 'required, but not
    // given'.
    const warnings = sorted.filter((problem) => problem.severity === 'warning').map((problem) => `warning: ${formatProblem(problem)}`);
    const errors = sorted.filter((problem) => problem.severity === 'error').map(formatProblem);
    super('CONFIG_INVALID', [...warnings, ...errors].join('\n'), {
      mend: "correct the configuration; 'regent check-config FILE' checks it without starting anything",
    });
    this.name = 'ConfigError';
    this.problems = sorted;
  }
}

/**
 * What sort of thing was found. For places where a structure is meant: a login squeezed into one
 * text must not be echoed.
 */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'boolean') return 'true or false';
  return typeof value === 'string' ? 'text' : 'a number';
}

/** A value as it may be printed: short scalars as they are, never a secret, never a structure. */
export function show(value: unknown, path: readonly string[]): string {
  if (typeof value === 'object' || value === undefined) return kindOf(value);
  if (isSecretPath(path)) return 'the value given';
  const text = maskText(String(value)).replace(/\s+/g, ' ');
  return `'${text.length > 60 ? `${text.slice(0, 57)}...` : text}'`;
}
