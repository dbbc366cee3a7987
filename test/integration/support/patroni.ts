/**
 * Patroni, as the distribution packages it, beside Regent: one cluster whose nodes run either
 * program, on the same files and ports. A node may be given to the other program while it is down,
 * or while PostgreSQL runs on.
 */
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '../../../src/support/json.ts';
import { INSTALLED, type PatroniPrograms } from '../../../tools/suite/releases/find.ts';
import { type Cluster, GivenUp, startCluster } from './cluster.ts';
import type { ClusterNode } from './cluster-node.ts';
import { startEtcd } from './etcd.ts';

export type Program = 'patroni' | 'regent';
export type Tool = 'patronictl' | 'regentctl';

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Built by the time a cluster runs. */
const REGENTCTL = fileURLToPath(new URL('../../../dist/regentctl.js', import.meta.url));
const TOOL_MS = 90_000;

/** E.g. `3.0.2`; null where it is not installed. */
export function patroniVersion(): string | null {
  try {
    return /\d[\d.]*/.exec(execFileSync(INSTALLED.patroni[0]!, ['--version'], { encoding: 'utf8', timeout: 20_000 }))?.[0] ?? null;
  } catch {
    return null;
  }
}

interface ServerRow extends Record<string, unknown> {
  readonly standby: boolean;
  readonly receiver: string | null;
  readonly timeline: number | null;
}

const SERVER_QUERY = `select pg_is_in_recovery() as standby, (select status from pg_stat_wal_receiver) as receiver,
  (select received_tli from pg_stat_wal_receiver) as timeline`;

export interface MixedOptions {
  /** Default: the one that is installed on this machine. */
  readonly release?: PatroniPrograms;
  /** Who runs on node1, node2 and so on. */
  readonly programs: readonly Program[];
  /** How many of them are started at once; default all. */
  readonly started?: number;
  /** Cluster-wide settings that differ from those of all these tests. */
  readonly dynamic?: JsonObject;
}

/** Seconds. Patroni of this age takes less than the 20 that later ones insist on. */
export const TTL = 5;

/**
 * Patroni of this age knows no quorum mode. A standby that lost its leader looks for WAL again
 * after 5 s by default.
 */
const DYNAMIC: JsonObject = {
  ttl: TTL,
  loop_wait: 1,
  retry_timeout: 2,
  synchronous_mode: false,
  postgresql: { parameters: { wal_retrieve_retry_interval: '100ms' } },
};

export async function startMixed(options: MixedOptions): Promise<MixedCluster> {
  const { release = INSTALLED } = options;
  const programs = new Map(options.programs.map((program, i) => [`node${i + 1}`, program]));
  const etcd = await startEtcd({ members: 1 });
  try {
    const cluster = await startCluster({
      nodes: programs.size,
      etcd,
      start: false,
      dynamic: { ...DYNAMIC, ...options.dynamic },
      command: (name, regent, file) => (programs.get(name) === 'patroni' ? [...release.patroni, file] : regent),
    });
    const mixed = new MixedCluster(cluster, programs, release);
    await mixed.begin(options.started ?? programs.size);
    return mixed;
  } catch (error) {
    await etcd.close();
    throw error;
  }
}

export class MixedCluster {
  readonly cluster: Cluster;
  readonly #programs: Map<string, Program>;
  readonly #release: PatroniPrograms;
  #up: ClusterNode[] = [];

  constructor(cluster: Cluster, programs: Map<string, Program>, release: PatroniPrograms) {
    this.#release = release;
    this.cluster = cluster;
    this.#programs = programs;
  }

  node(name: string): ClusterNode {
    return this.cluster.node(name);
  }

  programOf(name: string): Program {
    return this.#programs.get(name)!;
  }

  /** The first `count` nodes, the first of them alone until it leads. */
  async begin(count: number): Promise<void> {
    try {
      const [first, ...rest] = this.cluster.nodes.slice(0, count);
      this.start(first!.name);
      await this.waitHealthy(first!.name);
      await first!.sql('create table if not exists writes (id bigint primary key)');
      for (const node of rest) this.start(node.name);
      await this.waitHealthy(first!.name);
    } catch (error) {
      await this.cluster.close().catch(() => undefined);
      throw error;
    }
  }

  /** Starts the node's agent, of the other program if one is given. */
  start(name: string, program: Program = this.programOf(name)): void {
    this.#programs.set(name, program);
    this.node(name).start();
    if (!this.#up.includes(this.node(name))) this.#up.push(this.node(name));
  }

  /** The node counts as gone until it is started again. */
  async killAll(name: string): Promise<void> {
    await this.node(name).killAll();
    this.#up = this.#up.filter((node) => node.name !== name);
  }

  async terminate(name: string): Promise<void> {
    await this.node(name).terminate();
    this.#up = this.#up.filter((node) => node.name !== name);
  }

  /** SIGTERM to the agent of a paused cluster: it ends and leaves PostgreSQL running. */
  async leave(name: string): Promise<void> {
    const node = this.node(name);
    const pid = node.agentPid;
    if (pid !== null) process.kill(pid, 'SIGTERM');
    await this.cluster.until(`the agent of ${name} has ended`, 40_000, () => node.agentPid === null);
    if (node.postmasterPid === null) throw new Error(`PostgreSQL of ${name} was stopped with its agent:\n${node.tail()}`);
  }

  /**
   * The documented way to give nodes to the other program: pause, and for each node end the agent,
   * start the other on the same file. PostgreSQL is not restarted, and the leader stays.
   */
  async handOver(names: readonly string[], to: Program, tool: Tool): Promise<void> {
    const { scope } = this.cluster;
    const leader = await this.waitHealthy();
    await this.mustRun(tool, ['pause', '--wait', scope]);
    for (const name of names) {
      await this.leave(name);
      const { guardPid } = this.node(name);
      if (guardPid !== null) throw new Error(`the guard of ${name} is still there: ${guardPid}`);
      this.start(name, to);
      await this.isTakenOver(name, leader);
    }
    await this.mustRun(tool, ['resume', '--wait', scope]);
    await this.waitHealthy(leader);
  }

  /** The agent of the node answers, and for its PostgreSQL. */
  isTakenOver(name: string, leader: string): Promise<boolean> {
    return this.cluster.eventually(`${name} is taken over`, 40_000, async () => {
      const [status, primary] = await Promise.all([this.node(name).rest('/patroni'), this.node(name).rest('/primary')]);
      const fits = status?.body?.['state'] === 'running' && primary?.status === (name === leader ? 200 : 503);
      return fits ? { value: true } : { missing: `${primary?.status} ${JSON.stringify(status?.body)}` };
    });
  }

  /** Output of a command that has to succeed. */
  async mustRun(tool: Tool, args: readonly string[], answers = ''): Promise<string> {
    const { code, stdout, stderr } = await this[tool](args, answers);
    if (code !== 0) throw new Error(`${tool} ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`);
    return stdout;
  }

  /**
   * All nodes that are up: one of them leads in everybody's opinion, the others stream from it on
   * its timeline. Resolves to the leader's name.
   */
  waitHealthy(leader?: string, timeoutMs = 90_000): Promise<string> {
    return this.cluster.eventually('a healthy mixed cluster', timeoutMs, async () => {
      const dead = this.#up.find((node) => node.agentPid === null);
      if (dead !== undefined) throw new GivenUp(`the agent of ${dead.name} has ended:\n${dead.tail()}`);
      const missing = await this.#judge(leader);
      return 'value' in missing ? missing : { missing: missing.missing };
    });
  }

  async #judge(wanted: string | undefined): Promise<{ readonly value: string } | { readonly missing: string }> {
    const nodes = this.#up;
    const answers = await Promise.all(nodes.map((node) => node.rest('/primary')));
    const leaders = nodes.filter((_, i) => answers[i]?.status === 200).map((node) => node.name);
    if (leaders.length !== 1) return { missing: `/primary is answered with 200 by ${leaders.join(' and ') || 'nobody'}` };
    const leader = leaders[0]!;
    if (wanted !== undefined && leader !== wanted) return { missing: `${leader} leads` };
    const views = await Promise.all(nodes.map((node) => node.rest('/cluster')));
    for (const [i, node] of nodes.entries()) {
      const members = (views[i]?.body?.['members'] ?? []) as ReadonlyArray<{ name: string; role: string; state: string }>;
      const wrong = members.find((member) => nodes.some((one) => one.name === member.name) && !isFine(member, leader));
      if (wrong) return { missing: `${node.name} shows ${wrong.name} as ${wrong.role}, ${wrong.state}` };
      if (nodes.some((one) => !members.some((member) => member.name === one.name)))
        return { missing: `${node.name} does not see everybody` };
    }
    const rows = await Promise.all(nodes.map((node) => node.sql<ServerRow>(SERVER_QUERY).catch(() => null)));
    const timeline = Number((await this.node(leader).rest('/patroni'))?.body?.['timeline']);
    for (const [i, node] of nodes.entries()) {
      const row = rows[i]?.[0];
      if (row === undefined) return { missing: `PostgreSQL of ${node.name} does not answer` };
      if (row.standby !== (node.name !== leader)) return { missing: `${node.name} is ${row.standby ? 'in recovery' : 'writable'}` };
      if (row.standby && (row.receiver !== 'streaming' || row.timeline !== timeline))
        return { missing: `${node.name} receives ${row.receiver} on timeline ${row.timeline}, the leader is on ${timeline}` };
    }
    return { value: leader };
  }

  /** `/sync` as it is now. */
  async sync(): Promise<{ readonly leader: string | null; readonly sync_standby: string | null; readonly quorum?: number } | null> {
    const text = await this.cluster.key('sync');
    return text === null ? null : JSON.parse(text);
  }

  async member(name: string): Promise<JsonObject | null> {
    const text = await this.cluster.key(`members/${name}`);
    return text === null ? null : JSON.parse(text);
  }

  /** Never rejects for an exit code. `answers` is what it reads at its prompts. */
  patronictl(args: readonly string[], answers = ''): Promise<Output> {
    return this.#run(this.#release.patronictl, args, answers);
  }

  regentctl(args: readonly string[], answers = ''): Promise<Output> {
    return this.#run([process.execPath, REGENTCTL], args, answers);
  }

  #run(program: readonly string[], args: readonly string[], answers: string): Promise<Output> {
    const { root } = this.cluster;
    const [file, ...argv] = [...program, '-c', join(root, 'ctl.yml'), ...args];
    const env = { PATH: process.env['PATH'], LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', HOME: root, TZ: 'UTC' };
    return new Promise((resolve) => {
      const child = execFile(file!, argv, { timeout: TOOL_MS, env }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
      });
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(answers);
    });
  }

  /** Every row of the table as cells, without header and rules. */
  async rows(tool: Tool): Promise<string[][]> {
    const { stdout } = await this[tool](['list', '--format', 'tsv']);
    return stdout
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split('\t'));
  }

  async close(): Promise<void> {
    await this.cluster.close();
    await this.cluster.etcd.close();
  }
}

/** A replica that streams is called `running` by older versions and `streaming` by newer ones. */
function isFine(member: { readonly name: string; readonly role: string; readonly state: string }, leader: string): boolean {
  if (member.name === leader) return member.role === 'leader' && member.state === 'running';
  return ['replica', 'sync_standby', 'quorum_standby'].includes(member.role) && ['running', 'streaming'].includes(member.state);
}
