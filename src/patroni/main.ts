/**
 * `patroni ...`: Patroni's command line for Regent's agent. Exit codes and what is printed are
 * Patroni's; `regent check-config` tells more of what is wrong with a file.
 */
import { existsSync } from 'node:fs';
import { examineLocal } from '../config/load.ts';
import { type ConfigProblem, formatProblem } from '../config/problems.ts';
import { readSources } from '../config/sources.ts';
import type { JsonObject } from '../support/json.ts';
import { shellWord } from '../support/shell-words.ts';
import { DIALECT_VERSION } from '../version.ts';
import { helpOf, type PatroniArguments, readArguments, usageOf } from './arguments.ts';
import { generate } from './generate/main.ts';
import type { PatroniIo } from './io.ts';
import { missingPrograms, surroundings } from './surroundings.ts';
import { validate } from './validate.ts';
import { yamlText } from './yaml-text.ts';

/** Takes the arguments of `regent agent`. */
type RunAgent = (args: readonly string[]) => Promise<number>;

const EXIT_USAGE = 2;

/** `program`: the name it was called by. Resolves to the exit code. */
export async function patroniMain(argv: readonly string[], program: string, io: PatroniIo, runAgent: RunAgent): Promise<number> {
  const args = readArguments(argv);
  if (typeof args === 'string') {
    io.stderr.write(`${usageOf(program)}${program}: error: ${args}\n`);
    return EXIT_USAGE;
  }
  switch (args.mode) {
    case 'help':
      io.stdout.write(helpOf(program));
      return 0;
    case 'version':
      io.stdout.write(`${program} ${DIALECT_VERSION}\n`);
      return 0;
    case 'generate':
    case 'generate-sample':
      return generate(args, io);
    case 'validate':
      return validateConfig(args, io);
    case 'run':
      return run(args, io, runAgent);
  }
}

/**
 * A path that leads nowhere counts as none, as in Patroni: the environment is the configuration.
 * But it was most likely typed wrongly, so it is named.
 */
function pathOf({ file }: PatroniArguments, io: PatroniIo): string | null {
  if (file === null || existsSync(file)) return file;
  io.stderr.write(`${file} does not exist or cannot be reached: only the PATRONI_* variables are read\n`);
  return null;
}

async function run(args: PatroniArguments, io: PatroniIo, runAgent: RunAgent): Promise<number> {
  const path = pathOf(args, io);
  if (readSources(path, io.env).nothing) return empty(io);
  return runAgent(path === null ? [] : [path]);
}

/** Without a place in the configuration: the text itself cannot be read. */
const isSyntax = ({ severity, path }: ConfigProblem) => severity === 'error' && path === '';

function empty(io: PatroniIo): number {
  io.stderr.write('Config is empty.\n');
  return 1;
}

async function validateConfig(args: PatroniArguments, io: PatroniIo): Promise<number> {
  const path = pathOf(args, io);
  const { raw, problems, nothing } = readSources(path, io.env);
  if (nothing) return empty(io);
  const more = `More, with line and column: regent check-config${path === null ? '' : ` ${shellWord(path)}`}\n`;
  const broken = problems.filter(isSyntax);
  const lines = broken.length > 0 ? broken.map(formatProblem) : await problemsOf(path, raw, args, io);
  if (lines.length > 0) {
    io.stderr.write(`${lines.join('\n')}\n${more}`);
    return 1;
  }
  // Scripts may take any text for a problem.
  if (io.stderr.isTTY) io.stderr.write(more);
  if (args.print) io.stdout.write(yamlText(raw));
  return 0;
}

/** Patroni's checks first; then what keeps Regent from starting, where those pass it. */
async function problemsOf(path: string | null, raw: JsonObject, args: PatroniArguments, io: PatroniIo): Promise<string[]> {
  const found = await validate(surroundings(raw, args));
  const later = found.findIndex(({ path: place }) => /^(watchdog|tags)\b/.test(place));
  found.splice(later === -1 ? found.length : later, 0, ...missingPrograms(raw));
  const told = new Set(found.map((problem) => problem.path));
  // Of what Patroni's checks have told, nothing is told twice.
  const own = examineLocal({ path, env: io.env }).problems.filter((problem) => problem.severity === 'error' && !told.has(problem.path));
  return [...found.map(({ text }) => text), ...own.map(formatProblem)];
}
