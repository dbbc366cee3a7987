/**
 * Joins two clocks. A coarse one counts suspended time (`readCoarseMs`, cut off to 10 ms); a fine
 * one does not (`readFineMs`). The result is fine and counts suspended time: the fine clock plus
 * the greatest distance ever seen between the two. While the machine is awake that distance closes
 * in on the true one from below; a suspend raises it, and the result jumps forward. The result is
 * at most 10 ms behind the truth (and SLACK_MS for a second at most), never ahead of it, and never
 * goes backwards.
 *
 * To read the coarse clock is a call of the kernel, 20 to 75 µs where nothing of it is in the
 * caches; the fine clock and the wall's cost next to nothing. When a machine wakes up, Linux moves
 * the wall's clock and the one that counts suspended time on by the same amount, in the same step
 * (timekeeping_resume). So while the wall's clock goes with the fine one, there was no suspend. A
 * person who sets the wall's clock at that very moment, by just as much back, hides one for
 * FRESH_MS.
 */

/** The coarse clock is read at least this often by those who ask at all. */
const FRESH_MS = 1000;
/** The wall's clock counts whole milliseconds, and is read a moment later. Slewing moves both. */
const SLACK_MS = 3;

export function createBootCounter(readCoarseMs: () => number, readFineMs: () => number, readWallMs: () => number): () => number {
  let distance = Number.NEGATIVE_INFINITY;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let toWall = Number.NaN;
  return () => {
    const before = readFineMs();
    const wallDistance = readWallMs() - before;
    if (before - readAtMs < FRESH_MS && Math.abs(wallDistance - toWall) < SLACK_MS) return before + distance;
    // Coarse before fine: a pause between the two readings makes this distance too small, which the
    // next call mends. Too large would stay for good.
    const coarse = readCoarseMs();
    const fine = readFineMs();
    distance = Math.max(distance, coarse - fine);
    // The wall's as it was before the coarse clock was read: a suspend from there on shows next
    // time.
    readAtMs = fine - before < SLACK_MS ? before : Number.NEGATIVE_INFINITY;
    toWall = wallDistance;
    return fine + distance;
  };
}
