/**
 * A real cluster for tests, in one temporary folder, on ephemeral ports of loopback. It has three
 * etcd, and an agent a node with its own PostgreSQL and guard. Everything is a process as in
 * production (the bundle, started as PostgreSQL's user); the tests look at it from outside only.
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { patchMerge } from '../../../src/config/merge.ts';
import type { JsonObject } from '../../../src/support/json.ts';
import { postgresOwner } from './bare-postgres.ts';
import { findBinDir } from './bin-dir.ts';
import { describeCluster, judgeHealth } from './cluster-health.ts';
import { ClusterNode } from './cluster-node.ts';
import { type EtcdCluster, startEtcd } from './etcd.ts';
import { freePorts } from './ports.ts';
import { Writer, type WriterOptions } from './writer.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const SCOPE = 'itest';

export interface ClusterOptions {
  /** Default 3; they are called node1, node2 and so on. */
  readonly nodes?: number;
  /** Merged over DYNAMIC below, as a PATCH of /config is: null removes a key. */
  readonly dynamic?: JsonObject;
  /** Merged over the node's YAML file in the same way. */
  readonly local?: (name: string) => JsonObject;
  /** Address a node listens on and is reached at; default 127.0.0.1. */
  readonly host?: (name: string) => string;
  /**
   * Put before the agent's command line and run as ourselves, e.g. `['ip', 'netns', 'exec', name]`.
   * It must end in an exec.
   */
  readonly launcher?: (name: string) => readonly string[];
  /**
   * The agent's command line for its configuration file; default `regent agent FILE`. Asked at
   * every start of the node.
   */
  readonly command?: (name: string, regent: readonly string[], file: string) => readonly string[];
  /** An etcd of the test's own; it is then not closed with the cluster. */
  readonly etcd?: EtcdCluster;
  /** false: the agents are not started; node.start() does. */
  readonly start?: boolean;
  /** An empty folder for all files, which is not removed at the end; default: a temporary one. */
  readonly directory?: string;
  /** Where a node has its data directory; default `data`. From the node's own folder. */
  readonly data?: string;
  /** The bundle that the agents run; default: that of this checkout, built when it is old. */
  readonly program?: string;
}

/**
 * Short enough for tests that wait for a lease to end, long enough for a machine with two busy
 * cores.
 */
const DYNAMIC: JsonObject = {
  ttl: 6,
  loop_wait: 1,
  retry_timeout: 2,
  maximum_lag_on_failover: 1_048_576,
  synchronous_mode: 'quorum',
  postgresql: { use_pg_rewind: true, use_slots: true, parameters: { max_connections: 50, wal_keep_size: '64MB' } },
};

let bundled: string | null = null;

/** Path of the program, built when the sources are newer: the launcher's own check. */
function bundle(): string {
  if (bundled === null) {
    execFileSync(join(ROOT, 'regent'), ['version'], { stdio: ['ignore', 'ignore', 'inherit'], timeout: 300_000 });
    bundled = join(ROOT, 'dist', 'regent.js');
  }
  return bundled;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const program = options.program ?? bundle();
  const etcd = options.etcd ?? (await startEtcd());
  const root = options.directory ?? realpathSync(mkdtempSync(join(tmpdir(), 'regent-cluster-')));
  const owner = postgresOwner();
  chownSync(root, owner.uid, owner.gid);
  const count = options.nodes ?? 3;
  const ports = await freePorts(count * 2);
  const nodes = Array.from({ length: count }, (_, i) => {
    const name = `node${i + 1}`;
    const directory = join(root, name);
    const file = join(directory, 'patroni.yml');
    const regent = [process.execPath, program, 'agent', file];
    const node = new ClusterNode({
      name,
      host: options.host?.(name) ?? '127.0.0.1',
      postgresPort: ports[2 * i]!,
      restPort: ports[2 * i + 1]!,
      directory,
      dataDir: join(directory, options.data ?? 'data'),
      owner,
      get command() {
        return options.command?.(name, regent, file) ?? regent;
      },
      launcher: options.launcher?.(name) ?? [],
    });
    layOut(node, etcd, options);
    return node;
  });
  const cluster = new Cluster(root, nodes, { etcd, ownsEtcd: options.etcd === undefined, keepsFiles: options.directory !== undefined });
  if (options.start === false) return cluster;
  try {
    for (const node of nodes) node.start();
    const leader = await cluster.waitHealthy(90_000, nodes);
    await cluster.node(leader).sql('create table if not exists writes (id bigint primary key)');
  } catch (error) {
    await cluster.close().catch(() => undefined);
    throw error;
  }
  return cluster;
}

function layOut(node: ClusterNode, etcd: EtcdCluster, options: ClusterOptions): void {
  const { directory, host, postgresPort, restPort, owner } = node.place;
  mkdirSync(directory, { mode: 0o700 });
  const base: JsonObject = {
    scope: SCOPE,
    name: node.name,
    etcd3: { hosts: etcd.endpoints.map((endpoint) => endpoint.replace(/^https?:\/\//, '')) },
    restapi: { listen: `${host}:${restPort}`, connect_address: `${host}:${restPort}` },
    bootstrap: {
      dcs: patchMerge(DYNAMIC, options.dynamic ?? {}),
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums'],
    },
    postgresql: {
      listen: `${host}:${postgresPort}`,
      connect_address: `${host}:${postgresPort}`,
      data_dir: node.dataDir,
      bin_dir: findBinDir(),
      pgpass: join(directory, 'pgpass'),
      authentication: {
        superuser: { username: 'postgres', password: 'postgres' },
        replication: { username: 'replicator', password: 'replicator' },
        rewind: { username: 'rewinder', password: 'rewinder' },
      },
      parameters: { unix_socket_directories: directory, shared_buffers: '16MB', dynamic_shared_memory_type: 'mmap' },
      basebackup: ['no-sync'],
      pg_hba: [
        'local all all scram-sha-256',
        `host all all ${host}/16 scram-sha-256`,
        `host replication replicator ${host}/16 scram-sha-256`,
      ],
    },
    watchdog: { mode: 'off' },
  };
  const file = join(directory, 'patroni.yml');
  writeFileSync(file, stringify(patchMerge(base, options.local?.(node.name) ?? {})), { mode: 0o600 });
  chmodSync(file, 0o600);
  chownSync(file, owner.uid, owner.gid);
  chownSync(directory, owner.uid, owner.gid);
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const keyOf = (name: string) => base64(`/service/${SCOPE}/${name}`);

/** Through the gateway of one member. */
function askEtcd(endpoint: string, path: string, body: object, timeoutMs: number): Promise<Response> {
  return fetch(`${endpoint}/v3/${path}`, { method: 'POST', body: JSON.stringify(body), signal: AbortSignal.timeout(timeoutMs) });
}

/** A wait that is over at once: what it waits for cannot come any more. */
export class GivenUp extends Error {}

export class Cluster {
  readonly scope = SCOPE;
  readonly root: string;
  readonly nodes: readonly ClusterNode[];
  readonly etcd: EtcdCluster;
  readonly #owns: { readonly ownsEtcd: boolean; readonly keepsFiles: boolean };
  readonly #writers: Writer[] = [];

  constructor(
    root: string,
    nodes: readonly ClusterNode[],
    { etcd, ...owns }: { readonly etcd: EtcdCluster; readonly ownsEtcd: boolean; readonly keepsFiles: boolean },
  ) {
    this.root = root;
    this.nodes = nodes;
    this.etcd = etcd;
    this.#owns = owns;
    writeFileSync(
      join(root, 'ctl.yml'),
      stringify({ scope: SCOPE, etcd3: { hosts: etcd.endpoints.map((one) => one.replace(/^https?:\/\//, '')) } }),
    );
  }

  node(name: string): ClusterNode {
    const node = this.nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`no node is called ${name}`);
    return node;
  }

  others(...names: readonly string[]): readonly ClusterNode[] {
    return this.nodes.filter((node) => !names.includes(node.name));
  }

  /** Name of the node that answers /primary with 200; null: none, or more than one. */
  async leader(): Promise<string | null> {
    const answers = await Promise.all(this.nodes.map((node) => node.rest('/primary')));
    const leaders = this.nodes.filter((_, i) => answers[i]?.status === 200);
    return leaders.length === 1 ? leaders[0]!.name : null;
  }

  waitForLeader(options: { readonly not?: string; readonly timeoutMs?: number } = {}): Promise<string> {
    const what = options.not === undefined ? 'a leader' : `a leader other than ${options.not}`;
    return this.eventually(what, options.timeoutMs ?? 60_000, async () => {
      const leader = await this.leader();
      return leader !== null && leader !== options.not ? { value: leader } : { missing: `the leader is ${leader ?? 'nobody'}` };
    });
  }

  /**
   * A key of the cluster as etcd has it (linearizable); null when it is absent or no member of etcd
   * answers.
   */
  async key(name: string): Promise<string | null> {
    for (const endpoint of this.etcd.endpoints) {
      const answer = await askEtcd(endpoint, 'kv/range', { key: keyOf(name) }, 3000).catch(() => null);
      if (answer?.ok !== true) continue;
      const { kvs } = (await answer.json()) as { kvs?: ReadonlyArray<{ value?: string }> };
      return kvs?.[0] === undefined ? null : Buffer.from(kvs[0].value ?? '', 'base64').toString();
    }
    return null;
  }

  /** Of the lease on which the leader key hangs; null: none. */
  async leaseSeconds(): Promise<number | null> {
    const ask = async (path: string, body: object) => (await askEtcd(this.etcd.endpoints[0]!, path, body, 2000)).json();
    const { kvs } = (await ask('kv/range', { key: keyOf('leader') })) as { kvs?: ReadonlyArray<{ lease?: string }> };
    const lease = kvs?.[0]?.lease;
    if (lease === undefined) return null;
    const { grantedTTL } = (await ask('lease/timetolive', { ID: lease })) as { grantedTTL?: string };
    return grantedTTL === undefined ? null : Number(grantedTTL);
  }

  /** Puts a key of the cluster into etcd, past the agents. */
  async putKey(name: string, value: string): Promise<void> {
    const answer = await askEtcd(this.etcd.endpoints[0]!, 'kv/put', { key: keyOf(name), value: base64(value) }, 10_000);
    if (!answer.ok) throw new Error(`etcd answers ${answer.status} to a write of ${name}`);
  }

  /** PATCH /config; resolves once every agent that runs has read it. null removes a key. */
  async configure(patch: JsonObject): Promise<void> {
    const leader = this.node(await this.waitForLeader());
    const answer = await leader.rest('/config', { method: 'PATCH', body: patch });
    if (answer?.status !== 200) throw new Error(`PATCH /config was answered with ${answer?.status}: ${JSON.stringify(answer?.body)}`);
    await this.eventually('every agent has read the configuration', 30_000, async () => {
      const running = this.nodes.filter((node) => node.agentPid !== null);
      const known = await Promise.all(running.map((node) => node.rest('/config')));
      const late = running.find((_, i) => {
        const body = known[i]?.body as JsonObject | null | undefined;
        return body == null || JSON.stringify(patchMerge(body, patch)) !== JSON.stringify(body);
      });
      return late === undefined ? { value: undefined } : { missing: `${late.name} has not` };
    });
  }

  /**
   * One leader, all running, streaming, on one timeline, the synchronous set as configured.
   * Resolves to the leader's name; gives up when an agent of `alive` ends.
   */
  waitHealthy(timeoutMs = 60_000, alive: readonly ClusterNode[] = []): Promise<string> {
    return this.eventually('a healthy cluster', timeoutMs, async () => {
      const dead = alive.find((node) => node.agentPid === null);
      if (dead !== undefined) throw new GivenUp(`the agent of ${dead.name} has ended:\n${dead.tail()}`);
      const health = await judgeHealth(this.nodes, (key) => this.key(key));
      return 'leader' in health ? { value: health.leader } : health;
    });
  }

  /**
   * Looks until there is a value; after the deadline throws with what was still missing, the
   * members and the logs. A look that fails, as for a server that does not answer in time, is
   * repeated.
   */
  async eventually<T>(
    what: string,
    timeoutMs: number,
    look: () => Promise<{ readonly value: T } | { readonly missing: string }>,
    everyMs = 30,
  ): Promise<T> {
    for (const end = performance.now() + timeoutMs; ; ) {
      const seen = await look().catch((error: unknown) => {
        if (error instanceof GivenUp) throw error;
        return { missing: error instanceof Error ? error.message : String(error) };
      });
      if ('value' in seen) return seen.value;
      if (performance.now() > end)
        throw new Error(`not within ${timeoutMs} ms: ${what} (${seen.missing})\n${await describeCluster(this.nodes)}`);
      await delay(everyMs);
    }
  }

  /** The same for a condition that says nothing but whether it holds. */
  until(what: string, timeoutMs: number, holds: () => Promise<boolean> | boolean): Promise<boolean> {
    return this.eventually(what, timeoutMs, async () => ((await holds()) ? { value: true } : { missing: 'it does not hold' }));
  }

  writer(options: WriterOptions = {}): Writer {
    const writer = new Writer(this.nodes, options);
    this.#writers.push(writer);
    return writer;
  }

  /**
   * Stops the writers; throws unless every row any of them was told to be committed is on the
   * present leader.
   */
  async verify(...writers: readonly Writer[]): Promise<void> {
    await Promise.all(writers.map((writer) => writer.stop()));
    const leader = this.node(await this.waitForLeader());
    for (const writer of writers) await writer.verifyOn(leader);
  }

  /** `regentctl -c FILE ARGS`; never rejects for an exit code. */
  ctl(args: readonly string[], timeoutMs = 60_000): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
    return new Promise((resolve) => {
      const argv = [join(ROOT, 'dist', 'regentctl.js'), '-c', join(this.root, 'ctl.yml'), ...args];
      execFile(process.execPath, argv, { timeout: timeoutMs }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
      });
    });
  }

  describe(): Promise<string> {
    return describeCluster(this.nodes);
  }

  /** Ends everything and removes its own folder; throws when a process of a node will not go. */
  async close(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.stop()));
    const outcomes = await Promise.allSettled(this.nodes.map((node) => node.killAll()));
    if (this.#owns.ownsEtcd) await this.etcd.close();
    const left = this.nodes.flatMap((node) => node.processes().map(({ pid }) => `${node.name}: ${pid}`));
    for (const node of this.nodes) node.removeTraces();
    if (!this.#owns.keepsFiles) rmSync(this.root, { recursive: true, force: true });
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    if (left.length > 0) throw new Error(`processes were left: ${left.join(', ')}`);
  }
}
