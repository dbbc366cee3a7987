/** What a chaos run came to: pure, from its record to text. */

export interface EpisodeRecord {
  readonly number: number;
  /** By which outages are grouped. */
  readonly group: string;
  /** The worst of the router's clients; null: it cannot be told. */
  readonly outageMs: number | null;
  /** From the healing to a whole cluster that serves its clients; null: it did not come. */
  readonly recoveryMs: number | null;
}

/** One thing that had to hold. */
export interface Check {
  readonly what: string;
  /** What was found against it; empty: it held. */
  readonly violations: readonly string[];
  /** What else is known about it. */
  readonly note: string;
}

export interface Record {
  readonly title: string;
  readonly episodes: readonly EpisodeRecord[];
  readonly checks: readonly Check[];
}

const VIOLATIONS_SHOWN = 10;

export function medianOf(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}

export const seconds = (ms: number | null) => (ms === null ? '-' : `${(ms / 1000).toFixed(2)} s`);

const worstOf = (values: readonly number[]) => (values.length === 0 ? null : Math.max(...values));

function table(rows: ReadonlyArray<readonly string[]>): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  return rows.map(line).join('\n');
}

function outageTable(episodes: readonly EpisodeRecord[]): string {
  const groups = [...new Set(episodes.map(({ group }) => group))].sort();
  const rowOf = (name: string, of: readonly EpisodeRecord[]) => {
    const outages = of.flatMap(({ outageMs }) => outageMs ?? []);
    const recoveries = of.flatMap(({ recoveryMs }) => recoveryMs ?? []);
    const figures = [medianOf(outages), worstOf(outages), medianOf(recoveries), worstOf(recoveries)];
    return [name, String(of.length), ...figures.map(seconds)];
  };
  return table([
    ['fault', 'count', 'outage: median', 'worst', 'whole after healing: median', 'worst'],
    ...groups.map((group) =>
      rowOf(
        group,
        episodes.filter((one) => one.group === group),
      ),
    ),
    rowOf('all', episodes),
  ]);
}

function checkText({ what, violations, note }: Check): string {
  if (violations.length === 0) return `held    ${what}${note === '' ? '' : ` (${note})`}`;
  const shown = violations.slice(0, VIOLATIONS_SHOWN).map((one) => `          ${one}`);
  const more = violations.length > shown.length ? [`          and ${violations.length - shown.length} more`] : [];
  return [`FAILED  ${what}${note === '' ? '' : ` (${note})`}`, ...shown, ...more].join('\n');
}

export function reportText({ title, episodes, checks }: Record): string {
  return `${title}\n\n${outageTable(episodes)}\n\n${checks.map(checkText).join('\n')}\n`;
}
