import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeLeftScratch, scratchDirectory } from './scratch.ts';

let home: string;
const before = process.env['TMPDIR'];

beforeEach(() => {
  home = mkdtempSync('/tmp/regent-scratch-test-');
  process.env['TMPDIR'] = home;
});
afterEach(() => {
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  rmSync(home, { recursive: true, force: true });
});

/** As it would be called if this process had made it. */
async function madeBy(pid: number): Promise<string> {
  const own = await scratchDirectory('pass');
  const path = join(dirname(own), basename(own).replace(`-${process.pid}-`, `-${pid}-`));
  if (path !== own) {
    rmSync(own, { recursive: true });
    mkdirSync(path);
    writeFileSync(join(path, 'passfile'), '*:*:*:*:secret');
  }
  return path;
}

it('removes those of dead processes, and leaves those of the living', async () => {
  const dead = await madeBy(spawnSync('true').pid);
  const alive = await madeBy(process.ppid);
  expect(await removeLeftScratch(Date.now())).toBe(1);
  expect([dead, alive].map((path) => existsSync(path))).toEqual([false, true]);
});

it('removes that of a former process with the same id: in a container every agent has it', async () => {
  const own = await madeBy(process.pid);
  expect(await removeLeftScratch(Date.now())).toBe(1);
  expect(existsSync(own)).toBe(false);
});

it('removes what is a day old where it does not know the owner', async () => {
  const paths = ['regent-check-aB3dE6', 'regent-pass-1-999999999-aB3dE6', 'regent-initdb-aB3dE7'].map((name) => join(home, name));
  for (const path of paths) mkdirSync(path);
  expect(await removeLeftScratch(Date.now())).toBe(0);
  const yesterday = Date.now() / 1000 - 25 * 3600;
  for (const path of paths) utimesSync(path, yesterday, yesterday);
  expect(await removeLeftScratch(Date.now())).toBe(3);
});

it('touches nothing else', async () => {
  const old = Date.now() / 1000 - 1e6;
  const others = ['regent-check-', 'regent-checks-aB3dE6', 'regent-pg-aB3dE6', 'my-regent-pass-aB3dE6', 'regent-pass-aB3dE6.bak'];
  for (const name of others) mkdirSync(join(home, name));
  symlinkSync(join(home, 'regent-check-'), join(home, 'regent-pass-aB3dE8'));
  writeFileSync(join(home, 'regent-pass-aB3dE9'), 'a file');
  for (const name of [...others, 'regent-pass-aB3dE9']) utimesSync(join(home, name), old, old);
  expect(await removeLeftScratch(Date.now())).toBe(0);
});

it('a directory of temporary files that cannot be read is no obstacle', async () => {
  process.env['TMPDIR'] = join(home, 'absent');
  expect(await removeLeftScratch(Date.now())).toBe(0);
});
