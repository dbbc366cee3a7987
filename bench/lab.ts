/**
 * One cluster under test: three etcd, three agents, HAProxy, and the router where it is wanted,
 * each started when asked for, on loopback.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { makePrivateDirectory, readIfThere, writePrivately } from '../src/demo/files.ts';
import { haproxyConfig, LOG_TO_STDOUT } from '../src/demo/haproxy-config.ts';
import { killNode, signal } from '../src/demo/kill.ts';
import { nodeConfig, routerFile } from '../src/demo/node-config.ts';
import { haproxyPools, healthyEtcd, httpGet } from '../src/demo/observe.ts';
import { checkSettings, type DemoPlan, type DemoSettings, type NodePlan, planDemo, portsOf } from '../src/demo/plan.ts';
import { takenPorts } from '../src/demo/ports.ts';
import { identify, isAlive, nodeProcesses, type ProcessIdentity } from '../src/demo/process-table.ts';
import type { Programs } from '../src/demo/programs.ts';
import { removeFiles } from '../src/demo/remove.ts';
import { marksOf, type ProcessSpec, processSpecs } from '../src/demo/specs.ts';
import type { Marker } from '../src/demo/state.ts';
import { codeOf, RegentError } from '../src/support/errors.ts';
import { lastLines } from '../src/support/exec.ts';
import { LabProcess } from './process.ts';
import { postmasterPid, query } from './server.ts';
import { overridesOf, type System, type Timing } from './systems.ts';

const NODES = 3;
const STATS = { username: 'admin', password: 'admin' };
/**
 * Below the range from which the kernel takes ports for outgoing connections. So no client gets the
 * port of a node that is down.
 */
const BASE_PORT_MIN = 10_000;
const BASE_PORT_MAX = 24_000;
const PORT_TRIES = 50;
const POLL_MS = 50;
const GONE_MS = 5000;
const LAST_LINES = 4;

export interface LabTerms {
  readonly directory: string;
  readonly system: System;
  readonly timing: Timing;
  readonly programs: Programs;
  /** The bundle's entry, as this user can run it. */
  readonly entry: string;
  readonly signal: AbortSignal;
}

async function choosePlan(directory: string, overrides: DemoSettings['overrides']): Promise<{ plan: DemoPlan; settings: DemoSettings }> {
  for (let attempt = 0; attempt < PORT_TRIES; attempt += 1) {
    const basePort = BASE_PORT_MIN + Math.floor(Math.random() * (BASE_PORT_MAX - BASE_PORT_MIN));
    const settings: DemoSettings = { directory, nodes: NODES, basePort, overrides, stats: STATS };
    checkSettings(settings);
    const plan = planDemo(settings);
    if ((await takenPorts(portsOf(plan))).length === 0) return { plan, settings };
  }
  throw new RegentError(
    'PORT_TAKEN',
    `no ${portsOf(planDemo({ directory, nodes: NODES, basePort: 5000, overrides, stats: STATS })).length} free ports were found`,
    {
      mend: 'stop programs that listen on ports between 10000 and 32000',
    },
  );
}

export class Lab {
  readonly plan: DemoPlan;
  readonly #terms: LabTerms;
  readonly #specs: readonly ProcessSpec[];
  readonly #running = new Map<string, LabProcess>();

  private constructor(plan: DemoPlan, terms: LabTerms) {
    this.plan = plan;
    this.#terms = terms;
    const marker = { etcd: terms.programs.etcd.path, haproxy: terms.programs.haproxy.path } as Marker;
    this.#specs = processSpecs(plan, marker, terms.entry).map((spec) => {
      const node = plan.nodes.find((one) => one.name === spec.name);
      return node ? { ...spec, ...terms.system.agent(node.configFile) } : spec;
    });
  }

  /** Writes the files and starts etcd. */
  static async open(terms: LabTerms): Promise<Lab> {
    const { plan, settings } = await choosePlan(terms.directory, overridesOf(terms.timing, terms.system));
    await makePrivateDirectory(plan.directory);
    const lab = new Lab(plan, terms);
    try {
      for (const directory of [plan.runDir, plan.logDir, ...plan.etcd.map((one) => one.directory)]) await makePrivateDirectory(directory);
      for (const node of plan.nodes) {
        await mkdir(node.directory, { mode: 0o700 });
        await writePrivately(node.configFile, stringify(nodeConfig(plan, node, settings, terms.programs.postgresBin)));
      }
      await writePrivately(plan.haproxy.configFile, haproxyText(plan));
      await writePrivately(plan.router.configFile, routerFile(plan));
      for (const member of plan.etcd) lab.start(member.name);
      await lab.until('etcd', 30_000, async () => (await healthyEtcd(plan)).length === plan.etcd.length);
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  start(name: string): LabProcess {
    this.#terms.signal.throwIfAborted();
    const spec = this.#specs.find((one) => one.name === name);
    if (!spec) throw new RegentError('BENCH_PROCESS', `nothing is called ${name}`, { policy: 'bug' });
    const started = new LabProcess(spec);
    this.#running.set(name, started);
    return started;
  }

  async stop(name: string): Promise<void> {
    const process = this.#running.get(name);
    this.#running.delete(name);
    await process?.stop();
  }

  process(name: string): LabProcess | null {
    return this.#running.get(name) ?? null;
  }

  node(name: string): NodePlan {
    return this.plan.nodes.find((node) => node.name === name)!;
  }

  /** kill -9 of everything the node runs. */
  async killNode(name: string): Promise<void> {
    const identity = this.#running.get(name)?.identity ?? null;
    this.#running.delete(name);
    await killNode(marksOf(this.node(name), identity));
  }

  /** kill -9 of the node's agent alone. */
  killAgent(name: string): void {
    const identity = this.#running.get(name)?.identity ?? null;
    this.#running.delete(name);
    if (identity === null || !signal(identity, 'SIGKILL')) throw new RegentError('BENCH_EVENT', `no agent runs on ${name}`);
  }

  /** Everything the node runs stands still. Returns what ends it. */
  freezeNode(name: string): () => void {
    return freeze(nodeProcesses(marksOf(this.node(name), this.#running.get(name)?.identity ?? null)));
  }

  /** All of etcd stands still. Returns what ends it. */
  freezeEtcd(): () => void {
    return freeze(this.plan.etcd.flatMap(({ name }) => this.#running.get(name)?.identity ?? []));
  }

  /** kill -9 of the node's postmaster alone; resolves when it is gone. */
  async killPostmaster(name: string): Promise<void> {
    const pid = await postmasterPid(this.node(name).dataDir);
    const identity = pid === null ? null : identify(pid);
    if (identity === null || !signal(identity, 'SIGKILL')) {
      throw new RegentError('BENCH_EVENT', `no PostgreSQL runs on ${name}`, { policy: 'transient' });
    }
    await this.until(`the end of the postmaster of ${name}`, GONE_MS, async () => !isAlive(identity));
  }

  /** The one node that says it is primary; null: none, or several. */
  async leader(): Promise<string | null> {
    const answers = await Promise.all(this.plan.nodes.map((node) => httpGet(node.restPort, '/primary')));
    const leaders = this.plan.nodes.filter((_, index) => answers[index]?.status === 200);
    return leaders.length === 1 ? leaders[0]!.name : null;
  }

  /**
   * The leader's name when all nodes are healthy by their own word and the primary's PostgreSQL
   * streams to all others; else null.
   */
  async wholeUnder(): Promise<string | null> {
    const leader = await this.leader();
    if (leader === null) return null;
    const others = this.plan.nodes.filter((node) => node.name !== leader);
    const answers = await Promise.all(others.map((node) => httpGet(node.restPort, '/replica')));
    if (answers.some((answer) => answer?.status !== 200)) return null;
    const text = "select count(distinct application_name)::int as n from pg_stat_replication where state = 'streaming'";
    const rows = await query<{ n: number }>(this.node(leader).postgresPort, text).catch(() => []);
    return rows[0]?.n === others.length ? leader : null;
  }

  /** HAProxy sends writes to that node alone and reads to all. */
  async isRoutedTo(leader: string): Promise<boolean> {
    const { write, read } = await haproxyPools(this.plan);
    return write.length === 1 && write[0] === leader && read.length === this.plan.nodes.length;
  }

  /**
   * Looks until it holds. Throws BENCH_TIMEOUT after the time, BENCH_PROCESS when a process that
   * should run has ended, and when the benchmark is stopped.
   */
  async until(what: string, timeoutMs: number, holds: () => Promise<boolean>): Promise<void> {
    for (const end = performance.now() + timeoutMs; ; ) {
      if (await holds()) return;
      for (const process of this.#running.values()) process.check();
      if (performance.now() > end) {
        const message = `not within ${timeoutMs / 1000} s: ${what}`;
        throw new RegentError('BENCH_TIMEOUT', message, { policy: 'transient' });
      }
      await sleep(POLL_MS, undefined, { signal: this.#terms.signal });
    }
  }

  /** The last lines of what the agents said. */
  async lastWords(): Promise<string> {
    const logs = await Promise.all(this.plan.nodes.map((node) => readIfThere(node.logFile)));
    return this.plan.nodes.map((node, index) => `${node.name}:\n${lastLines(logs[index] ?? '', LAST_LINES)}`).join('\n');
  }

  /** Ends everything and removes the files; works also after the benchmark was stopped. */
  async close(): Promise<void> {
    for (const name of ['router', 'haproxy']) await this.stop(name);
    await Promise.all(this.plan.nodes.map((node) => this.killNode(node.name)));
    const left = [...this.#running.values()].flatMap((process) => process.identity ?? []);
    for (const identity of left) signal(identity, 'SIGKILL');
    this.#running.clear();
    await removeFiles(this.plan, true);
    await rm(this.plan.directory, { recursive: true, force: true }).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
  }
}

function freeze(identities: readonly ProcessIdentity[]): () => void {
  for (const identity of identities) signal(identity, 'SIGSTOP');
  return () => {
    for (const identity of identities) signal(identity, 'SIGCONT');
  };
}

function haproxyText(plan: DemoPlan): string {
  const { writePort, readPort, statsPort, runtimeSocket } = plan.haproxy;
  const members = plan.nodes.map(({ name, postgresPort, restPort }) => ({ name, host: '127.0.0.1', postgresPort, restPort }));
  return haproxyConfig({
    bindAddress: '127.0.0.1',
    writePort,
    readPort,
    statsPort,
    stats: { ...STATS, openToTools: true },
    log: LOG_TO_STDOUT,
    runtimeSocket,
    nameserver: null,
    members,
  });
}

/** Of one run; its name is short, for sockets lie below it. */
export function labDirectory(root: string, number: number): string {
  return join(root, String(number));
}
