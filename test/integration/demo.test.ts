/** The demo as its user has it: real processes, from nothing to nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findLeader, haproxyPools, httpGet } from '../../src/demo/observe.ts';
import { type DemoPlan, planDemo, portsOf } from '../../src/demo/plan.ts';
import { takenPorts } from '../../src/demo/ports.ts';
import { isAlive, nodeProcesses, procTable } from '../../src/demo/process-table.ts';
import { sharedMemoryId } from '../../src/demo/remove.ts';
import { marksOf } from '../../src/demo/specs.ts';
import { type DemoState, readState } from '../../src/demo/state.ts';
import { runCommand } from '../../src/support/exec.ts';

const REGENT = join(import.meta.dirname, '..', '..', 'regent');
const STATS = { username: 'admin', password: 'admin' };

let home: string;
let directory: string;
let plan: DemoPlan;
const segments = new Set<string>();

const planAt = (basePort: number) => planDemo({ directory, nodes: 3, basePort, overrides: {}, stats: STATS });

/**
 * A base with all its ports free, below those of outgoing connections. Another test may be looking
 * for one, so the start is drawn by process id.
 */
async function freeBasePort(): Promise<number> {
  for (let base = 10_000 + (process.pid % 300) * 40; base < 25_000; base += 40) {
    if ((await takenPorts(portsOf(planAt(base)))).length === 0) return base;
  }
  throw new Error('no free ports');
}

async function regent(...args: string[]) {
  const result = await runCommand(REGENT, ['demo', ...args], { timeoutMs: 120_000, cwd: '/' });
  return { code: result.code, out: result.stdout, err: result.stderr };
}

async function until<T>(what: string, timeoutMs: number, look: () => Promise<T | null | false>): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await look().catch(() => null);
    if (found !== null && found !== false) return found;
    if (Date.now() >= end) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
    await sleep(50);
  }
}

async function query<T extends pg.QueryResultRow>(port: number, text: string, values: unknown[] = []): Promise<T[]> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: 'postgres',
    database: 'postgres',
    connectionTimeoutMillis: 2000,
    query_timeout: 5000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query<T>(text, values)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

/**
 * One leader, everybody else streaming from it, each with a vote: a primary that was killed has
 * none until it has caught up.
 */
async function isWhole(): Promise<string | null> {
  const leader = await findLeader(plan);
  if (leader === null) return null;
  const port = plan.nodes.find((node) => node.name === leader)!.restPort;
  const { members = [] } = JSON.parse((await httpGet(port, '/cluster'))?.body ?? '{}') as {
    members?: Array<{ role: string; state: string }>;
  };
  const streaming = members.filter((member) => member.role !== 'leader' && member.state === 'streaming').length;
  const words = await Promise.all(plan.nodes.map(async ({ restPort }) => (await httpGet(restPort, '/patroni'))?.body ?? ''));
  return streaming === plan.nodes.length - 1 && !words.some((word) => word.includes('"restored": true')) ? leader : null;
}

function noteSegments(): void {
  for (const node of plan.nodes) {
    const file = join(node.dataDir, 'postmaster.pid');
    const id = existsSync(file) ? sharedMemoryId(readFileSync(file, 'utf8')) : null;
    if (id !== null) segments.add(id);
  }
}

function processesLeft(state: DemoState): string[] {
  const recorded = state.processes.filter((entry) => entry.identity !== null && isAlive(entry.identity)).map((entry) => entry.name);
  return [...recorded, ...plan.nodes.filter((node) => nodeProcesses(marksOf(node, null)).length > 0).map((node) => node.name)];
}

describe('regent demo', () => {
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'regent-demo-'));
    // The demo drops to another user, who must be able to pass.
    await runCommand('chmod', ['755', home], { timeoutMs: 5000 });
    directory = join(home, 'd');
    plan = planAt(await freeBasePort());
  });

  afterAll(async () => {
    if (existsSync(directory)) await regent('down', '--dir', directory);
    rmSync(home, { recursive: true, force: true });
  });

  it('refuses, before anything is started, what cannot work', async () => {
    const base = String(plan.haproxy.writePort);
    const server = createServer().listen(plan.nodes[1]!.restPort, '127.0.0.1');
    await once(server, 'listening');
    const taken = await regent('--dir', directory, '--base-port', base, '--detach');
    await new Promise((resolve) => server.close(resolve));
    expect(taken.code).toBe(1);
    expect(taken.err).toContain(`port ${plan.nodes[1]!.restPort} (the REST API of patroni2) is taken by`);
    expect(taken.err).toContain('--base-port');

    const foreign = join(home, 'foreign');
    await runCommand('mkdir', [foreign], { timeoutMs: 5000 });
    writeFileSync(join(foreign, 'thesis.txt'), 'x');
    expect((await regent('--dir', foreign, '--base-port', base, '--detach')).err).toMatch(/not empty and not a demo's/);
    expect((await regent('down', '--dir', foreign)).err).toMatch(/not empty and not a demo's/);
    expect(readdirSync(foreign)).toEqual(['thesis.txt']);

    const overrides = join(home, 'bad.yml');
    writeFileSync(overrides, 'watchdog:\n  mode: sometimes\n');
    const bad = await regent('--dir', directory, '--base-port', base, '--config', overrides, '--detach');
    expect(bad.code).toBe(1);
    expect(bad.err).toMatch(/patroni\.yml.*watchdog\.mode/s);
    expect((await regent('--nodes', 'many')).code).toBe(2);
    const frob = await regent('frob');
    expect([frob.code, frob.err]).toEqual([
      2,
      "error: unknown command 'frob'. There are: status, stop, start, kill, logs, down; without one a demo is started.\n",
    ]);
    expect((await regent('status', '--dir', directory)).err).toContain('there is no demo');
    expect(await regent('down', '--dir', directory)).toEqual({
      code: 0,
      out: `nothing to remove: there is no demo in ${directory}\n`,
      err: '',
    });
    expect(existsSync(directory)).toBe(false);
  });

  it('comes up from nothing', async () => {
    const overrides = join(home, 'extra.yml');
    writeFileSync(overrides, 'postgresql:\n  parameters:\n    work_mem: 7MB\n');
    const up = await regent('--dir', directory, '--base-port', String(plan.haproxy.writePort), '--config', overrides, '--detach');
    expect(up.err).toBe('');
    expect(up.code).toBe(0);
    expect(up.out).toMatch(/\| patroni\d \| 127\.0\.0\.1:\d+ \| Leader /);
    expect(up.out).toContain(`PGPASSWORD=postgres psql -h localhost -p ${plan.haproxy.writePort} -U postgres`);
    await until('three healthy members', 30_000, isWhole);
    expect((await query<{ work_mem: string }>(plan.haproxy.writePort, 'SHOW work_mem'))[0]).toEqual({ work_mem: '7MB' });
    const reads = new Set<number>();
    await until('readers on every node', 30_000, async () => {
      const [row] = await query<{ port: number }>(plan.haproxy.readPort, 'SELECT inet_server_port() AS port');
      return reads.add(row!.port).size === 3;
    });
    for (const file of [plan.nodes[0]!.configFile, plan.haproxy.configFile, join(directory, 'regent-demo.json')]) {
      expect(statSync(file).mode & 0o077).toBe(0);
    }
    const again = await regent('--dir', directory, '--detach');
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('a demo is running in') });
    expect((await regent('status', '--dir', directory)).code).toBe(0);
    noteSegments();
  });

  it('survives kill -9 of the leader’s whole tree, and takes the node back', async () => {
    const { writePort } = plan.haproxy;
    await query(writePort, 'CREATE TABLE kept (id int)');
    await query(writePort, 'INSERT INTO kept VALUES (1)');
    const leader = await until('a leader', 20_000, () => findLeader(plan));
    const node = plan.nodes.find((one) => one.name === leader)!;
    const state = await readState(directory);
    const agent = state.processes.find((entry) => entry.name === leader)!.identity!;
    expect(nodeProcesses(marksOf(node, agent)).length).toBeGreaterThan(5);

    const killed = await regent('kill', leader, '--dir', directory);
    expect(killed.out).toMatch(new RegExp(`killed \\d+ processes of ${leader}`));
    expect(nodeProcesses(marksOf(node, agent))).toEqual([]);
    const next = await until('another leader', 60_000, async () => {
      const now = await findLeader(plan);
      return now !== null && now !== leader && now;
    });
    await until('a write through HAProxy', 40_000, () =>
      query(writePort, 'INSERT INTO kept VALUES (2) RETURNING id').then(
        (rows) => rows.length === 1,
        () => false,
      ),
    );
    expect((await query<{ n: string }>(writePort, 'SELECT count(DISTINCT id) AS n FROM kept'))[0]).toEqual({ n: '2' });
    expect((await regent('status', '--dir', directory)).code).toBe(1);

    expect((await regent('start', leader, '--dir', directory)).code).toBe(0);
    expect(await until('three healthy members', 60_000, isWhole)).toBe(next);
    noteSegments();
  });

  it('stops a node in order: its successor takes over at once', async () => {
    const leader = await until('a leader', 20_000, () => findLeader(plan));
    const stopped = await regent('stop', leader, '--dir', directory);
    expect(stopped.out).toBe(`${leader} has stopped\n`);
    await until('another leader', 8000, async () => {
      const now = await findLeader(plan);
      return now !== null && now !== leader && now;
    });
    expect((await regent('logs', leader, '--dir', directory)).out).toContain(leader);
    await regent('start', leader, '--dir', directory);
    await until('three healthy members', 60_000, isWhole);
    expect((await regent('stop', 'patroni9', '--dir', directory)).err).toContain('its nodes are: patroni1, patroni2, patroni3');
  });

  it('restarts a process that ends without a request', async () => {
    const member = (await readState(directory)).processes.find((entry) => entry.name === 'etcd2')!;
    process.kill(member.identity!.pid, 'SIGKILL');
    await until('etcd2 again', 40_000, async () => {
      const answer = await httpGet(plan.etcd[1]!.clientPort, '/health');
      const now = (await readState(directory)).processes.find((entry) => entry.name === 'etcd2')!;
      return answer?.status === 200 && now.identity !== null && now.identity.pid !== member.identity!.pid;
    });
  });

  it('stops everything when told to, and comes back with its data, paused if it was', async () => {
    const ctl = (...words: string[]) =>
      runCommand(join(REGENT, '..', 'regentctl'), ['-c', plan.ctlFile, ...words], { timeoutMs: 30_000, cwd: '/' });
    const { haproxy } = JSON.parse((await ctl('health', '-f', 'json')).stdout);
    expect(haproxy).toMatchObject({ url: `http://127.0.0.1:${plan.haproxy.statsPort}/stats;csv`, skipped: null });
    expect((await ctl('pause', '--wait')).code).toBe(0);
    const before = await readState(directory);
    const stopped = await regent('stop', '--dir', directory);
    expect(stopped.out).toContain('everything has stopped');
    expect(processesLeft(before)).toEqual([]);
    expect(await regent('status', '--dir', directory)).toMatchObject({
      code: 3,
      out: expect.stringContaining(`start it with: ./regent demo --dir ${directory}\n`),
    });

    const child = spawn(REGENT, ['demo', '--dir', directory], { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const exited = once(child, 'exit');
    await until('the prompt of a demo in the foreground', 120_000, async () => said.includes('Ctrl-C stops everything'));
    expect(said).toContain('This cluster is paused');
    expect(said).toContain(`  ./regentctl -c ${plan.ctlFile} resume\n`);
    expect(await findLeader(plan)).toBe(null);
    expect((await ctl('resume')).code).toBe(0);
    await until('what resume brings back', 90_000, async () => (await haproxyPools(plan)).write.length === 1 && isWhole());
    expect((await query<{ n: string }>(plan.haproxy.writePort, 'SELECT count(DISTINCT id) AS n FROM kept'))[0]).toEqual({ n: '2' });
    const running = await readState(directory);
    const interruptedAt = Date.now();
    child.kill('SIGINT');
    expect(await exited).toEqual([0, null]);
    expect(Date.now() - interruptedAt).toBeLessThan(60_000);
    expect(processesLeft(running)).toEqual([]);
  });

  it('leaves nothing behind, not even after its supervisor was killed', async () => {
    const up = await regent('--dir', directory, '--detach');
    // What etcd kept from before a restart is not in force until its leader says so.
    expect([up.code, up.out]).toEqual([0, expect.stringMatching(/Failover fence: quorum \([\s\S]*Ready in/)]);
    noteSegments();
    const state = await readState(directory);
    await regent('kill', 'patroni2', '--dir', directory);
    process.kill(state.supervisor!.pid, 'SIGKILL');
    await until('the supervisor’s end', 20_000, async () => !isAlive(state.supervisor!));
    expect((await regent('--dir', directory, '--detach')).err).toMatch(/lost its supervisor, and .*patroni1/);

    const down = await regent('down', '--dir', directory);
    expect([down.err, down.out]).toEqual(['', `removed the demo in ${directory}\n`]);
    expect(processesLeft(state)).toEqual([]);
    expect(procTable.rows().filter((row) => procTable.cwd(row.pid)?.startsWith(directory))).toEqual([]);
    expect(existsSync(directory)).toBe(false);
    expect(await takenPorts(portsOf(plan))).toEqual([]);
    const table = readFileSync('/proc/sysvipc/shm', 'utf8');
    const left = table.split('\n').filter((line) => segments.has(line.trim().split(/\s+/)[1] ?? ''));
    expect(left).toEqual([]);
    expect(await haproxyPools(plan)).toEqual({ write: [], read: [] });
  });
});
