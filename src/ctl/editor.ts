/** The operator's editor and pager. Both take over the terminal while they run. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CtlError } from './errors.ts';
import type { CtlIo } from './io.ts';

/** Throws CTL_EDITOR. */
export async function runEditor(io: CtlIo, file: string): Promise<void> {
  const command = io.env['EDITOR'] || ['editor', 'vi'].find((each) => onPath(io, each));
  if (!command) throw new CtlError('CTL_EDITOR', 'EDITOR environment variable is not set. editor or vi are not available');
  // EDITOR may contain arguments ("code --wait"). The shell splits them, and gets the file as its
  // parameter.
  const code = await inTerminal('/bin/sh', ['-c', `${command} "$1"`, 'sh', file], io, null);
  if (code !== 0) throw new CtlError('CTL_EDITOR', `Editor exited with return code ${code}`);
}

/** Prints through $PAGER, less or more; without one of them, directly to the terminal. */
export async function pageText(io: CtlIo, text: string): Promise<void> {
  const pager = io.env['PAGER'] || ['less', 'more'].find((each) => onPath(io, each));
  if (!pager) io.stdout.write(text);
  else await inTerminal('/bin/sh', ['-c', pager], io, text);
}

function inTerminal(command: string, args: readonly string[], io: CtlIo, input: string | null): Promise<number> {
  return new Promise((resolve, reject) => {
    // Options of less: quit if the text fits one screen, keep colours, leave the text on the
    // screen.
    const env = { LESS: 'FRX', ...io.env };
    const child = spawn(command, args, { stdio: [input === null ? 'inherit' : 'pipe', 'inherit', 'inherit'], env });
    child.on('error', (error) => reject(new CtlError('CTL_EDITOR', `cannot run ${command}: ${error.message}`)));
    child.on('close', (code, signal) => resolve(code ?? (signal ? 128 : 1)));
    // A pager that the operator quits early closes the pipe. Nothing is lost.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}

function onPath(io: CtlIo, program: string): boolean {
  return (io.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return directory !== '';
    } catch {
      return false;
    }
  });
}
