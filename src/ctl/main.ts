/** The operator's tool, `regentctl`, also called `patronictl`. One call of main() is one run. */
import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { ensureError, RegentError } from '../support/errors.ts';
import type { GlobalOptions } from './config.ts';
import { Ctx } from './context.ts';
import { Aborted, CtlError } from './errors.ts';
import type { CtlIo } from './io.ts';
import { ctlLog } from './log.ts';
import { type Invocation, parseCommandLine } from './program.ts';

/**
 * argv as process.argv has it. Returns the exit code: 0 done, 1 an error or an abort, 2 a wrong
 * command line. `health` has exit codes of its own. Never throws, and never prints a stack trace
 * unless LOGLEVEL=DEBUG.
 */
export async function main(argv: readonly string[], io: CtlIo): Promise<number> {
  const program = programName(argv, io.env);
  const words = argv.slice(2);
  let command: string | null = null;
  const failed = (name: string) => {
    command = name === program ? null : name;
  };
  try {
    const output = { write: (text: string) => void io.stdout.write(text), failed };
    const { global, invocation } = await parseCommandLine(program, words.length === 0 ? ['--help'] : words, output);
    return invocation ? await perform(io, program, global, invocation) : 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return words.length === 0 ? 2 : 0;
    return report(io, program, command, error);
  }
}

async function perform(io: CtlIo, program: string, global: GlobalOptions, invocation: Invocation): Promise<number> {
  const load = async () => {
    const { loadCtlConfig, requireEtcd } = await import('./config.ts');
    const config = loadCtlConfig(global, io.env);
    // Checked before anything else, because no command can work without it.
    requireEtcd(config);
    return config;
  };
  const ctx = new Ctx(io, program, global, ctlLog(io), load);
  const interrupt = interrupted(ctx);
  try {
    const { run } = await invocation.load();
    const exitCode = await Promise.race([run(ctx, invocation.words, invocation.options as never), interrupt.promise]);
    return typeof exitCode === 'number' ? exitCode : 0;
  } finally {
    interrupt.stop();
    await ctx.close();
  }
}

/** Ctrl-C ends every wait. A watch has no end of its own, so there it is not a failure. */
function interrupted(ctx: Ctx): { promise: Promise<number>; stop: () => void } {
  const { signal } = ctx.io;
  let onAbort = (): void => undefined;
  const promise = new Promise<number>((resolve, reject) => {
    onAbort = () => (ctx.leavesOnInterrupt ? resolve(0) : reject(new Aborted()));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  return { promise, stop: () => signal.removeEventListener('abort', onAbort) };
}

function report(io: CtlIo, program: string, command: string | null, error: unknown): number {
  if (error instanceof Aborted) {
    io.stderr.write('Aborted!\n');
    return 1;
  }
  const wrongUsage = error instanceof CommanderError || (error instanceof CtlError && error.code === 'CTL_USAGE');
  const known = ensureError(error);
  if (wrongUsage) {
    const called = command === null ? program : `${program} ${command}`;
    const usage = command === null ? 'COMMAND [ARGS]...' : '[ARGS]...';
    io.stderr.write(`Usage: ${called} [OPTIONS] ${usage}\nTry '${called} --help' for help.\n\n`);
  }
  const message = error instanceof CommanderError ? usageMessage(error) : known.message;
  const mend = known instanceof RegentError && known.mend !== null ? `\n${known.mend}` : '';
  io.stderr.write(`Error: ${message}${mend}\n`);
  if (!(known instanceof RegentError) && !wrongUsage && io.env['LOGLEVEL'] === 'DEBUG') io.stderr.write(`${known.stack}\n`);
  return wrongUsage ? 2 : 1;
}

/** commander's messages in patronictl's words. */
function usageMessage(error: CommanderError): string {
  const text = error.message.replace(/^error: /, '');
  const quoted = /'([^']*)'/.exec(text)?.[1] ?? '';
  const hint = /\(Did you mean [^)]*\)/.exec(text)?.[0];
  switch (error.code) {
    case 'commander.unknownOption':
      return `No such option: ${quoted}${hint ? ` ${hint}` : ''}`;
    case 'commander.unknownCommand':
      return `No such command '${quoted}'.${hint ? ` ${hint}` : ''}`;
    case 'commander.missingArgument':
      return `Missing argument '${quoted.toUpperCase()}'.`;
    case 'commander.optionMissingArgument':
      return `Option '${quoted.replace(/ <.*/, '')}' requires an argument.`;
    default:
      return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
  }
}

/** REGENT_PROGRAM: the name of the launcher, because node's exec hides it. */
function programName(argv: readonly string[], env: CtlIo['env']): string {
  return env['REGENT_PROGRAM'] || basename(argv[1] ?? 'regentctl').replace(/\.[cm]?[jt]s$/, '');
}

function isEntry(): boolean {
  try {
    return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}

if (isEntry()) {
  const { processIo } = await import('./process-io.ts');
  process.exit(await main(process.argv, processIo()));
}
