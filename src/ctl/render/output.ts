/** One set of rows in the four formats. */

import { stringifyDefault } from '../../support/big-json.ts';
import type { JsonObject, JsonValue } from '../../support/json.ts';
import type { Format } from '../choices.ts';
import { toFlowYaml, toYaml } from '../yaml.ts';
import { type Column, renderTable } from './table.ts';

export interface Rows {
  /** Null: rows without a heading (a message instead of a result). */
  readonly columns: readonly Column[] | null;
  readonly rows: readonly (readonly JsonValue[])[];
  readonly title: string | null;
}

export interface RowOptions {
  readonly delimiter?: string;
  /** Omit keys with an empty text from json and yaml. */
  readonly dropEmpty?: boolean;
  /**
   * In tsv, replace tabs and newlines by blanks, so that one line is one row. Not set for the
   * result of a query, because that is the user's data.
   */
  readonly oneLine?: boolean;
}

/** Without the closing newline. */
export function renderRows(table: Rows, format: Format, options: RowOptions = {}): string {
  switch (format) {
    case 'json':
      return stringifyDefault(objects(table, options));
    case 'yaml':
    case 'yml':
      return toYaml(objects(table, options));
    case 'tsv':
      return tsv(table, options);
    case 'pretty': {
      const widest = Math.max(0, ...table.rows.map((row) => row.length));
      const columns = table.columns ?? Array.from({ length: widest }, (_, index) => ({ name: `Field ${index + 1}` }));
      return renderTable(
        columns,
        table.rows.map((row) => row.map(cellText)),
        table.title,
      );
    }
  }
}

function tsv(table: Rows, options: RowOptions): string {
  const clean = (text: string) => (options.oneLine ? text.replace(/[\t\n]+/g, ' ') : text);
  const lines = table.rows.map((row) => row.map((cell) => clean(cellText(cell))));
  if (table.columns) lines.unshift(table.columns.map((column) => column.name));
  return lines.map((cells) => cells.join(options.delimiter ?? '\t')).join('\n');
}

function objects(table: Rows, options: RowOptions): JsonObject[] {
  return table.rows.map((row) => {
    const names = table.columns?.map((column) => column.name) ?? row.map((_, index) => String(index));
    const pairs = names.map((name, index) => [name, row[index] ?? null] as const);
    return Object.fromEntries(options.dropEmpty ? pairs.filter(([, value]) => value !== '') : pairs);
  });
}

/**
 * Text of a cell. Booleans and null are spelled as in Python, because scripts for patronictl parse
 * that.
 */
export function cellText(value: JsonValue): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  return typeof value === 'object' ? toFlowYaml(value) : String(value);
}
