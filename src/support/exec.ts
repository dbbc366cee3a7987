/**
 * Runs one program to its end, bounded in time and in output.
 *
 * The program leads a process group of its own, so that a deadline or an abort reaches whatever it
 * has forked. Nothing here knows what is run: callers judge exit codes themselves.
 */
import { RegentError } from './errors.ts';
import { launch } from './launch.ts';
import { LONGEST_TIMER_MS } from './timers.ts';

export interface RunOptions {
  /** From now until SIGTERM goes to the group. SIGKILL follows `killGraceMs` later. */
  readonly timeoutMs: number;
  /** Aborting ends the program as the deadline does. */
  readonly signal?: AbortSignal;
  /**
   * Laid over the agent's own environment (without its private variables, see `cleanEnvironment`);
   * undefined removes one.
   */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** Written to stdin, which is then closed. Without it stdin is empty. */
  readonly input?: string;
  /** Of each stream, the last so many bytes are kept. Default 1 MiB. */
  readonly maxOutputBytes?: number;
  /** Default 2000. */
  readonly killGraceMs?: number;
}

export interface RunResult {
  /** Exit status; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /**
   * What ended it. The first cause stands: a program that exits while being killed for its deadline
   * has timed out.
   */
  readonly cause: 'exit' | 'timeout' | 'aborted';
  readonly timedOut: boolean;
  /** Older output was dropped. */
  readonly truncated: boolean;
}

const PRIVATE_PREFIXES = ['PATRONI_', 'REGENT_'];
/** systemd's, which a child would answer in the agent's name. */
const PRIVATE_NAMES = new Set(['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC']);
const DEFAULT_OUTPUT_BYTES = 1024 * 1024;
/**
 * A descendant that left the group may keep our end of the pipes open for ever. Its output after
 * the exit is awaited only this long.
 */
const PIPE_DRAIN_MS = 250;

/**
 * The environment children get: ours without the variables that configure the agent (they may hold
 * passwords).
 */
export function cleanEnvironment(
  source: Readonly<Record<string, string | undefined>> = process.env,
  overlay: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...source, ...overlay })) {
    if (value === undefined || PRIVATE_NAMES.has(name) || PRIVATE_PREFIXES.some((prefix) => name.startsWith(prefix))) continue;
    environment[name] = value;
  }
  return environment;
}

/** Keeps the last `limit` bytes of what is pushed. */
class Tail {
  #chunks: Buffer[] = [];
  #size = 0;
  readonly #limit: number;
  truncated = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size > 2 * this.#limit) this.#compact();
  }

  text(): string {
    this.#compact();
    return (this.#chunks[0] ?? Buffer.alloc(0)).toString('utf8');
  }

  #compact(): void {
    const all = Buffer.concat(this.#chunks);
    if (all.length > this.#limit) this.truncated = true;
    const kept = all.length > this.#limit ? Buffer.from(all.subarray(all.length - this.#limit)) : all;
    this.#chunks = [kept];
    this.#size = kept.length;
  }
}

/** Signals a process group that we lead; a group that has already ended is no error. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: nobody is left. EPERM cannot be mended here, and the deadline below still ends the
    // wait.
  }
}

function notStarted(file: string, error: Error): RegentError {
  const reason = error.message.replace(/^spawn /, '');
  const mend = `check that ${file} exists and may be executed by this user`;
  return new RegentError('COMMAND_NOT_STARTED', `could not start ${file}: ${reason}`, { mend, cause: error });
}

/**
 * Never rejects for how the program ended. Throws RegentError COMMAND_NOT_STARTED when it could not
 * be started at all. It resolves at the latest `timeoutMs + killGraceMs` plus a drain of 250 ms
 * after the call, unless the kernel cannot kill the process (state D).
 */
export function runCommand(file: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const limit = options.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES;
    const stdout = new Tail(limit);
    const stderr = new Tail(limit);
    const result = (cause: RunResult['cause'], code: number | null, signal: NodeJS.Signals | null): RunResult => ({
      code,
      signal,
      stdout: stdout.text(),
      stderr: stderr.text(),
      cause,
      timedOut: cause === 'timeout',
      truncated: stdout.truncated || stderr.truncated,
    });
    if (options.signal?.aborted) return resolve(result('aborted', null, null));

    const child = launch(
      file,
      args,
      {
        stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
        env: cleanEnvironment(process.env, options.env),
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        ...(options.uid === undefined ? {} : { uid: options.uid }),
        ...(options.gid === undefined ? {} : { gid: options.gid }),
      },
      (failure) => {
        if (failure !== null) finish(() => reject(notStarted(file, failure)));
      },
    );
    let cause: RunResult['cause'] | null = null;
    let killTimer: NodeJS.Timeout | null = null;
    let drainTimer: NodeJS.Timeout | null = null;
    let settled = false;

    const end = (why: 'timeout' | 'aborted') => {
      if (cause !== null || child.pid === undefined) return;
      cause = why;
      const pid = child.pid;
      signalGroup(pid, 'SIGTERM');
      killTimer = setTimeout(() => signalGroup(pid, 'SIGKILL'), options.killGraceMs ?? 2000);
    };
    const onAbort = () => end('aborted');
    const deadline = setTimeout(() => end('timeout'), Math.min(options.timeoutMs, LONGEST_TIMER_MS));
    const finish = (act: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(deadline);
      if (killTimer) clearTimeout(killTimer);
      if (drainTimer) clearTimeout(drainTimer);
      options.signal?.removeEventListener('abort', onAbort);
      act();
    };
    options.signal?.addEventListener('abort', onAbort, { once: true });

    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    // EPIPE only says that the program did not want its input.
    child.stdin?.on('error', () => {});
    if (options.input !== undefined) child.stdin?.end(options.input);

    // One that could not be started is told of above; others are of a signal that did not reach it.
    child.on('error', () => {});
    child.on('exit', (code, signal) => {
      if (cause === null) cause = 'exit';
      // The leader is gone; of what it forked, nothing may outlive an ending that we forced.
      else if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
      const ended = cause;
      drainTimer = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        finish(() => resolve(result(ended, code, signal)));
      }, PIPE_DRAIN_MS);
    });
    child.on('close', (code, signal) => finish(() => resolve(result(cause ?? 'exit', code, signal))));
  });
}

/** The last lines a person would want to see, for error messages. */
export function lastLines(text: string, count = 5): string {
  return text.trimEnd().split('\n').slice(-count).join('\n').trim();
}
