/**
 * The cluster that is hurt. Each node, each member of etcd, and HAProxy with the router, are hosts
 * of a network of their own; each node's data lie on a small file system of their own. Clients and
 * this program stay outside, and reach every host through the hub.
 */
import { chownSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { LabProcess } from '../bench/process.ts';
import { haproxyConfig, LOG_TO_STDOUT } from '../src/demo/haproxy-config.ts';
import { signal as sendSignal, waitGone } from '../src/demo/kill.ts';
import type { Programs } from '../src/demo/programs.ts';
import { RegentError } from '../src/support/errors.ts';
import { cleanEnvironment } from '../src/support/exec.ts';
import type { JsonObject } from '../src/support/json.ts';
import { postgresOwner } from '../test/integration/support/bare-postgres.ts';
import { type Cluster, startCluster } from '../test/integration/support/cluster.ts';
import { judgeHealth } from '../test/integration/support/cluster-health.ts';
import type { ClusterNode } from '../test/integration/support/cluster-node.ts';
import { type EtcdCluster, startEtcd } from '../test/integration/support/etcd.ts';
import { Mounts } from '../test/integration/support/mounts.ts';
import { TestNetwork } from '../test/integration/support/network.ts';
import type { Clocks } from './clock.ts';
import type { Mode } from './options.ts';

/**
 * Room for the data, the WAL that a run keeps, and a second copy while a node is cloned. Each
 * promotion begins a segment of 16 MB, and all of them stay for as long as WAL of that position is
 * kept: 33 were there at once.
 */
const DISK_BYTES = 1536 * 1024 ** 2;
/** Of rows, twice over. */
const DISK_BYTES_PER_MINUTE = 2 * 1024 ** 2;
/** Where HAProxy and the router live. */
export const GATE = 'gate';
const GATE_PORT = 5000;
export const ETCDS = ['etcd0', 'etcd1', 'etcd2'] as const;
const POLL_MS = 200;
const GONE_MS = 5000;

export interface StageTerms {
  readonly directory: string;
  readonly entry: string;
  readonly programs: Programs;
  readonly minutes: number;
  readonly members: number;
  readonly mode: Mode;
  readonly ttlSeconds: number;
  /** null: they are the machine's. */
  readonly clocks: Clocks | null;
  readonly signal: AbortSignal;
  /** To the run's log. */
  readonly note: (text: string) => void;
}

/** The settings demand that ttl >= loop_wait + 2 retry_timeout. */
function timingOf(ttl: number): JsonObject {
  const loopWait = Math.max(1, Math.min(10, Math.floor(ttl / 5)));
  return { ttl, loop_wait: loopWait, retry_timeout: Math.max(2, Math.min(10, Math.floor((ttl - loopWait) / 2))) };
}

function dynamicOf({ mode, ttlSeconds }: StageTerms): JsonObject {
  return {
    ...timingOf(ttlSeconds),
    synchronous_mode: mode === 'quorum' ? 'quorum' : mode === 'on',
    postgresql: {
      parameters: {
        max_connections: 80,
        wal_keep_size: '32MB',
        min_wal_size: '32MB',
        max_wal_size: '96MB',
        // A disk that is full is then met by the next segment, not by the tenth.
        wal_recycle: 'off',
      },
    },
  };
}

export class Stage {
  readonly network: TestNetwork;
  readonly etcd: EtcdCluster;
  readonly cluster: Cluster;
  /** Nodes whose agent is away because a fault took it: nobody starts it before the healing. */
  readonly down = new Set<string>();
  /** Agents that ended although nobody had ended them. */
  readonly selfEnded: string[] = [];
  readonly #terms: StageTerms;
  readonly #mounts: Mounts;
  readonly #sides = new Map<string, LabProcess>();

  private constructor(terms: StageTerms, parts: { network: TestNetwork; etcd: EtcdCluster; cluster: Cluster; mounts: Mounts }) {
    this.#terms = terms;
    this.network = parts.network;
    this.etcd = parts.etcd;
    this.cluster = parts.cluster;
    this.#mounts = parts.mounts;
  }

  /** Everything laid out and etcd started; the caller closes it. */
  static async open(terms: StageTerms): Promise<Stage> {
    const nodes = Array.from({ length: terms.members }, (_, i) => `node${i + 1}`);
    const network = new TestNetwork([...nodes, ...ETCDS, GATE]);
    const mounts = new Mounts();
    let etcd: EtcdCluster | null = null;
    try {
      etcd = await startEtcd({ host: (i) => network.address(ETCDS[i]!), launcher: (i) => network.launcher(ETCDS[i]!) });
      const cluster = await startCluster({
        etcd,
        nodes: terms.members,
        dynamic: dynamicOf(terms),
        host: (name) => network.address(name),
        launcher: (name) => network.launcher(name),
        // The agents end with us, however we end; the guards then end PostgreSQL.
        command: (name, regent) => [
          'setpriv',
          '--pdeathsig',
          'KILL',
          '--',
          ...(terms.clocks?.launcher(join(terms.directory, name)) ?? []),
          ...regent,
        ],
        directory: terms.directory,
        data: 'disk/data',
        program: terms.entry,
        start: false,
      });
      const bytes = Math.round(DISK_BYTES + terms.minutes * DISK_BYTES_PER_MINUTE);
      for (const node of cluster.nodes) mounts.smallDisk(join(node.place.directory, 'disk'), bytes, node.place.owner);
      for (const node of cluster.nodes) terms.clocks?.set(node.place.directory, 0);
      const stage = new Stage(terms, { network, etcd, cluster, mounts });
      stage.#layOutGate();
      return stage;
    } catch (error) {
      mounts.remove();
      await etcd?.close();
      network.close();
      throw error;
    }
  }

  get routed(): { readonly host: string; readonly port: number } {
    return { host: this.network.address(GATE), port: GATE_PORT };
  }

  /** The agents, then HAProxy and the router; resolves when the cluster is whole. */
  async start(timeoutMs: number): Promise<string> {
    for (const node of this.cluster.nodes) node.start();
    const leader = await this.whole(timeoutMs);
    await this.cluster.node(leader).sql('create table chaos (id bigint primary key, client text not null)');
    this.startSide('haproxy');
    this.startSide('router');
    return leader;
  }

  /** Throws where the clocks are the machine's. */
  stepClock(node: ClusterNode, seconds: number): void {
    if (this.#terms.clocks === null) throw new Error("the clocks are the machine's");
    this.#terms.clocks.set(node.place.directory, seconds);
  }

  /** Two faults that have killed it may heal together: the second finds it running. */
  startSide(name: 'haproxy' | 'router'): void {
    if (this.#sides.has(name)) return;
    const { directory, entry, programs } = this.#terms;
    const { uid, gid } = postgresOwner();
    const command =
      name === 'haproxy'
        ? [programs.haproxy.path, '-db', '-f', this.#gateFile('haproxy.cfg')]
        : [process.execPath, entry, 'router', this.#gateFile('router.yml')];
    const setpriv = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--pdeathsig', 'KILL', '--'];
    const [file, ...args] = [...this.network.launcher(GATE), ...setpriv, ...command];
    const logFile = join(directory, GATE, `${name}.log`);
    const env = cleanEnvironment();
    this.#sides.set(name, new LabProcess({ name, kind: name, file: file!, args, cwd: join(directory, GATE), env, logFile, graceMs: 1000 }));
  }

  /** kill -9. */
  async killSide(name: 'haproxy' | 'router'): Promise<void> {
    const identity = this.#sides.get(name)?.identity ?? null;
    this.#sides.delete(name);
    if (identity === null) return;
    sendSignal(identity, 'SIGKILL');
    await waitGone([identity], GONE_MS);
  }

  /**
   * One leader, all members streaming from it, the synchronous set complete. Resolves to the
   * leader's name. Throws CHAOS_NOT_WHOLE after the time, with what is missing.
   */
  async whole(timeoutMs: number, also: (leader: string) => boolean = () => true): Promise<string> {
    let missing = '';
    const beganMs = performance.now();
    for (const end = performance.now() + timeoutMs; ; ) {
      this.supervise();
      const before = missing;
      const health = await judgeHealth(this.cluster.nodes, (key) => this.cluster.key(key));
      if ('leader' in health) {
        if (also(health.leader)) return health.leader;
        missing = `the clients of the router do not write to ${health.leader}`;
      } else missing = health.missing;
      if (missing !== before) this.#terms.note(`  not whole after ${Math.round(performance.now() - beganMs)} ms: ${missing}`);
      if (performance.now() > end) {
        throw new RegentError('CHAOS_NOT_WHOLE', `not whole after ${timeoutMs / 1000} s: ${missing}`, { policy: 'transient' });
      }
      await sleep(POLL_MS, undefined, { signal: this.#terms.signal });
    }
  }

  /** As an init system does it: an agent that ended by itself is started again. */
  supervise(): void {
    for (const node of this.cluster.nodes) {
      if (node.agentPid !== null || this.down.has(node.name)) continue;
      this.selfEnded.push(`${node.name}: ${node.tail(1).slice(0, 300)}`);
      node.start();
    }
    for (const name of ['haproxy', 'router'] as const) this.#sides.get(name)?.check();
  }

  /** Ends everything; with `keep` the data stay readable in the directory. */
  async close(keep: boolean): Promise<void> {
    for (const name of ['router', 'haproxy'] as const) await this.killSide(name);
    const nodes = this.cluster.nodes;
    const closed = await Promise.allSettled([this.cluster.close()]);
    await this.etcd.close();
    for (const { place } of nodes) {
      const disk = join(place.directory, 'disk');
      if (keep && existsSync(disk)) cpSync(disk, join(place.directory, 'disk-as-it-was'), { recursive: true, filter: isKept });
    }
    this.#mounts.remove();
    this.network.close();
    if (closed[0].status === 'rejected') throw closed[0].reason;
  }

  #gateFile(name: string): string {
    return join(this.#terms.directory, GATE, name);
  }

  #layOutGate(): void {
    const { directory } = this.#terms;
    mkdirSync(join(directory, GATE), { mode: 0o700 });
    chownSync(join(directory, GATE), postgresOwner().uid, postgresOwner().gid);
    const runtimeSocket = this.#gateFile('haproxy.sock');
    const members = this.cluster.nodes.map(({ place }) => place);
    const text = haproxyConfig({
      ...{ bindAddress: this.network.address(GATE), writePort: GATE_PORT, readPort: GATE_PORT + 1, statsPort: GATE_PORT + 2 },
      stats: { username: 'admin', password: 'admin', openToTools: true },
      ...{ log: LOG_TO_STDOUT, runtimeSocket, nameserver: null, members },
    });
    writeFileSync(this.#gateFile('haproxy.cfg'), text);
    const hosts = this.etcd.endpoints.map((endpoint) => endpoint.replace('http://', ''));
    const router = { scope: this.cluster.scope, name: 'router', etcd3: { hosts }, router: { haproxy_socket: runtimeSocket } };
    writeFileSync(this.#gateFile('router.yml'), stringify(router));
  }
}

/** A filler of a full disk is nothing to look at. */
const isKept = (path: string) => !path.endsWith(FILLER);
export const FILLER = 'filler';
