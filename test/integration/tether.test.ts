/** PostgreSQL's tether: what the kernel does when guard and agent are killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/system.ts';
import { connectGuard } from '../../src/adapters/guard/connection.ts';
import { createGuard, type PerlGuard } from '../../src/adapters/guard/guard.ts';
import { guardPlaces } from '../../src/adapters/guard/place.ts';
import { type BarePostgres, createBarePostgres } from './support/bare-postgres.ts';
import type { HolderReport, HolderTask } from './support/tether-holder.ts';

const GUARD_PARTS = ['guard.pl', 'guard-server.pl', 'guard-tether.pl', 'tether.pl'];
/** From the death of both until the postmaster is gone; a tenth of it on a machine at rest. */
const END_MS = 3000;
/** Nothing may happen for this long to a PostgreSQL that must live. */
const LIVES_MS = 1500;

const clock = createSystemClock();
const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warning: quiet, error: quiet, critical: quiet };
const ask = { timeoutMs: 10_000 };
/** For what has to happen, whenever. */
const PATIENCE_MS = 20_000;
const agents: ChildProcess[] = [];
let serverPid: number | null = null;
let postgres: BarePostgres;
let scratch: string;
let holderProgram: string;

beforeAll(() => {
  postgres = createBarePostgres();
  scratch = mkdtempSync(join(tmpdir(), 'regent-tether-'));
  chmodSync(scratch, 0o755);
  holderProgram = join(scratch, 'holder.mjs');
  const holder = join(import.meta.dirname, 'support/tether-holder.ts');
  buildSync({ entryPoints: [holder], bundle: true, platform: 'node', format: 'esm', outfile: holderProgram });
  for (const part of GUARD_PARTS) cpSync(join(import.meta.dirname, '../../src/adapters/guard', part), join(scratch, part));
});

afterEach(async () => {
  for (const agent of agents.splice(0)) await kill(agent.pid!);
  if (serverPid !== null && isAlive(serverPid)) process.kill(serverPid, 'SIGQUIT');
  if (serverPid !== null) expect(await gone(serverPid, PATIENCE_MS)).toBe(true);
  serverPid = null;
  const guard = newGuard();
  await guard.open();
  await guard.close({ end: true });
  for (const { directory, key } of guardPlaces(postgres.dataDir, postgres.owner.uid, process.env['XDG_RUNTIME_DIR']))
    rmSync(join(directory, `${key}.log`), { force: true });
});

afterAll(async () => {
  await postgres.remove();
  rmSync(scratch, { recursive: true, force: true });
});

function newGuard(script?: string): PerlGuard {
  return createGuard({ dataDir: postgres.dataDir, clock, log, runAs: postgres.owner, ...(script === undefined ? {} : { script }) });
}

/** A zombie is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

async function gone(pid: number, withinMs: number): Promise<boolean> {
  for (const end = performance.now() + withinMs; isAlive(pid); ) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return true;
}

async function kill(...pids: number[]): Promise<void> {
  for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  for (const pid of pids) expect(await gone(pid, PATIENCE_MS)).toBe(true);
}

async function startAgent(task: Pick<HolderTask, 'arms' | 'command'>): Promise<{ pid: number } & HolderReport> {
  const { dataDir, owner } = postgres;
  const whole: HolderTask = { dataDir, owner, ...task };
  const agent = spawn(process.execPath, [holderProgram, JSON.stringify(whole)], { stdio: ['ignore', 'pipe', 'inherit'] });
  agents.push(agent);
  const [line] = await once(agent.stdout.setEncoding('utf8'), 'data');
  const report = JSON.parse(line) as HolderReport;
  serverPid = report.serverPid ?? serverPid;
  return { pid: agent.pid!, ...report };
}

const startsPostgres = (arms: boolean) => startAgent({ arms, command: postgres.command });
const takesOver = (arms: boolean) => startAgent({ arms, command: null });

async function canWrite(): Promise<void> {
  const client = await postgres.connect();
  await client.query('CREATE TABLE IF NOT EXISTS t (id bigserial)');
  await client.query('INSERT INTO t DEFAULT VALUES');
  await client.end();
}

/** The guard that took the place of the one that was killed, once it is armed and tethered. */
async function successorOf(guardPid: number): Promise<number> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; ) {
    const pid = await armedGuard().catch(() => null);
    if (pid !== null && pid !== guardPid) return pid;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`no other guard within ${PATIENCE_MS} ms`);
}

/** Asked past the client, which would start one. */
async function armedGuard(): Promise<number | null> {
  const [place] = guardPlaces(postgres.dataDir, postgres.owner.uid, process.env['XDG_RUNTIME_DIR']);
  const connection = await connectGuard(place!.socket, clock, 1000, quiet);
  const pid = Number((await connection.ask('ping', 1000)).split(' ')[3]);
  const [status, tether] = [await connection.ask('status', 1000), await connection.ask('tether', 1000)];
  connection.close();
  return status.startsWith('armed') && tether.endsWith(' on') ? pid : null;
}

async function answers(guard: PerlGuard, wanted: boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; guard.tethered !== wanted; ) {
    if (performance.now() > end) throw new Error(`tethered is ${guard.tethered}, not ${wanted}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

it('ends at once after the death of guard and agent, in either order', async () => {
  for (const agentFirst of [true, false]) {
    const agent = await startsPostgres(true);
    expect(agent.isHeld).toBe(true);
    await canWrite();
    const pids = [agent.pid, agent.guardPid];
    for (const pid of agentFirst ? pids : pids.reverse()) process.kill(pid, 'SIGKILL');
    const killedAtMs = performance.now();
    expect(await gone(agent.serverPid!, END_MS)).toBe(true);
    console.log(`the postmaster was gone ${Math.round(performance.now() - killedAtMs)} ms after guard and agent`);
    await kill(...pids);
  }
});

it('lives on without the agent, and without the guard, which is replaced', async () => {
  const agent = await startsPostgres(true);
  await kill(agent.guardPid);
  const guardPid = await successorOf(agent.guardPid);
  await kill(agent.pid);
  expect(await gone(agent.serverPid!, LIVES_MS)).toBe(false);
  await canWrite();
  const next = await takesOver(true);
  expect(next.guardPid).toBe(guardPid);
  await kill(guardPid);
  expect(await gone(agent.serverPid!, LIVES_MS)).toBe(false);
  await canWrite();
  await kill(next.pid, await successorOf(guardPid));
  expect(await gone(agent.serverPid!, END_MS)).toBe(true);
});

it('lives on without both while the guard rests', async () => {
  const agent = await startsPostgres(true);
  await kill(agent.pid);
  const next = await takesOver(false);
  await kill(next.pid, next.guardPid);
  expect(await gone(agent.serverPid!, LIVES_MS)).toBe(false);
  await canWrite();
});

it('was started at rest, and is tethered once the guard is armed', async () => {
  const agent = await startsPostgres(false);
  await canWrite();
  await kill(agent.pid);
  const guard = newGuard();
  await guard.open();
  await guard.arm(clock.bootMs() + 60_000, ask);
  await answers(guard, true);
  await guard.close({ end: false });
  await kill(agent.guardPid);
  expect(await gone(agent.serverPid!, END_MS)).toBe(true);
});

it('is not tethered where another program started it, and the guard says so', async () => {
  serverPid = postgres.start().pid!;
  await canWrite();
  const guard = newGuard();
  await guard.open();
  await guard.arm(clock.bootMs() + 60_000, ask);
  await answers(guard, false);
  const pid = guard.pid()!;
  await guard.close({ end: false });
  await kill(pid);
  expect(await gone(serverPid, LIVES_MS)).toBe(false);
});

it('starts even where the guard does not answer', async () => {
  const guard = newGuard();
  await guard.open();
  const [perl = '', ...words] = await guard.words();
  process.kill(guard.pid()!, 'SIGSTOP');
  try {
    const server = spawn(perl, [...words, ...postgres.command], { ...postgres.owner, cwd: '/', stdio: 'ignore' });
    serverPid = server.pid!;
    await canWrite();
  } finally {
    process.kill(guard.pid()!, 'SIGCONT');
    await guard.close({ end: false });
  }
});

it('replaces a guard from before the tether, with its deadline', async () => {
  const old = mkdtempSync(join(scratch, 'old-'));
  for (const part of GUARD_PARTS) cpSync(join(scratch, part), join(old, part));
  const text = readFileSync(join(old, 'guard.pl'), 'utf8');
  writeFileSync(join(old, 'guard.pl'), text.replace(/^ {4}if \(\$line =?~? ?(eq )?.*(tether|tied).*\n/gm, ''));
  const before = newGuard(join(old, 'guard.pl'));
  await before.arm(clock.bootMs() + 60_000, ask);
  const deadline = await before.deadline(ask);
  const pid = before.pid()!;
  await before.close({ end: false });
  const guard = newGuard();
  await guard.open();
  expect(guard.pid()).not.toBe(pid);
  expect(await gone(pid, PATIENCE_MS)).toBe(true);
  expect(await guard.deadline(ask)).toBe(deadline);
  await guard.close({ end: true });
});

it('keeps a guard that cannot let it go, until it has ended', async () => {
  const blind = mkdtempSync(join(scratch, 'blind-'));
  for (const part of GUARD_PARTS) cpSync(join(scratch, part), join(blind, part));
  const text = readFileSync(join(blind, 'guard-tether.pl'), 'utf8');
  // As where the kernel lets nobody have another process's descriptors (Yama, seccomp).
  writeFileSync(join(blind, 'guard-tether.pl'), text.replace('PIDFD_GETFD => 438', 'PIDFD_GETFD => -1'));
  const agent = await startsPostgres(true);
  await canWrite();
  await kill(agent.pid);
  const next = newGuard(join(blind, 'guard.pl'));
  await next.open();
  await kill(agent.guardPid);
  await next.open();
  await next.disarm(ask);
  const pid = next.pid()!;
  await next.close({ end: true });
  process.kill(pid, 'SIGTERM');
  expect(await gone(agent.serverPid!, LIVES_MS)).toBe(false);
  expect(isAlive(pid)).toBe(true);
  process.kill(agent.serverPid!, 'SIGINT');
  expect(await gone(agent.serverPid!, PATIENCE_MS)).toBe(true);
  process.kill(pid, 'SIGTERM');
  expect(await gone(pid, PATIENCE_MS)).toBe(true);
});
