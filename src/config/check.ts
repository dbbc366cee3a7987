/**
 * `regent check-config`: tells everything that is wrong with a configuration, without starting
 * anything.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import type { JsonObject } from '../support/json.ts';
import { plural } from '../support/plural.ts';
import type { Environment } from './env.ts';
import { jsonSchema } from './json-schema.ts';
import { examineLocal } from './load.ts';
import { formatProblem } from './problems.ts';
import { redact } from './redact.ts';

export interface CheckIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** By default the process's own. */
  readonly env?: Environment;
}

const USAGE = `usage: regent check-config [--print] [FILE | DIRECTORY]
       regent check-config --schema

Checks the configuration of a node: FILE, the .yml files of DIRECTORY, or the PATRONI_* variables alone.
Every problem is printed with file, line and column, and what to write instead. Exit code 1 when there are errors.

  -p, --print   print the merged configuration, passwords masked
  --schema      print the JSON schema of the file, for editors
`;

/** Resolves to the exit code: 0 fine (warnings included), 1 errors, 2 wrong usage. */
export async function checkConfig(argv: readonly string[], io: CheckIo): Promise<number> {
  const args = readArguments(argv);
  if (typeof args === 'string') {
    io.stderr.write(`regent check-config: ${args}\n${USAGE}`);
    return 2;
  }
  if (args.help) {
    io.stdout.write(USAGE);
    return 0;
  }
  if (args.schema) {
    io.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    return 0;
  }
  const { local, raw, problems, source } = examineLocal({ path: args.path, env: io.env ?? process.env });
  for (const problem of problems) io.stderr.write(`${problem.severity}: ${formatProblem(problem)}\n`);
  if (local === null) {
    const errors = problems.filter((problem) => problem.severity === 'error').length;
    io.stderr.write(`${plural(errors, 'error')}, ${plural(problems.length - errors, 'warning')}\n`);
    return 1;
  }
  io.stdout.write(args.print ? printed(raw) : `${source}: ok${problems.length > 0 ? `, ${plural(problems.length, 'warning')}` : ''}\n`);
  // Where the cluster exists it does not matter, so it is no warning.
  if (!args.print && typeof local.bootstrapRefusal === 'string')
    io.stdout.write(`note: this member joins a cluster and makes no new one: ${local.bootstrapRefusal}\n`);
  return 0;
}

function readArguments(argv: readonly string[]): string | { path: string | null; print: boolean; schema: boolean; help: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { print: { type: 'boolean', short: 'p' }, schema: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    if (positionals.length > 1) return 'name one file or directory';
    return { path: positionals[0] ?? null, print: values.print ?? false, schema: values.schema ?? false, help: values.help ?? false };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** YAML 1.1, as it is read: texts such as 'on' stay in quotes. */
function printed(raw: JsonObject): string {
  return stringify(redact(raw), { version: '1.1', sortMapEntries: true, lineWidth: 0 });
}
