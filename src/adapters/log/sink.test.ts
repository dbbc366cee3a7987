/** A log file that cannot be put aside. Ordinary rotation: log.test.ts. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFileSink } from './sink.ts';

const NOBODY = 65534;
const root = process.geteuid?.() === 0;
let home: string;
let path: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-sink-'));
  chmodSync(home, 0o711);
  mkdirSync(join(home, 'log'));
  path = join(home, 'log', 'patroni.log');
});
afterEach(() => {
  chmodSync(join(home, 'log'), 0o700);
  rmSync(home, { recursive: true, force: true });
});

/** Ours, in a directory that is not. */
function given(...paths: readonly string[]): void {
  for (const each of paths) {
    writeFileSync(each, '');
    if (root) chownSync(each, NOBODY, NOBODY);
  }
  chmodSync(join(home, 'log'), 0o555);
}

/** For root no directory is closed. Returns how many lines were lost. */
async function log(...lines: readonly string[]): Promise<number> {
  if (root) process.seteuid!(NOBODY);
  const sink = createFileSink(path, { sizeBytes: 20, keep: 2, mode: null, maxQueueSize: 1000 });
  try {
    for (const line of lines) {
      sink.write(line);
      await sink.flush(1000);
    }
    await sink.close(1000);
    return sink.takeLost();
  } finally {
    if (root) process.seteuid!(0);
  }
}

const LINES = ['one two three', 'four five six', 'seven eight nine', 'ten'];

test('it grows, and no line is lost', async () => {
  given(path);
  expect(await log(...LINES)).toBe(0);
  expect(readFileSync(path, 'utf8')).toBe(LINES.map((line) => `${line}\n`).join(''));
});

test('its text is copied where the older file is there to be written', async () => {
  given(path, `${path}.1`);
  expect(await log(...LINES)).toBe(0);
  expect([readFileSync(`${path}.1`, 'utf8'), readFileSync(path, 'utf8')]).toEqual(['seven eight nine\n', 'ten\n']);
});
