/**
 * Joins two clocks. A coarse one counts suspended time (`readCoarseMs`, cut off to 10 ms); a fine
 * one does not (`readFineMs`). The result is fine and counts suspended time: the fine clock plus
 * the greatest distance ever seen between the two. While the machine is awake that distance closes
 * in on the true one from below; a suspend raises it, and the result jumps forward. The result is
 * at most 10 ms behind the truth, never ahead of it, and never goes backwards.
 */
export function createBootCounter(readCoarseMs: () => number, readFineMs: () => number): () => number {
  let distance = Number.NEGATIVE_INFINITY;
  return () => {
    // Coarse before fine: a pause between the two readings makes this distance too small, which is
    // harmless. Too large would stay for good.
    const coarse = readCoarseMs();
    const fine = readFineMs();
    distance = Math.max(distance, coarse - fine);
    return fine + distance;
  };
}
