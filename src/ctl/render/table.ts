/** The frame of patronictl's tables. A row is as high as its tallest cell. */

export interface Column {
  readonly name: string;
  readonly align?: 'right';
}

/**
 * Every line has the same width. `title` covers the top rule from its second character on and never
 * widens the table. If any cell has several lines, a rule follows every row to keep the rows apart.
 * The result does not end with a newline.
 */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[], title: string | null): string {
  const cells = rows.map((row) => columns.map((_, index) => printable(row[index] ?? '').split('\n')));
  const widths = columns.map((column, index) =>
    Math.max(widthOf(column.name), ...cells.flatMap((row) => (row[index] ?? []).map((line) => widthOf(line)))),
  );
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const ruled = cells.some((row) => row.some((lines) => lines.length > 1));
  const lines = [title === null ? rule : titled(rule, printable(title))];
  lines.push(
    line(
      columns.map((column) => column.name),
      columns,
      widths,
    ),
    rule,
  );
  for (const row of cells) {
    const height = Math.max(1, ...row.map((part) => part.length));
    for (let at = 0; at < height; at++) {
      lines.push(
        line(
          row.map((part) => part[at] ?? ''),
          columns,
          widths,
        ),
      );
    }
    if (ruled) lines.push(rule);
  }
  if (!ruled || cells.length === 0) lines.push(rule);
  return lines.join('\n');
}

function titled(rule: string, title: string): string {
  const room = rule.length - 2;
  const shown = [...title].slice(0, room);
  return `+${shown.join('')}${rule.slice(1 + shown.length)}`;
}

function line(texts: readonly string[], columns: readonly Column[], widths: readonly number[]): string {
  const cells = texts.map((text, index) => {
    const blanks = ' '.repeat(Math.max(0, (widths[index] ?? 0) - widthOf(text)));
    return columns[index]?.align === 'right' ? ` ${blanks}${text} ` : ` ${text}${blanks} `;
  });
  return `|${cells.join('|')}|`;
}

/**
 * As a terminal shows it: letters of Chinese, Japanese and Korean, and pictures, take two columns.
 */
export function widthOf(text: string): number {
  let width = 0;
  for (const letter of text) width += NO_WIDTH.test(letter) ? 0 : TWO_COLUMNS.test(letter) ? 2 : 1;
  return width;
}

const NO_WIDTH = /[\p{Mn}\p{Me}\u200b-\u200f]/u;
const TWO_COLUMNS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60]/u;

/**
 * Names and tags come from etcd. Control characters in them must not reach the operator's terminal.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is being removed
  return text.replace(/\t/g, ' ').replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '?');
}
