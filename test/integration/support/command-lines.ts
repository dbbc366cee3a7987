/** What everybody on the machine can read of a cluster's processes. */
import { readdirSync, readFileSync } from 'node:fs';

export interface CommandLine {
  readonly pid: number;
  /** Its words, joined by spaces. */
  readonly line: string;
}

/** The command lines of all living processes that name the directory. */
export function commandLines(directory: string): CommandLine[] {
  const lines: CommandLine[] = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (line.includes(directory)) lines.push({ pid: Number(pid), line });
    } catch {
      // It ended meanwhile.
    }
  }
  return lines;
}

const EVERY_MS = 50;

/** Collects the command lines of all that runs for a cluster, until it is stopped. */
export class CommandLineWatch {
  readonly seen = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor(directory: string) {
    this.#timer = setInterval(() => {
      for (const { line } of commandLines(directory)) this.seen.add(line);
    }, EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
