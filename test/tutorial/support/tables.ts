/** The tables that patronictl draws. Pure. */

export interface Table {
  /** `Cluster: postgres-cluster (7234567890123456789)`; null for a table without a name. */
  readonly title: string | null;
  readonly columns: readonly string[];
  readonly rows: ReadonlyArray<Readonly<Record<string, string>>>;
}

/** The first table of a text; null when there is none. */
export function readTable(text: string): Table | null {
  const lines = text.split('\n').map((line) => line.trim());
  const first = lines.findIndex((line, index) => /^\+.*\+$/.test(line) && lines[index + 1]?.startsWith('|'));
  if (first < 0) return null;
  const columns = cells(lines[first + 1]!);
  const rows = [];
  for (const line of lines.slice(first + 2)) {
    if (line.startsWith('|')) rows.push(Object.fromEntries(cells(line).map((cell, index) => [columns[index] ?? '', cell])));
    else if (!line.startsWith('+')) break;
  }
  return { title: /^\+ ([^+]*?) [-+]/.exec(lines[first]!)?.[1]?.trim() ?? null, columns, rows };
}

function cells(line: string): readonly string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}
