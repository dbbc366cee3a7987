/** A unified diff of two texts, line by line, with three lines of context. */

const CONTEXT = 3;
type Edit = { readonly kind: ' ' | '-' | '+'; readonly text: string };

/** Lines without newlines; empty when the texts are equal. The two header lines name no files. */
export function unifiedDiff(before: string, after: string): string[] {
  const edits = editsBetween(linesOf(before), linesOf(after));
  const hunks = hunksOf(edits);
  if (hunks.length === 0) return [];
  return ['--- ', '+++ ', ...hunks.flatMap(({ from, to }) => printHunk(edits, from, to))];
}

function linesOf(text: string): string[] {
  return text.replace(/\n+$/, '').split('\n');
}

/**
 * By the table of longest common subsequences, after the equal ends are cut off: configurations are
 * a few hundred lines.
 */
function editsBetween(a: readonly string[], b: readonly string[]): Edit[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const left = a.slice(head, a.length - tail);
  const right = b.slice(head, b.length - tail);
  const same = (lines: readonly string[]): Edit[] => lines.map((text) => ({ kind: ' ', text }));
  return [...same(a.slice(0, head)), ...middle(left, right), ...same(a.slice(a.length - tail))];
}

function middle(a: readonly string[], b: readonly string[]): Edit[] {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i]![j] = a[i] === b[j] ? lengths[i + 1]![j + 1]! + 1 : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
    }
  }
  const edits: Edit[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      edits.push({ kind: ' ', text: a[i]! });
      i++;
      j++;
    } else if (i < a.length && (j === b.length || lengths[i + 1]![j]! >= lengths[i]![j + 1]!)) {
      edits.push({ kind: '-', text: a[i++]! });
    } else {
      edits.push({ kind: '+', text: b[j++]! });
    }
  }
  return edits;
}

/** Ranges of edits, context included; ranges that would touch are one. */
function hunksOf(edits: readonly Edit[]): { from: number; to: number }[] {
  const hunks: { from: number; to: number }[] = [];
  edits.forEach((edit, at) => {
    if (edit.kind === ' ') return;
    const from = Math.max(0, at - CONTEXT);
    const to = Math.min(edits.length, at + CONTEXT + 1);
    const last = hunks.at(-1);
    if (last && from <= last.to) last.to = to;
    else hunks.push({ from, to });
  });
  return hunks;
}

function printHunk(edits: readonly Edit[], from: number, to: number): string[] {
  const count = (end: number, begin: number, kind: '-' | '+') => edits.slice(begin, end).filter((edit) => edit.kind !== kind).length;
  const range = (kind: '-' | '+') => {
    const length = count(to, from, kind);
    const start = count(from, 0, kind) + (length === 0 ? 0 : 1);
    return length === 1 ? `${start}` : `${start},${length}`;
  };
  return [`@@ -${range('+')} +${range('-')} @@`, ...edits.slice(from, to).map((edit) => `${edit.kind}${edit.text}`)];
}
