/**
 * Starts a program whose file may be on a disk that hangs.
 *
 * Node's spawn() returns once the new process has become the program. Where that takes for ever (a
 * script on a network disk that does not answer), the agent would renew no lease meanwhile. So
 * perl is started, which every host has on its own disk, and it becomes the program.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

const PERL = '/usr/bin/perl';

/**
 * Usage: COUNT [PERL...=VALUE]... PROGRAM ARGUMENT... Descriptor 3 ends when the program has begun;
 * before that it gets the error number, if there is one. The variables are for the program: perl
 * itself must not obey them.
 */
const BECOME = `
open my $told, '>&=', 3 or exit 127;
fcntl $told, 2, 1;
delete $ENV{PERL_BADLANG};
for (splice @ARGV, 0, shift) { my ($name, $value) = split /=/, $_, 2; $ENV{$name} = $value }
exec { $ARGV[0] } @ARGV;
syswrite $told, $! + 0;
exit 127;
`;

export interface LaunchOptions {
  readonly stdio: readonly ['ignore' | 'pipe', 'inherit' | 'pipe', 'inherit' | 'pipe'];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/**
 * The process leads a group of its own. `onBegun` is called once, before the child's 'close': with
 * null when the process has become the program, or with why it could not. Where there is no perl
 * the program is started at once.
 */
export function launch(
  file: string,
  args: readonly string[],
  options: LaunchOptions,
  onBegun: (failure: Error | null) => void,
): ChildProcess {
  const { stdio, env, ...rest } = options;
  if (!existsSync(PERL)) {
    const child = spawn(file, [...args], { ...rest, env: { ...env }, stdio: [...stdio], detached: true });
    return child.once('spawn', () => onBegun(null)).once('error', (error) => child.pid === undefined && onBegun(error));
  }
  const entries = Object.entries(env);
  const forProgram = entries.filter(([name]) => name.startsWith('PERL')).map(([name, value]) => `${name}=${value}`);
  const others = Object.fromEntries(entries.filter(([name]) => !name.startsWith('PERL')));
  const child = spawn(PERL, ['-e', BECOME, String(forProgram.length), ...forProgram, file, ...args], {
    ...rest,
    // It says nothing about a locale that is not there.
    env: { ...others, PERL_BADLANG: '0' },
    stdio: [...stdio, 'pipe'],
    detached: true,
  });
  child.once('error', (error) => child.pid === undefined && onBegun(error));
  if (child.pid !== undefined) readFailure(child.stdio[3] as Socket, file, onBegun);
  return child;
}

function readFailure(told: Socket, file: string, onBegun: (failure: Error | null) => void): void {
  let text = '';
  told.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  told.once('end', () => onBegun(text === '' ? null : failureOf(file, getSystemErrorName(-Number(text)))));
  told.unref();
}

/** As Node's own spawn() tells it: callers look at the code. */
function failureOf(file: string, code: string): Error {
  return Object.assign(new Error(`spawn ${file} ${code}`), { code, syscall: `spawn ${file}`, path: file });
}
