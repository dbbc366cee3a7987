/**
 * The agent's end of the tether (guard-tether.pl): while guard or agent holds the writing end of
 * the pipe, the kernel leaves PostgreSQL alone.
 */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where tether.pl knows how to hand a descriptor over. */
const ARCHITECTURES: ReadonlySet<string> = new Set(['x64', 'arm64', 'riscv64']);

/** Words before the server's own: tether.pl, which becomes the server. */
export function tetherWords(perl: string, guardScript: string, socket: string): readonly string[] {
  if (!ARCHITECTURES.has(process.arch)) return [];
  const text = readFileSync(join(dirname(guardScript), 'tether.pl'), 'utf8');
  return [perl, '-e', text, socket];
}

/** A pipe as the postmaster has it: as `fd` of `pid`. */
export interface TetherPlace {
  readonly pid: number;
  readonly fd: number;
}

/** What the guard answers to `tether`. */
export interface TetherAnswer {
  readonly place: TetherPlace | null;
  /** The kernel stops the running postmaster when guard and agent are gone. */
  readonly pulls: boolean;
}

/** Null: a guard of a version before the tether. */
export function parseTether(answer: string): TetherAnswer | null {
  const [, pid, fd, state] = /^tether (\d+) (\d+) (on|off)$/.exec(answer) ?? [];
  if (pid !== undefined) return { place: { pid: Number(pid), fd: Number(fd) }, pulls: state === 'on' };
  return answer === 'untethered' ? { place: null, pulls: false } : null;
}

export class TetherEnd {
  #held: (TetherPlace & { readonly file: number }) | null = null;

  get place(): TetherPlace | null {
    return this.#held;
  }

  /** False: this process may not open what belongs to that postmaster, or it has ended. */
  hold({ pid, fd }: TetherPlace): boolean {
    let file: number;
    try {
      file = openSync(`/proc/${pid}/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      return false;
    }
    this.drop();
    this.#held = { pid, fd, file };
    return true;
  }

  drop(): void {
    if (this.#held !== null) closeSync(this.#held.file);
    this.#held = null;
  }
}
