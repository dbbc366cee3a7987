/** That a process ends although one of its threads does not. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'regent-end-process-'));
  const { code } = transformSync(readFileSync(join(import.meta.dirname, 'end-process.ts'), 'utf8'), { loader: 'ts' });
  writeFileSync(join(directory, 'end-process.mjs'), code);
  execFileSync('mkfifo', [join(directory, 'pipe')]);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Does `first`, then ends with code 5. */
async function end(first: string): Promise<unknown> {
  const program = join(directory, 'program.mjs');
  writeFileSync(program, `import fs from 'node:fs'; import { endProcess } from './end-process.mjs'; ${first}; endProcess(5);`);
  const child = spawn(process.execPath, [program], { cwd: directory, stdio: 'ignore' });
  const impatient = setTimeout(() => child.kill('SIGTERM'), 15_000);
  const how = await once(child, 'exit');
  clearTimeout(impatient);
  return how;
}

test('it ends with its code, also after a read of a file that was under way', async () => {
  expect(await end('')).toEqual([5, null]);
  expect(await end("fs.readFile('/etc/passwd', () => {})")).toEqual([5, null]);
});

test('it ends where a thread never comes back', async () => {
  // The open waits for a writer, as a write to a log file waits for a disk that hangs.
  expect(await end("fs.open('pipe', 'r', () => {})")).toEqual([null, 'SIGKILL']);
});
