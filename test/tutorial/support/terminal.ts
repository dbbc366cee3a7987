/**
 * A terminal as a reader of the tutorial has one. bash runs each command under a pseudo-terminal
 * (`script`, of util-linux), so that programs ask, draw and page as for a person. Their questions
 * are answered.
 */
import { type ChildProcess, spawn } from 'node:child_process';

export interface Exchange {
  /**
   * What the program says last before it waits; looked for in what has come since the answer
   * before.
   */
  readonly prompt: RegExp;
  /** Typed, with Enter behind it. */
  readonly answer: string;
}

export interface Outcome {
  readonly command: string;
  /** What the terminal showed, typed words included, with plain line ends and without colours. */
  readonly output: string;
  /** null: a signal, or our patience, ended it. */
  readonly code: number | null;
  readonly ms: number;
}

export interface RunOptions {
  readonly dialogue?: readonly Exchange[];
  /** Default 60 000. */
  readonly timeoutMs?: number;
}

export interface Place {
  readonly directory: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const ROWS = 60;
const COLUMNS = 250;
const PATIENCE_MS = 60_000;
const KILL_GRACE_MS = 2000;

/**
 * Never rejects for an exit code; rejects when a prompt does not come, or the command does not end
 * in time, with what was seen.
 */
export function runInTerminal(place: Place, command: string, options: RunOptions = {}): Promise<Outcome> {
  const patience = options.timeoutMs ?? PATIENCE_MS;
  const begun = performance.now();
  const child = spawn('script', ['-qec', `stty rows ${ROWS} cols ${COLUMNS}\n${command}`, '/dev/null'], {
    cwd: place.directory,
    env: { ...process.env, SHELL: '/bin/bash', TERM: 'xterm', ...place.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return new Promise((resolve, reject) => {
    const talk = new Talk(child, options.dialogue ?? []);
    const timer = setTimeout(() => {
      end(child);
      const wanted = talk.waitingFor();
      const what = wanted === null ? 'it has not ended' : `it has not asked ${wanted}`;
      reject(new Error(`after ${patience / 1000} s ${what}: ${command}\nThe terminal shows:\n${talk.shown()}`));
    }, patience);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      const wanted = talk.waitingFor();
      if (wanted === null) resolve({ command, output: talk.shown(), code, ms: performance.now() - begun });
      else reject(new Error(`it ended (${code}) before it asked ${wanted}: ${command}\nThe terminal shows:\n${talk.shown()}`));
    });
  });
}

/**
 * script hands SIGTERM on to the command; the terminal's end is a SIGHUP for whatever is left in
 * it.
 */
function end(child: ChildProcess): void {
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS).unref();
}

class Talk {
  readonly #dialogue: Exchange[];
  readonly #child: ChildProcess;
  #raw = '';
  #answeredUpTo = 0;

  constructor(child: ChildProcess, dialogue: readonly Exchange[]) {
    this.#child = child;
    this.#dialogue = [...dialogue];
    const hear = (chunk: Buffer) => {
      this.#raw += chunk.toString('utf8');
      this.#answer();
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.stdin?.on('error', () => undefined);
  }

  waitingFor(): string | null {
    return this.#dialogue[0] === undefined ? null : String(this.#dialogue[0].prompt);
  }

  shown(): string {
    return plain(this.#raw);
  }

  #answer(): void {
    for (let next = this.#dialogue[0]; next !== undefined; next = this.#dialogue[0]) {
      if (!next.prompt.test(plain(this.#raw.slice(this.#answeredUpTo)))) return;
      this.#answeredUpTo = this.#raw.length;
      this.#dialogue.shift();
      this.#child.stdin?.write(`${next.answer}\r`);
    }
  }
}

/** Escape sequences as ECMA-48 has them (CSI), those that set a title (OSC), and the short ones. */
const ESCAPES = new RegExp(
  ['\\u001b\\[[0-?]*[ -/]*[@-~]', '\\u001b\\][^\\u0007\\u001b]*(?:\\u0007|\\u001b\\\\)', '\\u001b[()][A-Z0-9]', '\\u001b[=>78]'].join('|'),
  'g',
);

export function plain(raw: string): string {
  return raw.replace(ESCAPES, '').replace(/\r+\n/g, '\n').replace(/\r+$/, '');
}
