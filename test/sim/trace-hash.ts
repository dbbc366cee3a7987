/**
 * A running hash over numbers and texts: two runs that differ in one event differ in it. Quick
 * rather than safe from forgers (two lanes of FNV-1a, 32 bits each).
 */
export class TraceHash {
  #left = 0x811c9dc5;
  #right = 0x01000193;
  readonly #float = new Float64Array(1);
  readonly #words = new Uint32Array(this.#float.buffer);

  number(value: number): void {
    this.#float[0] = value;
    this.#mix(this.#words[0]!);
    this.#mix(this.#words[1]!);
  }

  text(value: string): void {
    for (let i = 0; i < value.length; i += 1) this.#mix(value.charCodeAt(i));
    this.#mix(value.length);
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return hex(this.#left) + hex(this.#right);
  }

  #mix(word: number): void {
    this.#left = Math.imul(this.#left ^ word, 0x01000193);
    this.#left ^= this.#left >>> 15;
    this.#right = Math.imul(this.#right ^ word, 0x85ebca6b);
    this.#right ^= this.#right >>> 13;
  }
}

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');
