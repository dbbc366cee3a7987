/** Every command line of the operator's tool that the documents show is one that it takes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ensureError } from '../support/errors.ts';
import { shellWords } from '../support/shell-words.ts';
import { parseCommandLine } from './program.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Between back quotes, or a line of its own; what is after three spaces or a # explains it. */
const SHOWN = /`(?:\.\/)?(?:regentctl|patronictl) ([^`\n]+)`|^(?:[^`\n]*\$ |[A-Z_]+=\S+ )?(?:\.\/)?(?:regentctl|patronictl) (.+)$/gm;

const FILES = ['README.md', ...['docs', 'docs/runbooks'].flatMap((dir) => documents(dir))];

function documents(dir: string): string[] {
  return readdirSync(join(ROOT, dir))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(dir, name));
}

function commandLines(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const found = [...text.matchAll(SHOWN)].map(([, quoted, line]) => (quoted ?? line ?? '').split(/ {3,}| #/)[0]!.trim());
  return found.filter((line) => !/[…|>]/.test(line));
}

test.each(FILES.map((file) => [file, commandLines(file)] as const).filter(([, lines]) => lines.length > 0))('%s', (file, lines) => {
  const refused: string[] = [];
  for (const line of lines) {
    try {
      parseCommandLine('regentctl', shellWords(line));
    } catch (error) {
      const { message } = ensureError(error);
      // In a sentence a command may stand for itself.
      const named = message.startsWith('Missing argument') && !line.includes(' ');
      if (!named) refused.push(`${file}: ${line}: ${message}`);
    }
  }
  expect(refused).toEqual([]);
});

test('the documents show commands at all', () => {
  expect(FILES.flatMap(commandLines).length).toBeGreaterThan(60);
});

test('the units start existing programs', () => {
  const dir = join(ROOT, 'deploy/systemd');
  const started = readdirSync(dir).flatMap((name) => [
    ...readFileSync(join(dir, name), 'utf8').matchAll(/^ExecStart=\/opt\/regent\/(.*)$/gm),
  ]);
  const commands = readFileSync(join(ROOT, 'src/main.ts'), 'utf8');
  expect(started).toHaveLength(2);
  for (const [, line] of started) {
    const [program, command] = shellWords(line!);
    expect(existsSync(join(ROOT, program!))).toBe(true);
    expect(commands).toContain(`  ${command}: {`);
  }
});
