/** What is asked again and again, round after round, of texts that hardly ever change. */

/** More than that many different texts are not asked for by turns. */
const MOST = 64;

/**
 * The same function of one text, which must be pure; its answers are shared, so nobody may change
 * them.
 */
export function recalled<T>(compute: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found;
    if (known.size >= MOST) known.clear();
    const made = compute(text);
    known.set(text, made);
    return made;
  };
}
