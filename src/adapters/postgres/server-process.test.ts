/** Which process is of a server, by what it is and where it works, not by what it is called. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findPostmaster, findServerProcesses, pidFileOwner } from './detect.ts';
import { judgeOwner, programNames } from './server-process.ts';

const SLEEP = '/bin/sleep';

let scratch: string;
let dataDir: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), 'regent-process-')));
  dataDir = join(scratch, 'data');
  mkdirSync(dataDir);
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(scratch, { recursive: true, force: true });
});

async function run(program: string, args: readonly string[], cwd = dataDir, argv0 = program): Promise<number> {
  const child = spawn(program, args, { cwd, argv0, stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  return child.pid!;
}

/** A program of that name that does nothing. */
function programNamed(name: string): string {
  const path = join(scratch, name);
  copyFileSync(realpathSync(process.execPath), path);
  return path;
}
const IDLE = ['-e', 'setTimeout(() => {}, 60000)'];

function startOf(pid: number): number {
  const ticks = Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[19]);
  return Number(/^btime (\d+)/m.exec(readFileSync('/proc/stat', 'latin1'))![1]) + Math.floor(ticks / 100);
}

function writePidFile(pid: number, startSeconds: number, shmem = ''): void {
  writeFileSync(join(dataDir, 'postmaster.pid'), `${pid}\n${dataDir}\n${startSeconds}\n5432\n/tmp\n\n${shmem}\nready   \n`);
}

const found = (programs?: ReadonlySet<string>) =>
  findServerProcesses(dataDir, programs).map((process) => {
    process.release();
    return process.pid;
  });
const postmaster = (programs?: ReadonlySet<string>) => {
  const held = findPostmaster(dataDir, programs);
  held?.release();
  return held?.pid ?? null;
};

test('a server under the configured name, at work in the data directory', async () => {
  const pid = await run(programNamed('edb-postgres'), IDLE);
  expect(found()).toEqual([]);
  expect(found(programNames(join(scratch, 'edb-postgres')))).toEqual([pid]);
});

test('the configured program is a link to a file of another name', async () => {
  const real = programNamed('postgres.bin');
  symlinkSync(real, join(scratch, 'postgres'));
  const pid = await run(join(scratch, 'postgres'), IDLE);
  expect(found(programNames(join(scratch, 'postgres')))).toEqual([pid]);
});

test('the postmaster, whatever its program is called, by postmaster.pid and the start given there', async () => {
  const pid = await run(programNamed('wrapped'), IDLE);
  writePidFile(pid, startOf(pid));
  expect(postmaster()).toBe(pid);
  expect(pidFileOwner(dataDir)).toMatchObject({ pid, verdict: 'server' });
});

test('children and orphans by the title that PostgreSQL gives them', async () => {
  const pid = await run(programNamed('wrapped'), IDLE, dataDir, 'postgres: walwriter ');
  expect(found()).toEqual([pid]);
});

test('a process in the directory without a sign of a server is never taken as one', async () => {
  await run(SLEEP, ['60']);
  await run('/bin/sh', ['-c', 'sleep 60; true']);
  await run(programNamed('psql'), [...IDLE, dataDir], dataDir, 'psql');
  await run(programNamed('postgres'), IDLE, scratch);
  expect(found()).toEqual([]);
});

test('a process under the pid of postmaster.pid that is not known, at work in the directory, is not explained', async () => {
  const pid = await run(SLEEP, ['60']);
  writeFileSync(join(dataDir, 'postmaster.pid'), `${pid}\n${dataDir}\n1\n5432\n`);
  expect(postmaster()).toBeNull();
  expect(found()).toEqual([]);
  expect(pidFileOwner(dataDir)).toEqual({ pid, program: `${SLEEP} 60`, verdict: 'unexplained' });
});

test('a recycled pid: at work elsewhere, or without the segment that the postmaster held', async () => {
  const elsewhere = await run(SLEEP, ['60'], scratch);
  writePidFile(elsewhere, 1);
  expect(pidFileOwner(dataDir)).toMatchObject({ verdict: 'unrelated' });
  const there = await run(SLEEP, ['60']);
  writePidFile(there, 1, '  5432001    131087');
  expect(pidFileOwner(dataDir)).toMatchObject({ verdict: 'unrelated' });
  expect(postmaster()).toBeNull();
});

test('the pid of another user’s process, which does not stop PostgreSQL either', async () => {
  const pid = await run(SLEEP, ['60']);
  writeFileSync(join(dataDir, 'postmaster.pid'), `${pid}\n${dataDir}\n1\n`);
  expect(judgeOwner(pid, { dataDir, programs: new Set(), pidFile: null })).toBe('unexplained');
  // Only root can start a process as another user, or give the directory away.
  if (process.getuid?.() !== 0) return;
  chownSync(dataDir, 65_534, 65_534);
  expect(pidFileOwner(dataDir)).toMatchObject({ verdict: 'unrelated' });
});

test('no process has the pid, or there is no file', async () => {
  expect(pidFileOwner(dataDir)).toBeNull();
  const pid = await run(SLEEP, ['60']);
  writePidFile(pid, 1);
  children[0]!.kill('SIGKILL');
  await once(children[0]!, 'exit');
  expect(pidFileOwner(dataDir)).toBeNull();
});
