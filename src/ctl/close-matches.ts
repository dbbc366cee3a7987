/**
 * Which words are like one that was mistyped, by the measure of Python's difflib, so that the hint
 * is patronictl's.
 */

const CUTOFF = 0.6;
const MOST = 3;

export function closeMatches(word: string, known: readonly string[]): string[] {
  const rated = known.map((one) => ({ one, ratio: (2 * common(one, word)) / (one.length + word.length) }));
  const near = rated.filter(({ ratio }) => ratio >= CUTOFF);
  near.sort((a, b) => b.ratio - a.ratio || (a.one < b.one ? 1 : -1));
  return near.slice(0, MOST).map(({ one }) => one);
}

/** Letters in the longest common part, and in what is before and behind it. */
function common(a: string, b: string): number {
  let best = { a: 0, b: 0, size: 0 };
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      let size = 0;
      while (i + size < a.length && j + size < b.length && a[i + size] === b[j + size]) size++;
      if (size > best.size) best = { a: i, b: j, size };
    }
  }
  if (best.size === 0) return 0;
  return best.size + common(a.slice(0, best.a), b.slice(0, best.b)) + common(a.slice(best.a + best.size), b.slice(best.b + best.size));
}
