/** What a program gets through the perl that becomes it, and who waits for a disk that hangs. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slowFile } from '../../test/fixtures/slow-file.ts';
import { runCommand } from './exec.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'regent-launch-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const sh = (text: string, args: readonly string[] = [], env: Record<string, string> = {}) =>
  runCommand('sh', ['-c', text, 'sh', ...args], { timeoutMs: 10_000, env });

test('its arguments are those that were given, byte for byte', async () => {
  const args = ['', 'a b', "it's", '$HOME `x`', '\\', 'ü\n', '-e', '--', 'PERL5LIB=x', '"', '*'];
  expect((await sh('printf "%s\\001" "$@"', args)).stdout.split('\u0001').slice(0, -1)).toEqual(args);
});

test('its environment too, also what perl would obey', async () => {
  const env = { PERL5OPT: '-MNo::Such', PERL5LIB: 'a=b\nc', LC_ALL: 'no_SUCH', PERLX: '' };
  const { stdout, stderr } = await sh('env -0', [], env);
  const got = Object.fromEntries(stdout.split('\0').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  expect(got).toMatchObject(env);
  expect(got).not.toHaveProperty('PERL_BADLANG');
  expect(stderr).toBe('');
});

test('it does not have the descriptor that told of its start', async () => {
  const descriptors = (await sh('ls /proc/$$/fd')).stdout.trim().split('\n');
  expect(descriptors).toEqual(expect.arrayContaining(['0', '1', '2']));
  expect(descriptors).not.toContain('3');
});

test.each([126, 127])('its own exit code %i is no failure to start', async (code) => {
  expect(await sh(`exit ${code}`)).toMatchObject({ code, cause: 'exit' });
});

test.each([
  ['no/such', 'ENOENT'],
  ['plain', 'EACCES'],
  ['no-interpreter', 'ENOENT'],
])('%s cannot be started: %s', async (name, reason) => {
  writeFileSync(join(directory, 'plain'), '');
  writeFileSync(join(directory, 'no-interpreter'), '#!/no/such\n');
  chmodSync(join(directory, 'no-interpreter'), 0o755);
  const file = join(directory, name);
  await expect(runCommand(file, [], { timeoutMs: 10_000 })).rejects.toMatchObject({
    code: 'COMMAND_NOT_STARTED',
    message: `could not start ${file}: ${file} ${reason}`,
    cause: { code: reason, path: file },
  });
});

test('nobody waits for a disk that hangs but the program itself', async () => {
  const { file, answer, hangs } = await slowFile(directory, '#!/bin/sh\nexit 7\n');
  const running = runCommand(file, [], { timeoutMs: 20_000 });
  expect(hangs()).toBe(true);
  answer();
  expect(await running).toMatchObject({ code: 7 });
  const other = await slowFile(directory, '#!/bin/sh\nexit 7\n');
  expect(await runCommand(other.file, [], { timeoutMs: 300, killGraceMs: 100 })).toMatchObject({ cause: 'timeout' });
  expect(other.hangs()).toBe(true);
  other.answer();
});
