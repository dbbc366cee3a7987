import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { dirname, join } from 'node:path';
import type { Clock } from '../../ports/clock.ts';
import { guardFailed } from './connection.ts';
import { type GuardPlace, logName } from './place.ts';

export interface GuardProgram {
  readonly perl: string;
  readonly script: string;
  readonly dataDir: string;
  /** Cluster and member, for the name of its log. */
  readonly label: string;
  /** Names of the server's program file. */
  readonly exeNames: readonly string[];
  /** From SIGQUIT to SIGKILL. */
  readonly killDelayMs: number;
  readonly runAs: { readonly uid: number; readonly gid: number } | null;
}

/**
 * Starts the guard in its own session, so that it outlives the agent and is not reached by signals
 * to the agent's group. Resolves to the guard's pid once it listens, null when another guard holds
 * the data directory already. Throws GUARD_FAILED.
 */
export async function spawnGuard(program: GuardProgram, place: GuardPlace, clock: Clock, timeoutMs: number): Promise<number | null> {
  const child = launch(program, place);
  const verdict = await firstWord(child, clock, timeoutMs);
  child.stdout?.destroy();
  child.unref();
  if (verdict === 'taken') return null;
  if (!/^ready \d+$/.test(verdict) || child.pid === undefined) {
    throw guardFailed(
      `the guard did not start: ${verdict}`,
      `check that ${program.perl} (Debian package perl-base) works and that ${place.directory} may be created`,
    );
  }
  if (program.runAs && process.getuid?.() === 0) strengthen(child.pid);
  return child.pid;
}

function launch(program: GuardProgram, place: GuardPlace): ChildProcess {
  // The program is handed over as text: the guard's user need not be able to read the folder it is
  // installed in.
  const others = ['guard-server.pl', 'guard-tether.pl'].map((name) => join(dirname(program.script), name));
  const parts = [program.script, ...others];
  const text = parts.map((part) => readFileSync(part, 'utf8')).join('\n');
  const child = spawn(
    program.perl,
    [
      '-',
      place.directory,
      place.key,
      program.dataDir,
      program.exeNames.join('/'),
      String(program.killDelayMs),
      logName(place, program.label),
    ],
    {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      ...(program.runAs ?? {}),
    },
  );
  // Where it ends before it has read, its first word says why.
  child.stdin.on('error', () => undefined).end(text);
  return child;
}

/** What the process says first: a line of its standard output, or why there is none. */
function firstWord(child: ChildProcess, clock: Clock, timeoutMs: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const cancel = clock.timer(timeoutMs, () => {
      child.kill('SIGKILL');
      settle(`silent for ${timeoutMs} ms`);
    });
    const settle = (word: string) => {
      cancel();
      resolve(word);
    };
    child.stdout?.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) settle(text.slice(0, end));
    });
    child.once('error', (error) => settle(error.message));
    // 'close' comes after the last output, so a line said on the way out wins.
    child.once('close', (code, signal) => settle(`exited with ${signal ?? code}`));
  });
}

/**
 * A guard that runs as an unprivileged user cannot do this for itself. Both are improvements, not
 * conditions: containers often forbid them.
 */
function strengthen(pid: number): void {
  try {
    setPriority(pid, -10);
    writeFileSync(`/proc/${pid}/oom_score_adj`, '-900');
  } catch {
    return;
  }
}
