/** Where each value of a merged configuration was written. */
import type { Place } from './problems.ts';

export interface Origin extends Place {
  /**
   * The scalar as written, before YAML made a number or a boolean of it; null for anything else.
   */
  readonly source: string | null;
  /** The place is that of something around the value; a place of its own replaces it. */
  readonly around?: true;
}

export class Places {
  readonly #origins = new Map<string, Origin>();
  readonly #root: Place;

  constructor(root: Place) {
    this.#root = root;
  }

  set(path: readonly string[], origin: Origin): void {
    this.#origins.set(key(path), origin);
  }

  /** The place of the value, or of the nearest thing around it. */
  of(path: readonly string[]): Place {
    for (let length = path.length; length > 0; length--) {
      const origin = this.#origins.get(key(path.slice(0, length)));
      if (origin) return { file: origin.file, line: origin.line, column: origin.column };
    }
    return this.#root;
  }

  source(path: readonly string[]): string | null {
    return this.#origins.get(key(path))?.source ?? null;
  }

  /** What was read later wins, as its values do. */
  overlay(later: Places): void {
    for (const [path, origin] of later.#origins) {
      if (!origin.around || !this.#origins.has(path)) this.#origins.set(path, origin);
    }
  }

  /** A key that moved goes on pointing to where it was written. */
  move(from: readonly string[], to: readonly string[]): void {
    for (const [path, origin] of [...this.#origins]) {
      const parts = path.split('\0');
      if (from.every((part, index) => parts[index] === part)) {
        const target = [...to, ...parts.slice(from.length)].join('\0');
        if (!this.#origins.has(target)) this.#origins.set(target, origin);
      }
    }
  }
}

function key(path: readonly string[]): string {
  return path.join('\0');
}
