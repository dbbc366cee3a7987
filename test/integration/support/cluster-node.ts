/**
 * One node of a test cluster: its agent as a real process, what the agent started, and the ways to
 * hurt it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { guardPlaces } from '../../../src/adapters/guard/place.ts';
import { readPidFile } from '../../../src/adapters/postgres/pid-file.ts';
import { identify, type ProcessIdentity, procTable } from '../../../src/demo/process-table.ts';
import { exchange } from '../../../src/support/http.ts';
import { freezeAlone, LOOK_AT_PARTS, LOOK_MS } from './freeze.ts';

export interface NodePlace {
  readonly name: string;
  readonly host: string;
  readonly postgresPort: number;
  readonly restPort: number;
  /** Everything of this node lies in it; no other process of the machine names it. */
  readonly directory: string;
  /** Below `directory`; default `data` in it. */
  readonly dataDir?: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** The agent's command line as the owner runs it. */
  readonly command: readonly string[];
  /**
   * Put before the command, run as ourselves; it must end in an exec. E.g. `ip netns exec NAME`.
   */
  readonly launcher: readonly string[];
}

export interface RestAnswer {
  readonly status: number;
  /** Parsed JSON; null when the body is none. */
  readonly body: Record<string, unknown> | null;
}

const GONE_MS = 15_000;
/** A look is repeated; what changes something is asked for once. */
const REST_LOOK_MS = 1000;
const ORDER_MS = 15_000;
const ANSWER_MS = 20_000;

function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

const commandLine = (pid: number) => attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '').split('\0');
const cwdOf = (pid: number) => attempt(() => readlinkSync(`/proc/${pid}/cwd`), '');
const isAlive = (pid: number) => identify(pid) !== null;

export class ClusterNode {
  readonly name: string;
  readonly place: NodePlace;
  readonly dataDir: string;
  /** As the node's YAML file has it. */
  superuserPassword = 'postgres';
  #agent: ChildProcess | null = null;
  #exited: Promise<number | null> = Promise.resolve(null);

  constructor(place: NodePlace) {
    this.place = place;
    this.name = place.name;
    this.dataDir = place.dataDir ?? join(place.directory, 'data');
  }

  /** How the guard shows itself in the process table. */
  get #guardTitle(): string {
    return `regent-guard ${this.dataDir}`;
  }

  /** Without the brackets of an IPv6 address. */
  get #address(): string {
    return this.place.host.replace(/^\[|\]$/g, '');
  }

  get logFile(): string {
    return join(this.place.directory, 'agent.log');
  }

  get agentPid(): number | null {
    return this.#agent?.pid ?? null;
  }

  /** The live server of this data directory. */
  get postmasterPid(): number | null {
    const pid = attempt(() => readPidFile(this.dataDir), null)?.pid ?? null;
    return pid !== null && isAlive(pid) && cwdOf(pid) === this.dataDir ? pid : null;
  }

  get guardPid(): number | null {
    return this.processes().find(({ pid }) => commandLine(pid)[0] === this.#guardTitle)?.pid ?? null;
  }

  /**
   * A process of the server, by what it calls itself ("walreceiver"). Throws when there is none.
   */
  childOfPostmaster(title: string): number {
    const parent = this.postmasterPid;
    const found = procTable.rows().find((row) => row.parent === parent && commandLine(row.pid).some((word) => word.includes(title)));
    if (parent === null || found === undefined) throw new Error(`${this.name} has no ${title}`);
    return found.pid;
  }

  /**
   * Every living process of the node: agent, guard, server and its children, programs at work in
   * its directory. The agent first.
   */
  processes(): ProcessIdentity[] {
    const inside = (path: string) => path === this.place.directory || path.startsWith(`${this.place.directory}/`);
    const named = (pid: number) => commandLine(pid).some((word) => inside(word) || word === this.#guardTitle);
    const belongs = (pid: number) => pid === this.agentPid || inside(cwdOf(pid)) || named(pid);
    return procTable
      .rows()
      .filter((row) => row.state !== 'Z' && row.pid !== process.pid && belongs(row.pid))
      .sort((a, b) => Number(b.pid === this.agentPid) - Number(a.pid === this.agentPid) || a.pid - b.pid)
      .map((row) => ({ pid: row.pid, startTicks: row.startTicks, bootId: procTable.bootId() }));
  }

  start(): void {
    if (this.#agent !== null) throw new Error(`the agent of ${this.name} runs already`);
    const { owner, launcher, command, directory } = this.place;
    const asOwner =
      launcher.length === 0 ? [] : [...launcher, 'setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', '--'];
    const argv = [...asOwner, ...command];
    const log = openSync(this.logFile, 'a');
    const child = spawn(argv[0]!, argv.slice(1), {
      cwd: directory,
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', HOME: directory },
      ...(launcher.length === 0 ? owner : {}),
    });
    closeSync(log);
    this.#agent = child;
    this.#exited = new Promise((resolve) => {
      const gone = (code: number | null) => {
        if (this.#agent === child) this.#agent = null;
        resolve(code);
      };
      child.once('exit', gone);
      child.once('error', () => gone(null));
    });
  }

  /** kill -9 of the agent alone; PostgreSQL and the guard are left to themselves. */
  async killAgent(): Promise<void> {
    this.#agent?.kill('SIGKILL');
    await this.#exited;
  }

  /** kill -9 of the guard alone; resolves to its pid. */
  async killGuard(): Promise<number> {
    const pid = this.guardPid;
    if (pid === null) throw new Error(`no guard runs on ${this.name}`);
    await this.#signalAndWait([pid], 'SIGKILL');
    return pid;
  }

  /** kill -9 of guard and agent at once: all that looks after PostgreSQL. */
  async killGuardAndAgent(): Promise<void> {
    const { guardPid } = this;
    if (guardPid === null) throw new Error(`no guard runs on ${this.name}`);
    this.#agent?.kill('SIGKILL');
    await this.#signalAndWait([guardPid], 'SIGKILL');
    await this.#exited;
  }

  /** kill -9 of the postmaster; its children notice by themselves. */
  async killPostmaster(): Promise<void> {
    const pid = this.postmasterPid;
    if (pid === null) throw new Error(`no PostgreSQL runs on ${this.name}`);
    await this.#signalAndWait([pid], 'SIGKILL');
  }

  /** kill -9 of everything the node runs, as if the machine had lost power. */
  async killAll(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      const victims = this.processes();
      if (victims.length === 0) break;
      await this.#signalAndWait(
        victims.map((victim) => victim.pid),
        'SIGKILL',
      );
    }
    await this.#exited;
  }

  /** What a guard that was killed, or has fired, leaves outside the node's directory. */
  removeTraces(): void {
    for (const { directory, key } of guardPlaces(this.dataDir, this.place.owner.uid, undefined))
      for (const suffix of ['sock', 'lock', 'log', 'log.1']) rmSync(join(directory, `${key}.${suffix}`), { force: true });
  }

  freezeAgent(): Promise<void> {
    return this.#freeze(this.agentPid, 'agent');
  }

  freezeGuard(): Promise<void> {
    return this.#freeze(this.guardPid, 'guard');
  }

  /** SIGSTOP to one process of the server, which goes on otherwise. */
  freezePart(pid: number): Promise<void> {
    return freezeAlone(pid, () => this.sql(LOOK_AT_PARTS, LOOK_MS));
  }

  /** SIGSTOP to everything the node runs, as if the machine stood still; returns what ends it. */
  freezeAll(): () => void {
    const victims = this.processes();
    const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
      for (const { pid } of victims) attempt(() => process.kill(pid, name), false);
    };
    signal('SIGSTOP');
    return () => signal('SIGCONT');
  }

  thawAgent(): void {
    this.#agent?.kill('SIGCONT');
  }

  thawGuard(): void {
    const pid = this.guardPid;
    if (pid !== null) process.kill(pid, 'SIGCONT');
  }

  /** SIGTERM; resolves to the agent's exit code once nothing of the node is left. */
  async terminate(timeoutMs = 30_000): Promise<number | null> {
    this.#agent?.kill('SIGTERM');
    const code = await Promise.race([this.#exited, delay(timeoutMs, 'late' as const, { ref: false })]);
    if (code === 'late') throw new Error(`the agent of ${this.name} did not end within ${timeoutMs} ms of SIGTERM:\n${this.tail()}`);
    const deadline = performance.now() + GONE_MS;
    while (this.processes().length > 0) {
      if (performance.now() > deadline) throw new Error(`${this.name} ended in good order and left ${this.#describe()}`);
      await delay(10);
    }
    return code;
  }

  log(): string {
    return attempt(() => readFileSync(this.logFile, 'utf8'), '');
  }

  /** By the agent's clock: when it logged these words first, after so many characters of log(). */
  loggedAtMs(words: string, from: number): number {
    const line = this.log()
      .slice(from)
      .split('\n')
      .find((one) => one.includes(words));
    return Date.parse(`${line?.slice(0, 23).replace(' ', 'T').replace(',', '.')}Z`);
  }

  tail(lines = 25): string {
    return this.log().trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** null: no answer within the time. */
  async rest(
    path: string,
    {
      method = 'GET',
      body,
      timeoutMs = method === 'GET' ? REST_LOOK_MS : ORDER_MS,
    }: { readonly method?: string; readonly body?: unknown; readonly timeoutMs?: number } = {},
  ): Promise<RestAnswer | null> {
    const request = { method, body: body === undefined ? null : JSON.stringify(body) };
    const answer = await exchange(`http://${this.place.host}:${this.place.restPort}${path}`, request, { timeoutMs }).catch(() => null);
    return answer && { status: answer.status, body: attempt(() => JSON.parse(answer.text) as Record<string, unknown>, null) };
  }

  /** What GET is answered with by an agent that runs, however busy the machine is. */
  async answer(path: string): Promise<RestAnswer> {
    for (const end = performance.now() + ANSWER_MS; ; await delay(30)) {
      const answer = await this.rest(path);
      if (answer !== null) return answer;
      if (performance.now() > end) throw new Error(`${this.name} did not answer ${path} within ${ANSWER_MS} ms:\n${this.tail()}`);
    }
  }

  /** SIGCONT to everything that the node runs: whatever a test has stopped goes on. */
  thawAll(): void {
    for (const { pid } of this.processes()) attempt(() => process.kill(pid, 'SIGCONT'), false);
  }

  /**
   * A connection straight to this node's server, as the superuser; `beside` over its Unix socket,
   * past every network. The caller ends it.
   */
  async connect(timeoutMs = 2000, beside = false): Promise<pg.Client> {
    const { directory, postgresPort } = this.place;
    const host = this.#address;
    const client = new pg.Client({
      host: beside ? directory : host,
      port: postgresPort,
      user: 'postgres',
      password: this.superuserPassword,
      database: 'postgres',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** One statement on a connection of its own. */
  async sql<Row extends pg.QueryResultRow = pg.QueryResultRow>(text: string, timeoutMs = 10_000): Promise<Row[]> {
    const client = await this.connect(timeoutMs);
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  #describe(): string {
    return this.processes()
      .map(({ pid }) => `${pid} ${commandLine(pid).join(' ').slice(0, 100)}`)
      .join('; ');
  }

  async #freeze(pid: number | null, what: string): Promise<void> {
    if (pid === null) throw new Error(`no ${what} runs on ${this.name}`);
    process.kill(pid, 'SIGSTOP');
    const deadline = performance.now() + GONE_MS;
    while (procTable.row(pid)?.state.toUpperCase() !== 'T') {
      if (performance.now() > deadline) throw new Error(`the ${what} of ${this.name} did not stop within ${GONE_MS} ms`);
      await delay(2);
    }
  }

  async #signalAndWait(pids: readonly number[], signal: NodeJS.Signals): Promise<void> {
    const victims = pids.map((pid) => identify(pid)).filter((identity) => identity !== null);
    for (const { pid } of victims) attempt(() => process.kill(pid, signal), false);
    const deadline = performance.now() + GONE_MS;
    while (victims.some((victim) => identify(victim.pid)?.startTicks === victim.startTicks)) {
      if (performance.now() > deadline) throw new Error(`${this.name}: ${signal} did not end ${this.#describe()} within ${GONE_MS} ms`);
      await delay(2);
    }
  }
}
