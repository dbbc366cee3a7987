import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tidy } from '../tidy/main.ts';
import { countTests, type Tally } from './report.ts';

export type { Tally } from './report.ts';

const PASSED: Tally = { passed: 1, failed: 0, skipped: 0 };
const FAILED: Tally = { passed: 0, failed: 1, skipped: 0 };

/** What a tool is run in. */
export interface Surroundings {
  /** Put before its command line. */
  readonly launcher?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Aborting ends it with SIGTERM. */
  readonly signal?: AbortSignal;
  /** Its output comes in one piece once it has ended: something else is on the terminal. */
  readonly held?: boolean;
}

/** What a process left behind may hold its output open for ever. */
const FLUSH_MS = 5000;

/** Resolves to the exit code once the process has ended and its output is read. */
export function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', (code) => {
      const timer = setTimeout(() => resolve(code), FLUSH_MS);
      child.once('close', () => {
        clearTimeout(timer);
        resolve(code);
      });
    });
  });
}

/**
 * Runs a tool of node_modules on our own terminal. Resolves to its exit code, 1 when a signal ended
 * it.
 */
function runTool(root: string, name: string, args: readonly string[], surroundings: Surroundings = {}): Promise<number> {
  const { launcher = [], env = {}, signal, held = false } = surroundings;
  const [file, ...rest] = [...launcher, join(root, 'node_modules', '.bin', name), ...args];
  return new Promise((resolve, reject) => {
    const output = held ? 'pipe' : 'inherit';
    const child = spawn(file!, rest, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
    const said: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk));
    const end = () => child.kill('SIGTERM');
    signal?.addEventListener('abort', end, { once: true });
    child.on('error', reject);
    void ended(child).then((code) => {
      signal?.removeEventListener('abort', end);
      process.stdout.write(Buffer.concat(said));
      resolve(code ?? 1);
    });
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

export async function runVitest(root: string, project: string, extra: readonly string[], surroundings?: Surroundings): Promise<Tally> {
  const scratch = await mkdtemp(join(tmpdir(), 'regent-test-'));
  const report = join(scratch, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const code = await runTool(root, 'vitest', ['run', '--project', project, ...reporters, ...extra], surroundings);
    return countTests(await readFile(report, 'utf8').catch(() => null), code);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
