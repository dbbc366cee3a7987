import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tidy } from '../tidy/main.ts';
import { countTests, type Tally } from './report.ts';

export type { Tally } from './report.ts';

const PASSED: Tally = { passed: 1, failed: 0 };
const FAILED: Tally = { passed: 0, failed: 1 };

/** Runs a tool of node_modules on our own terminal. Resolves to its exit code, 1 when a signal ended it. */
function runTool(root: string, name: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, 'node_modules', '.bin', name), args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

export async function runTypes(root: string): Promise<Tally> {
  return (await runTool(root, 'tsc', ['--noEmit'])) === 0 ? PASSED : FAILED;
}

export async function runLint(root: string): Promise<Tally> {
  return (await runTool(root, 'biome', ['check', '.'])) === 0 ? PASSED : FAILED;
}

export async function runTidy(root: string): Promise<Tally> {
  const problems = await tidy(root);
  for (const problem of problems) process.stdout.write(`${problem.path}:${problem.line} ${problem.rule}: ${problem.message}\n`);
  return problems.length === 0 ? PASSED : FAILED;
}

export async function runVitest(root: string, project: string, extra: readonly string[]): Promise<Tally> {
  const scratch = await mkdtemp(join(tmpdir(), 'regent-test-'));
  const report = join(scratch, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const code = await runTool(root, 'vitest', ['run', '--project', project, ...reporters, ...extra]);
    return countTests(await readFile(report, 'utf8').catch(() => null), code);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
