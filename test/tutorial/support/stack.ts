/**
 * The Compose stack of the tutorial, in a copy of this checkout: what its reader types, and what
 * can be seen of it besides.
 */
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { patchMerge } from '../../../src/config/merge.ts';
import { takenPorts } from '../../../src/demo/ports.ts';
import { lastLines, runCommand } from '../../../src/support/exec.ts';
import type { JsonObject } from '../../../src/support/json.ts';
import { type Outcome, type RunOptions, runInTerminal } from './terminal.ts';

export const NODES = ['patroni1', 'patroni2', 'patroni3'] as const;
export const SERVICES = ['etcd1', 'etcd2', 'etcd3', ...NODES, 'haproxy'] as const;
export const PROJECT = '09_clustering';
const PORTS = [
  { port: 5000, use: 'writes' },
  { port: 5001, use: 'reads' },
  { port: 7000, use: 'statistics' },
];
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Of the checkout; the images are built from the rest. */
const NOT_COPIED = new Set(['node_modules', 'dist', '.git', '.regent', 'bench', 'docs']);
const FOLDER = /\/regent-tutorial-(\d+)-/;
const LOOK_MS = 10_000;

export interface Member {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly timeline?: number;
}

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export class Stack {
  /** deploy/compose of the copy. */
  readonly directory: string;
  readonly #copy: string;
  readonly #typed: Outcome[] = [];

  private constructor(copy: string) {
    this.#copy = copy;
    this.directory = join(copy, 'deploy', 'compose');
  }

  /**
   * Refuses where something is in the way that these tests have not made; what a test that was
   * killed has left is removed.
   */
  static async prepare(): Promise<Stack> {
    await removeLeftovers();
    const there = await inventory();
    if (there.length > 0) {
      throw new Error(`Docker has already: ${there.join(', ')}. If you need them no longer: docker-compose -p ${PROJECT} down -v`);
    }
    const taken = await takenPorts(PORTS);
    if (taken.length > 0) {
      const words = taken.map(({ port, use, holder }) => `port ${port} (${use}) is taken by ${holder ?? 'a process of somebody else'}`);
      throw new Error(`the tutorial's ports must be free, but ${words.join(', ')}`);
    }
    const copy = realpathSync(mkdtempSync(join(tmpdir(), `regent-tutorial-${process.pid}-`)));
    cpSync(ROOT, copy, { recursive: true, filter: (source) => !NOT_COPIED.has(source.slice(ROOT.length)) });
    const stack = new Stack(copy);
    // Images of the name that a user's own stack has stay what they are. Those of the test are kept
    // for the next one.
    stack.write('.env', stack.file('.env').replace(/^REGENT_TAG=.*/m, 'REGENT_TAG=test'));
    return stack;
  }

  /** What a person types, on a terminal in deploy/compose. */
  async type(command: string, options: RunOptions = {}): Promise<Outcome> {
    const outcome = await runInTerminal({ directory: this.directory }, command, options);
    this.#typed.push(outcome);
    return outcome;
  }

  say(text: string): void {
    process.stdout.write(`  ${text}\n`);
  }

  file(...parts: readonly string[]): string {
    return readFileSync(join(this.directory, ...parts), 'utf8');
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.directory, path), text);
  }

  /** Settings laid over those of a file, as a reader would write them into it. */
  mergeInto(path: string, settings: JsonObject): void {
    this.write(path, stringify(patchMerge(parse(this.file(path)) as JsonObject, settings)));
  }

  /** In a container, without a terminal. Never throws for an exit code. */
  async exec(container: string, ...command: readonly string[]): Promise<Run> {
    return docker(['exec', container, ...command]);
  }

  /** Rows as psql prints them with -At, by the server in this container; throws what psql says. */
  async sql(node: string, text: string, database = 'postgres'): Promise<readonly string[]> {
    const { code, out, err } = await this.exec(node, 'psql', '-U', 'postgres', '-XAt', '-d', database, '-c', text);
    if (code !== 0) throw new Error(`${node}: ${text}: ${err.trim()}`);
    return out.split('\n').filter((line) => line !== '');
  }

  /** What a member's own REST API says under this path; null when it says nothing. */
  async rest(node: string, path: string): Promise<{ readonly status: number; readonly body: Record<string, unknown> } | null> {
    const { out } = await this.exec(node, 'curl', '-s', '--max-time', '3', '-w', '\n%{http_code}', `http://localhost:8008${path}`);
    const [body, status] = [out.slice(0, out.lastIndexOf('\n')), Number(out.slice(out.lastIndexOf('\n') + 1))];
    if (status === 0 || !body.startsWith('{')) return null;
    return { status, body: JSON.parse(body) as Record<string, unknown> };
  }

  async members(): Promise<readonly Member[]> {
    for (const node of NODES) {
      const members = (await this.rest(node, '/cluster'))?.body['members'];
      if (Array.isArray(members)) return members as Member[];
    }
    return [];
  }

  /** The one node whose PostgreSQL takes writes by right; null: none, or more than one. */
  async leader(): Promise<string | null> {
    const answers = await Promise.all(NODES.map((node) => this.rest(node, '/primary')));
    const leaders = NODES.filter((_, index) => answers[index]?.status === 200);
    return leaders.length === 1 ? leaders[0]! : null;
  }

  /**
   * null: one leader and everybody else streams from it, in the members' words and in PostgreSQL's;
   * otherwise what is amiss.
   */
  async illness(): Promise<string | null> {
    const leader = await this.leader();
    if (leader === null) return 'nobody leads';
    const members = await this.members();
    const words = members.map(({ name, role, state }) => `${name}: ${role} ${state}`).join(', ');
    if (members.length !== NODES.length || members.filter((member) => member.state === 'streaming').length !== NODES.length - 1)
      return words;
    const lost = (await Promise.all(NODES.filter((node) => node !== leader).map((node) => this.#receives(node)))).filter(
      (one) => one !== null,
    );
    return lost.length === 0 ? null : `${words}; but ${lost.join(', ')}`;
  }

  async #receives(node: string): Promise<string | null> {
    const [status] = await this.sql(node, 'select status from pg_stat_wal_receiver');
    return status === 'streaming' ? null : `${node}'s receiver is ${status ?? 'not there'}`;
  }

  /**
   * Where HAProxy leads a new writer to; null when it leads nowhere, or to a server that takes no
   * writes.
   */
  async writable(): Promise<string | null> {
    const { out } = await run('psql', [
      '-h',
      'localhost',
      '-p',
      '5000',
      '-U',
      'postgres',
      '-XAtc',
      'select pg_is_in_recovery(), inet_server_addr()',
    ]);
    const [inRecovery, address] = out.trim().split('|');
    return inRecovery === 'f' ? (address ?? null) : null;
  }

  async address(node: string): Promise<string> {
    const { out } = await docker(['inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}', node]);
    return out.trim();
  }

  /** Looks until nothing is missing; throws with what still was. */
  async until(what: string, timeoutMs: number, look: () => Promise<string | null>): Promise<void> {
    for (const end = performance.now() + timeoutMs; ; await delay(100)) {
      const missing = await look().catch((error: Error) => error.message);
      if (missing === null) return;
      if (performance.now() > end) throw new Error(`not within ${timeoutMs / 1000} s: ${what} (${missing})`);
    }
  }

  untilWell(timeoutMs = 60_000): Promise<void> {
    return this.until('one leader, two streaming replicas', timeoutMs, () => this.illness());
  }

  /**
   * The tutorial's text takes a leader for granted here and there. Does nothing when it is that
   * node already.
   */
  async makeLeader(node: string): Promise<void> {
    await this.untilWell();
    const leader = await this.leader();
    if (leader === node) return;
    this.say(`the tutorial has ${node} as leader here, it is ${leader}: switching over first`);
    const { code, out, err } = await this.exec(leader!, 'patronictl', 'switchover', '--leader', leader!, '--candidate', node, '--force');
    if (code !== 0) throw new Error(`switchover to ${node}: ${out}${err}`);
    await this.untilWell();
  }

  /** The error with everything that a person would look at next. */
  async explain(error: unknown): Promise<Error> {
    const last = this.#typed.at(-1);
    const parts = [error instanceof Error ? error.message : String(error)];
    if (last !== undefined)
      parts.push(`--- last typed: ${last.command}\n    ended with ${last.code} after ${Math.round(last.ms)} ms:\n${last.output}`);
    for (const node of NODES) {
      const { code, out } = await this.exec(node, 'patronictl', 'list', '-e');
      if (code !== 0) continue;
      parts.push(`--- patronictl list, on ${node}:\n${out}`);
      break;
    }
    for (const container of SERVICES) {
      const { out, err } = await docker(['logs', '--tail', container.startsWith('patroni') ? '25' : '6', container]);
      parts.push(`--- ${container}:\n${lastLines(`${out}${err}`, 25)}`);
    }
    const explained = error instanceof Error ? error : new Error();
    explained.message = parts.join('\n');
    return explained;
  }

  /** Removes everything that Compose has made here, and the copy. */
  async close(): Promise<void> {
    await run('docker-compose', ['down', '-v', '--remove-orphans', '-t', '5'], { cwd: this.directory, timeoutMs: 90_000 });
    rmSync(this.#copy, { recursive: true, force: true });
  }
}

async function run(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<Run> {
  const { code, stdout, stderr } = await runCommand(file, args, { timeoutMs: LOOK_MS, ...options });
  return { code, out: stdout, err: stderr };
}

function docker(args: readonly string[]): Promise<Run> {
  return run('docker', args);
}

/** Containers, volumes and networks that the tutorial's stack would use as its own. */
export async function inventory(): Promise<readonly string[]> {
  const label = `label=com.docker.compose.project=${PROJECT}`;
  const named = SERVICES.flatMap((name) => ['--filter', `name=^/?${name}$`]);
  const lists = await Promise.all([
    docker(['ps', '-a', '--filter', label, '--format', 'container {{.Names}}']),
    docker(['ps', '-a', ...named, '--format', 'container {{.Names}}']),
    docker(['volume', 'ls', '--filter', `name=^${PROJECT}_`, '--format', 'volume {{.Name}}']),
    docker(['network', 'ls', '--filter', `name=^${PROJECT}_default$`, '--format', 'network {{.Name}}']),
  ]);
  const failed = lists.find((list) => list.code !== 0);
  if (failed !== undefined) throw new Error(`docker: ${failed.err.trim()}`);
  return [...new Set(lists.flatMap((list) => list.out.split('\n').filter((line) => line !== '')))].sort();
}

/**
 * Containers whose stack lies in the folder of a test that lives no more: they, their volumes and
 * their network are that test's.
 */
async function removeLeftovers(): Promise<void> {
  const label = 'com.docker.compose.project.working_dir';
  const { out } = await docker([
    'ps',
    '-a',
    '--filter',
    `label=com.docker.compose.project=${PROJECT}`,
    '--format',
    `{{.Label "${label}"}}`,
  ]);
  for (const folder of new Set(out.split('\n').filter((line) => line !== ''))) {
    const pid = Number(FOLDER.exec(folder)?.[1] ?? process.pid);
    if (pid === process.pid || isAlive(pid)) continue;
    await run('docker-compose', ['down', '-v', '--remove-orphans', '-t', '2'], { cwd: folder, timeoutMs: 90_000 });
    rmSync(join(folder, '..', '..'), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
