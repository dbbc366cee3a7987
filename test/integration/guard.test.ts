import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../src/adapters/clock/system.ts';
import { createGuard, type GuardOptions, type PerlGuard } from '../../src/adapters/guard/guard.ts';
import { guardPlaces } from '../../src/adapters/guard/place.ts';
import { type BarePostgres, createBarePostgres } from './support/bare-postgres.ts';

const clock = createSystemClock();
const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warning: quiet, error: quiet, critical: quiet };
const KILL_DELAY_MS = 250;
/** FIRED_LINGER of guard.pl. */
const LINGER_MS = 5000;
const ask = { timeoutMs: 10_000 };
/** Until a deadline; a guard refuses one that has passed when it hears of it. */
const SOON_MS = 500;
/** What a busy machine may add to what happens at a deadline. */
const ROOM_MS = 1000;

let postgres: BarePostgres;
let scratch: string;
let holderProgram: string;
const guards: PerlGuard[] = [];
const guarded: string[] = [];
const children: ChildProcess[] = [];

function guardOf(dataDir: string, more: Partial<GuardOptions> = {}): PerlGuard {
  const guard = createGuard({ dataDir, clock, log, runAs: postgres.owner, killDelayMs: KILL_DELAY_MS, ...more });
  guards.push(guard);
  guarded.push(dataDir);
  return guard;
}

function keep(child: ChildProcess): ChildProcess {
  children.push(child);
  return child;
}

async function until<T>(what: string, probe: () => T | Promise<T>, timeoutMs = 30_000): Promise<NonNullable<T>> {
  for (const end = performance.now() + timeoutMs; ; ) {
    const value = await probe();
    if (value) return value;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Boot-clock moment at which the process ended. */
function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(clock.bootMs());
    else child.once('exit', () => resolve(clock.bootMs()));
  });
}

const alive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

/** Writes one row after the other until the connection breaks; tells when each was acknowledged. */
function writeInALoop(client: pg.Client): { readonly acknowledged: number[]; readonly broken: Promise<void> } {
  const acknowledged: number[] = [];
  const run = async () => {
    for (;;) {
      await client.query('INSERT INTO t DEFAULT VALUES');
      acknowledged.push(clock.bootMs());
    }
  };
  return { acknowledged, broken: run().catch(quiet) };
}

/** A process that opens the guard and arms it, to be killed. */
async function startHolder(aheadMs: number): Promise<{ child: ChildProcess; deadline: number; guardPid: number }> {
  const { uid, gid } = postgres.owner;
  const child = keep(
    spawn(process.execPath, [holderProgram, postgres.dataDir, String(aheadMs), String(uid), String(gid)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout!.setEncoding('utf8').once('data', resolve);
    child.once('exit', (code) => reject(new Error(`the holder exited with ${code}`)));
  });
  return { child, ...JSON.parse(line) };
}

beforeAll(() => {
  postgres = createBarePostgres();
  scratch = mkdtempSync(join(tmpdir(), 'regent-guard-'));
  holderProgram = join(scratch, 'holder.mjs');
  buildSync({
    entryPoints: [join(import.meta.dirname, 'support/guard-holder.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: holderProgram,
  });
  for (const part of ['guard.pl', 'guard-server.pl', 'guard-tether.pl', 'tether.pl'])
    cpSync(join(import.meta.dirname, '../../src/adapters/guard', part), join(scratch, part));
});

afterEach(async () => {
  // A holder that lives keeps everybody else from the guard.
  for (const child of children.splice(0)) {
    if (!alive(child)) continue;
    child.kill('SIGKILL');
    await ended(child);
  }
  for (const guard of guards.splice(0)) {
    await guard.open();
    await guard.close({ end: true });
  }
  // A guard that has fired leaves its log for people.
  for (const dataDir of guarded.splice(0)) {
    for (const place of guardPlaces(dataDir, postgres.owner.uid, process.env['XDG_RUNTIME_DIR']))
      rmSync(join(place.directory, `${place.key}.log`), { force: true });
  }
});

afterAll(async () => {
  await postgres.remove();
  rmSync(scratch, { recursive: true, force: true });
});

describe('a guarded PostgreSQL', () => {
  let server: ChildProcess;
  let client: pg.Client;

  beforeEach(async () => {
    server = keep(postgres.start());
    client = await postgres.connect();
    await client.query('CREATE TABLE IF NOT EXISTS t (id bigserial)');
  });

  it('is left alone while the agent renews', async () => {
    const guard = guardOf(postgres.dataDir);
    await guard.open();
    const writer = writeInALoop(client);
    for (let i = 0; i < 12; i++) {
      await guard.arm(clock.bootMs() + 2000, ask);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(await guard.state(ask)).toMatchObject({ mode: 'armed' });
    const armedAt = clock.bootMs();
    await guard.disarm(ask);
    const before = writer.acknowledged.length;
    await until('more rows after the last deadline', () => clock.bootMs() > armedAt + 2000 && writer.acknowledged.length > before + 100);
    expect(alive(server)).toBe(true);
    await client.end();
    await writer.broken;
  });

  it('goes down at the deadline when the agent is killed, and acknowledges nothing afterwards', async () => {
    const holder = await startHolder(600);
    guardOf(postgres.dataDir);
    const writer = writeInALoop(client);
    holder.child.kill('SIGKILL');
    const downAt = await ended(server);
    await writer.broken;
    const lastWrite = writer.acknowledged.at(-1)!;
    console.log(
      `postmaster down ${Math.round(downAt - holder.deadline)} ms, last write ${Math.round(lastWrite - holder.deadline)} ms after the deadline`,
    );
    expect(writer.acknowledged.length).toBeGreaterThan(10);
    expect(downAt).toBeGreaterThan(holder.deadline - 50);
    expect(downAt).toBeLessThan(holder.deadline + KILL_DELAY_MS + ROOM_MS);
    expect(lastWrite).toBeLessThan(holder.deadline + KILL_DELAY_MS + ROOM_MS);
  });

  it('dies even when its postmaster is stopped', async () => {
    const guard = guardOf(postgres.dataDir);
    await guard.open();
    const writer = writeInALoop(client);
    await until('rows', () => writer.acknowledged.length > 5);
    server.kill('SIGSTOP');
    const deadline = clock.bootMs() + SOON_MS;
    await guard.arm(deadline, ask);
    const downAt = await ended(server);
    await writer.broken;
    console.log(
      `stopped postmaster dead ${Math.round(downAt - deadline)} ms, last write ${Math.round(writer.acknowledged.at(-1)! - deadline)} ms after the deadline`,
    );
    expect(downAt).toBeLessThan(deadline + KILL_DELAY_MS + ROOM_MS);
    expect(writer.acknowledged.at(-1)!).toBeLessThan(deadline + KILL_DELAY_MS + ROOM_MS);
  });

  it('is not touched when a new agent arms the same guard in time', async () => {
    const holder = await startHolder(2500);
    holder.child.kill('SIGKILL');
    await ended(holder.child);
    const guard = guardOf(postgres.dataDir);
    await guard.open();
    expect(guard.pid()).toBe(holder.guardPid);
    await guard.arm(clock.bootMs() + 60_000, ask);
    await until('the old deadline has passed', () => clock.bootMs() > holder.deadline + 300);
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(alive(server)).toBe(true);
    await client.end();
  });

  it('is kept down while the agent hangs, and may be started by a person once the agent is dead', async () => {
    const { child, guardPid } = await startHolder(SOON_MS);
    guardOf(postgres.dataDir);
    child.kill('SIGSTOP');
    const firedAt = await ended(server);
    await until('longer than the guard waits for an agent that is gone', () => clock.bootMs() > firedAt + LINGER_MS + 1000);
    await ended(keep(postgres.start()));
    child.kill('SIGKILL');
    const goneAt = await ended(child);
    await ended(keep(postgres.start()));
    await until('the guard has gone', () => !existsSync(`/proc/${guardPid}`));
    expect(clock.bootMs() - goneAt).toBeGreaterThan(LINGER_MS - 100);
    const started = keep(postgres.start());
    const later = await postgres.connect();
    expect((await later.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(alive(started)).toBe(true);
    await later.end();
  });

  it('is kept down until the guard is told otherwise', async () => {
    const guard = guardOf(postgres.dataDir);
    await guard.open();
    await guard.arm(clock.bootMs() + SOON_MS, ask);
    await ended(server);
    expect(await guard.state(ask)).toMatchObject({ mode: 'fired' });
    const again = keep(postgres.start());
    await ended(again);
    await guard.disarm(ask);
    const third = keep(postgres.start());
    const later = await postgres.connect();
    expect((await later.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(alive(third)).toBe(true);
    await later.end();
  });
});

describe('the guard process', () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = mkdtempSync(join(scratch, 'empty-'));
  });

  it('never kills a process that only postmaster.pid claims', async () => {
    const bystander = keep(spawn('sleep', ['60'], { cwd: dataDir, stdio: 'ignore' }));
    const elsewhere = keep(postgres.start());
    const client = await postgres.connect();
    const guard = guardOf(dataDir);
    await guard.open();
    for (const victim of [bystander, elsewhere]) {
      writeFileSync(join(dataDir, 'postmaster.pid'), `${victim.pid}\n${dataDir}\n`);
      await guard.arm(clock.bootMs() + SOON_MS, ask);
      const fired = await until('it fired', async () => {
        const state = await guard.state(ask);
        return state.mode === 'fired' ? state : null;
      });
      await until('two more scans and the kill delay have passed', () => clock.bootMs() > fired.atBootMs + KILL_DELAY_MS + 200);
      expect(alive(victim)).toBe(true);
      await guard.disarm(ask);
    }
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  it('is the only one, however many agents open it at once', async () => {
    const agents = [guardOf(dataDir), guardOf(dataDir), guardOf(dataDir)];
    await Promise.all(agents.map((guard) => guard.open()));
    const pids = new Set(agents.map((guard) => guard.pid()));
    expect(pids.size).toBe(1);
    const commands = readFileSync(`/proc/${[...pids][0]}/cmdline`, 'latin1');
    expect(commands).toContain(dataDir);
  });

  it('names its log after cluster and member, and goes on with that of an earlier version', async () => {
    const [place] = guardPlaces(dataDir, postgres.owner.uid, process.env['XDG_RUNTIME_DIR']);
    const [old, named] = [place!.key, `my_demo-pg-1-${place!.key}`].map((name) => join(place!.directory, `${name}.log`));
    const earlier = guardOf(dataDir);
    await earlier.open();
    await until('it has written its log', () => existsSync(old!));
    process.kill(earlier.pid()!, 'SIGKILL');
    const guard = guardOf(dataDir, { label: 'my demo-pg-1' });
    await until('another is there', () =>
      guard.open().then(
        () => true,
        () => false,
      ),
    );
    await until('two have written', () => existsSync(named!) && readFileSync(named!, 'utf8').match(/started, pid/g)?.length === 2);
    expect(existsSync(old!)).toBe(false);
    await guard.close({ end: true });
    expect(existsSync(named!)).toBe(false);
  });

  it('ignores SIGTERM, SIGINT and SIGHUP while armed, and goes at SIGTERM when disarmed', async () => {
    const guard = guardOf(dataDir);
    await guard.open();
    const gone = new Promise<void>((resolve) => guard.onGone(resolve));
    await guard.arm(clock.bootMs() + 30_000, ask);
    const pid = guard.pid()!;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(pid, signal);
    expect(await guard.state(ask)).toMatchObject({ mode: 'armed' });
    await guard.disarm(ask);
    process.kill(pid, 'SIGTERM');
    await gone;
    expect(guard.pid()).toBeNull();
  });

  it('is replaced by the next order when it was killed', async () => {
    const guard = guardOf(dataDir);
    await guard.open();
    const first = guard.pid()!;
    const gone = new Promise<void>((resolve) => guard.onGone(resolve));
    process.kill(first, 'SIGKILL');
    await gone;
    const deadline = Math.floor(clock.bootMs() + 30_000);
    await guard.arm(deadline, ask);
    expect(guard.pid()).not.toBe(first);
    expect(await guard.state(ask)).toEqual({ mode: 'armed', atBootMs: deadline });
    expect(await guard.deadline(ask)).toBe(deadline);
  });

  it('is replaced although its socket still takes a connection while it dies', async () => {
    const first = guardOf(dataDir);
    await first.open();
    const [place] = guardPlaces(dataDir, postgres.owner?.uid ?? process.getuid!(), process.env['XDG_RUNTIME_DIR']);
    await first.close({ end: true });
    // The guard has taken its directory along, where it was the only one in it.
    mkdirSync(place!.directory, { recursive: true, mode: 0o700 });
    chownSync(place!.directory, postgres.owner.uid, postgres.owner.gid);
    const dying = createServer((socket) => {
      socket.destroy();
      dying.close();
    });
    await new Promise<void>((listening) => dying.listen(place!.socket, listening));
    const next = guardOf(dataDir);
    const deadline = Math.floor(clock.bootMs() + 30_000);
    await next.arm(deadline, ask);
    expect(await next.state(ask)).toEqual({ mode: 'armed', atBootMs: deadline });
  });

  it('confirms at once, in a few megabytes', async () => {
    const guard = guardOf(dataDir);
    await guard.open();
    const took: number[] = [];
    for (let i = 0; i < 50; i++) {
      const before = performance.now();
      await guard.arm(clock.bootMs() + 30_000, ask);
      took.push(performance.now() - before);
    }
    took.sort((a, b) => a - b);
    const resident = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${guard.pid()}/status`, 'latin1'))?.[1]);
    console.log(`guard: order ${took[25]!.toFixed(2)} ms (median), VmRSS ${resident} kB`);
    expect(took[25]!).toBeLessThan(100);
    expect(resident).toBeLessThan(12_000);
  });

  it('refuses a deadline that has passed', async () => {
    const guard = guardOf(dataDir);
    await guard.open();
    await expect(guard.arm(clock.bootMs() - 1, ask)).rejects.toMatchObject({ code: 'GUARD_FAILED' });
  });

  it('does not answer: the order fails in time, and PostgreSQL must not become writable', async () => {
    const guard = guardOf(dataDir);
    await guard.open();
    const pid = guard.pid()!;
    process.kill(pid, 'SIGSTOP');
    try {
      const before = performance.now();
      await expect(guard.arm(clock.bootMs() + 1000, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'GUARD_FAILED' });
      expect(performance.now() - before).toBeLessThan(10_000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('says what is missing when there is no perl', async () => {
    const guard = createGuard({ dataDir, clock, log, runAs: postgres.owner, perl: '/nonexistent/perl' });
    await expect(guard.open()).rejects.toMatchObject({ code: 'GUARD_FAILED', mend: expect.stringContaining('perl-base') });
  });

  it('refuses a directory that other users can enter', async () => {
    const base = join(scratch, 'open-runtime');
    mkdirSync(join(base, `regent-${process.getuid!()}`), { recursive: true, mode: 0o777 });
    const before = process.env['XDG_RUNTIME_DIR'];
    process.env['XDG_RUNTIME_DIR'] = base;
    try {
      await expect(createGuard({ dataDir, clock, log }).open()).rejects.toMatchObject({ code: 'GUARD_FAILED' });
    } finally {
      if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
      else process.env['XDG_RUNTIME_DIR'] = before;
    }
  });
});
