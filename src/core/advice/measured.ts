/**
 * Figures that do not follow from settings. docs/benchmarks.md has the run they are from, and
 * measured.test.ts compares the two.
 */
export const MEASURED = {
  /** An orderly switchover: longest time between two acknowledged writes of a client at HAProxy. */
  switchover: { row: 'switchover: outage, s', withRouter: 0.45, withoutRouter: 1.26 },
  /** The postmaster was killed and PostgreSQL started in place, with hardly any WAL to replay. */
  restartInPlace: { row: 'kill -9 of the primary', withRouter: 0.22, withoutRouter: 0.23 },
} as const;
