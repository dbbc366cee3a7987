/** The unified diff of two texts as `edit-config` prints it, without names of files. */
import { structuredPatch } from 'diff';

const CONTEXT = 3;

/** Lines without newlines; empty when the texts are equal but for blank lines at their end. */
export function unifiedDiff(before: string, after: string): string[] {
  const { hunks } = structuredPatch('', '', whole(before), whole(after), '', '', { context: CONTEXT });
  if (hunks.length === 0) return [];
  const printed = hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
    `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`,
    ...lines,
  ]);
  return ['--- ', '+++ ', ...printed];
}

const whole = (text: string) => text.replace(/\n*$/, '\n');

/** As Python's difflib writes it, whose output Patroni's users know. */
const range = (start: number, lines: number) => (lines === 1 ? `${start}` : `${start},${lines}`);
