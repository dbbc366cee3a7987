/** The operator's tool, `regentctl`, also called `patronictl`. One call of main() is one run. */
import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureError, RegentError } from '../support/errors.ts';
import type { GlobalOptions } from './config.ts';
import { Ctx } from './context.ts';
import { Aborted, CtlError } from './errors.ts';
import type { CtlIo } from './io.ts';
import { ctlLog } from './log.ts';
import { type Invocation, parseCommandLine, WrongUsage } from './program.ts';

/**
 * argv as process.argv has it. Returns the exit code: 0 done, 1 an error or an abort, 2 a wrong
 * command line. `health` has exit codes of its own. Never throws, and never prints a stack trace
 * unless LOGLEVEL=DEBUG.
 */
export async function main(argv: readonly string[], io: CtlIo): Promise<number> {
  const program = programName(argv, io.env);
  let usage: string | null = null;
  try {
    const words = argv.slice(2);
    const parsed = parseCommandLine(program, words);
    if (parsed.help !== null) {
      const isAsked = words.length > 0;
      (isAsked ? io.stdout : io.stderr).write(parsed.help);
      return isAsked ? 0 : 2;
    }
    ({ usage } = parsed.invocation);
    return await perform(io, program, parsed.global, parsed.invocation);
  } catch (error) {
    return report(io, usage, error);
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
  const { options, isOwnGroup } = invocation;
  const group = { given: typeof options['group'] === 'number' ? options['group'] : null, isDefaulted: isOwnGroup };
  const ctx = new Ctx(io, { program, global, group }, ctlLog(io), load);
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

/** `usage`: of the command that ran. */
function report(io: CtlIo, usage: string | null, error: unknown): number {
  if (error instanceof Aborted) {
    io.stderr.write('Aborted!\n');
    return 1;
  }
  const known = ensureError(error);
  const wrong = wrongUsage(known, usage);
  if (wrong !== null) io.stderr.write(wrong);
  const explained = known instanceof RegentError || known instanceof WrongUsage ? known : null;
  const mend = explained?.mend ?? null;
  io.stderr.write(`Error: ${known.message}${mend === null ? '' : `\n${mend}`}\n`);
  if (explained === null && io.env['LOGLEVEL'] === 'DEBUG') io.stderr.write(`${known.stack}\n`);
  return wrong === null ? 1 : 2;
}

/** What stands above the message, if the command line was wrong; else null. */
function wrongUsage(error: Error, usage: string | null): string | null {
  if (error instanceof WrongUsage) return error.usage === null ? '' : `${error.usage}\n`;
  return error instanceof CtlError && error.code === 'CTL_USAGE' ? `${usage}\n` : null;
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
