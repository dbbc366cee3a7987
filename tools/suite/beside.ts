/**
 * Parts that only compute run beside the one that mostly waits. They take no processor time that
 * anything else wants, so that the real servers of that part keep their timing.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../src/support/exec.ts';
import { ended } from './parts.ts';
import type { Tally } from './report.ts';

export type NamedTally = Tally & { readonly part: string };

/** Linux runs such a process only when nothing else wants the processor. */
const WHEN_IDLE = ['chrt', '-i', '0'] as const;

/** What was started beside, and how it is waited for. */
export interface Beside {
  /**
   * Resolves once it has ended, to what its parts found. Its output is printed then, in one piece.
   */
  readonly ended: () => Promise<readonly NamedTally[]>;
}

/** Where the kernel or a container does not allow that class: the lowest priority there is. */
async function launcher(): Promise<readonly string[]> {
  const { code } = await runCommand('chrt', ['-i', '0', 'true'], { timeoutMs: 10_000 }).catch(() => ({ code: 1 }));
  return code === 0 ? WHEN_IDLE : ['nice', '-n', '19'];
}

/** Starts `regent test` once more with these parts. It ends with us if we end first. */
export async function startBeside(root: string, parts: readonly string[], extra: readonly string[]): Promise<Beside> {
  const scratch = await mkdtemp(join(tmpdir(), 'regent-beside-'));
  const file = join(scratch, 'tallies.json');
  const [command, ...rest] = [...(await launcher()), join(root, 'regent'), 'test', `--tallies=${file}`, ...parts];
  const args = extra.length > 0 ? [...rest, '--', ...extra] : rest;
  const child = spawn(command!, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  const end = () => void child.kill('SIGTERM');
  process.once('exit', end);
  const closed = ended(child);
  return {
    ended: async () => {
      await closed;
      process.off('exit', end);
      process.stdout.write(Buffer.concat(output));
      const text = await readFile(file, 'utf8').catch(() => null);
      await rm(scratch, { recursive: true, force: true });
      return talliesOf(text, parts);
    },
  };
}

/** A part of which nothing is told has failed: its process ended before it. */
export function talliesOf(text: string | null, parts: readonly string[]): readonly NamedTally[] {
  const told = parsed(text);
  return parts.map((part) => told.find((tally) => tally.part === part) ?? { part, passed: 0, failed: 1, skipped: 0 });
}

function parsed(text: string | null): readonly NamedTally[] {
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(value) ? (value as readonly NamedTally[]) : [];
  } catch {
    return [];
  }
}
