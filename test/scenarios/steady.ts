import { Rng } from '../sim/rng.ts';

const LOW = 0.3;
const HIGH = 0.7;

/**
 * Chance without chance: every draw of one stream gives the same number. So a story stays as it is
 * when one more draw is added. Streams differ (two nodes are never exactly as quick), by their
 * label without the numbers in it.
 */
export class SteadyRng extends Rng {
  readonly #share: number;

  constructor(label: string) {
    super(0);
    let hash = 0x811c9dc5;
    for (const char of label.replace(/\d+/g, '')) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
    hash ^= hash >>> 15;
    this.#share = LOW + ((hash >>> 0) / 4_294_967_296) * (HIGH - LOW);
  }

  override next(): number {
    return this.#share;
  }

  override fork(label: string): Rng {
    return new SteadyRng(label);
  }
}
