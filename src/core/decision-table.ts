/**
 * A table behind a rule, where one situation has many outcomes: ordered rows of data. The first row
 * that applies decides, and its id takes the place of the rule's id in the log, in
 * `regent_last_rule` and in GET /patroni.
 */

import { invariant } from '../support/assert.ts';

export interface Row<Facts, Verdict extends string> {
  /** Stable, and unique among all rules and rows. */
  readonly id: string;
  readonly when: (facts: Facts) => boolean;
  /** What `when` means, for docs/rules.md. */
  readonly situation: string;
  readonly verdict: Verdict;
  /** The sentence for the operator. */
  readonly because: (facts: Facts) => string;
}

export interface Answer<Verdict extends string> {
  /** Id of the row. */
  readonly id: string;
  readonly verdict: Verdict;
  readonly because: string;
}

/** A table as docs/rules.md draws it. */
export interface DrawnTable {
  readonly title: string;
  /** When the table is looked at. */
  readonly situation: string;
  readonly rows: readonly { readonly id: string; readonly situation: string; readonly verdict: string }[];
}

/** The answer of the first row that applies; null: none does. */
export function firstAnswer<Facts, Verdict extends string>(rows: readonly Row<Facts, Verdict>[], facts: Facts): Answer<Verdict> | null {
  const row = rows.find(({ when }) => when(facts));
  return row === undefined ? null : answerOf(row, facts);
}

/** The same for a table that has a row for every case. */
export function onlyAnswer<Facts, Verdict extends string>(rows: readonly Row<Facts, Verdict>[], facts: Facts): Answer<Verdict> {
  const answer = firstAnswer(rows, facts);
  invariant(answer !== null, `no row applies in the table of ${rows[0]?.id}`);
  return answer;
}

export function answerOf<Facts, Verdict extends string>(row: Row<Facts, Verdict>, facts: Facts): Answer<Verdict> {
  return { id: row.id, verdict: row.verdict, because: row.because(facts) };
}
