/** Which processes the guard takes for the server's, and which agent it lets hold the directory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/system.ts';
import { createGuard, type PerlGuard } from '../../src/adapters/guard/guard.ts';
import { guardPlaces } from '../../src/adapters/guard/place.ts';
import { postgresOwner } from './support/bare-postgres.ts';

const clock = createSystemClock();
const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warning: quiet, error: quiet, critical: quiet };
const ask = { timeoutMs: 10_000 };
const owner = postgresOwner();
const children: ChildProcess[] = [];
const guards: PerlGuard[] = [];

let scratch: string;
let holderProgram: string;
let dataDir: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'regent-hold-'));
  chmodSync(scratch, 0o755);
  holderProgram = join(scratch, 'holder.mjs');
  const holder = join(import.meta.dirname, 'support/guard-holder.ts');
  buildSync({ entryPoints: [holder], bundle: true, platform: 'node', format: 'esm', outfile: holderProgram });
  for (const part of ['guard.pl', 'guard-server.pl', 'guard-tether.pl', 'tether.pl'])
    cpSync(join(import.meta.dirname, '../../src/adapters/guard', part), join(scratch, part));
});

beforeEach(() => {
  dataDir = mkdtempSync(join(scratch, 'data-'));
  chownSync(dataDir, owner.uid, owner.gid);
  return async () => {
    await Promise.all(children.splice(0).map(end));
    for (const guard of guards.splice(0)) {
      await guard.open();
      await guard.close({ end: true });
    }
    for (const { directory, key } of guardPlaces(dataDir, owner.uid, process.env['XDG_RUNTIME_DIR']))
      rmSync(join(directory, `${key}.log`), { force: true });
  };
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const alive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

async function ended(child: ChildProcess): Promise<void> {
  if (alive(child)) await once(child, 'exit');
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await ended(child);
}

function keep(child: ChildProcess): ChildProcess {
  children.push(child);
  return child;
}

function guardOf(directory: string): PerlGuard {
  const guard = createGuard({ dataDir: directory, clock, log, runAs: owner });
  guards.push(guard);
  return guard;
}

/** A process that opens the guard of the directory and arms it; resolves once it has. */
async function startHolder(): Promise<ChildProcess> {
  const args = [holderProgram, dataDir, '60000', String(owner.uid), String(owner.gid)];
  const holder = keep(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
  await once(holder.stdout!, 'data');
  return holder;
}

/** kill -9 of the guard; resolves once its end is known. */
async function killGuard(): Promise<void> {
  const guard = guardOf(dataDir);
  await guard.state(ask);
  const gone = new Promise<void>((resolve) => guard.onGone(resolve));
  process.kill(guard.pid()!, 'SIGKILL');
  await gone;
}

it('recognizes a server of any name by postmaster.pid, and kills no other process in the directory', async () => {
  const program = join(scratch, 'renamed');
  copyFileSync('/bin/sleep', program);
  const there = { cwd: dataDir, stdio: 'ignore', ...owner } as const;
  const server = keep(spawn(program, ['600'], there));
  const child = keep(spawn(program, ['600'], { ...there, argv0: 'postgres: checkpointer ' }));
  const shell = keep(spawn('sh', ['-c', 'read line'], { ...there, stdio: 'pipe' }));
  writeFileSync(join(dataDir, 'postmaster.pid'), `${server.pid}\n${dataDir}\n${Math.floor(Date.now() / 1000)}\n5432\n`);
  const guard = guardOf(dataDir);
  await guard.open();
  // A guard refuses a deadline that has passed when it hears of it.
  await guard.arm(clock.bootMs() + 500, ask);
  await Promise.all([ended(server), ended(child)]);
  await guard.disarm(ask);
  expect(alive(shell)).toBe(true);
});

it('keeps a second agent away for as long as the first lives, frozen or cut off, and lets the next one in', async () => {
  const first = await startHolder();
  const second = guardOf(dataDir);
  await expect(second.open()).rejects.toMatchObject({ code: 'DATA_DIR_HELD', message: expect.stringContaining(`pid ${first.pid}`) });
  first.kill('SIGSTOP');
  await expect(second.open()).rejects.toMatchObject({ code: 'DATA_DIR_HELD' });
  // A process that only asks does not want to hold it. A guard that was killed has left the name of
  // its agent.
  expect(await guardOf(dataDir).state(ask)).toMatchObject({ mode: 'armed' });
  await killGuard();
  await expect(second.open()).rejects.toMatchObject({ code: 'DATA_DIR_HELD' });
  await end(first);
  await second.open();
  expect(await second.state(ask)).toMatchObject({ mode: 'disarmed' });
});
