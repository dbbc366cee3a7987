/**
 * A real etcd cluster on loopback for tests: ephemeral ports, data in a temporary folder, nothing
 * left behind. A member may be killed, stopped, frozen (SIGSTOP), thawed and restarted on the same
 * data and ports.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { exchange } from '../../../src/support/http.ts';
import { freePorts } from './ports.ts';

export interface EtcdTls {
  /** Paths of PEM files. With `ca`, clients must show a certificate it signed. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface StartEtcdOptions {
  /** Default 3. */
  readonly members?: number;
  /** Default 100. */
  readonly heartbeatMs?: number;
  /** Default 1000. A lease shorter than 1.5 times this is lengthened by etcd (here: to 2 s). */
  readonly electionMs?: number;
  /** Serve clients over TLS with client certificates. */
  readonly tls?: EtcdTls;
  readonly extraArguments?: readonly string[];
  /**
   * Address on which the member of this number listens for clients and the other members; default
   * 127.0.0.1.
   */
  readonly host?: (index: number) => string;
  /** Put before its command line, e.g. `['ip', 'netns', 'exec', NAME]`; it must end in an exec. */
  readonly launcher?: (index: number) => readonly string[];
}

export interface EtcdMember {
  readonly name: string;
  /** `http://127.0.0.1:port`, or as StartEtcdOptions.host says. */
  readonly endpoint: string;
  pid(): number | null;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and SIGKILL after 10 s. */
  stop(): Promise<void>;
  /** SIGSTOP; resolves once the kernel has stopped it. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /**
   * Starts it again on its data. Waits until it reports health, which needs a quorum: to bring a
   * whole cluster back, restart the members together (Promise.all), or pass `{ wait: false }`.
   */
  restart(options?: { readonly wait?: boolean }): Promise<void>;
}

export interface EtcdCluster {
  readonly endpoints: readonly string[];
  readonly members: readonly EtcdMember[];
  /** Index of the member that leads by its own account; waits up to 15 s for one. */
  leader(): Promise<number>;
  /** Path of a snapshot of what the first member has now. */
  snapshot(): string;
  /**
   * Every member is stopped and made new from the snapshot, as `etcdctl snapshot restore` does it:
   * under the same token the cluster id stays.
   */
  restore(snapshot: string): Promise<void>;
  close(): Promise<void>;
}

const HEALTH_DEADLINE_MS = 30_000;

export async function startEtcd(options: StartEtcdOptions = {}): Promise<EtcdCluster> {
  let failure: unknown;
  for (let attempt = 0; attempt < 3; attempt++) {
    // A port found free may be taken by somebody else before etcd binds it; then the whole cluster
    // moves to other ports.
    const cluster = await layOut(options);
    try {
      await Promise.all(cluster.members.map((member) => member.restart()));
      return cluster;
    } catch (error) {
      failure = error;
      await cluster.close();
    }
  }
  throw failure;
}

async function layOut(options: StartEtcdOptions): Promise<EtcdCluster> {
  const count = options.members ?? 3;
  const folder = mkdtempSync(join(tmpdir(), 'regent-etcd-'));
  const ports = await freePorts(count * 2);
  const scheme = options.tls ? 'https' : 'http';
  const host = options.host ?? (() => '127.0.0.1');
  const peers = Array.from({ length: count }, (_, i) => `etcd${i}=http://${host(i)}:${ports[count + i]}`).join(',');
  const members = Array.from({ length: count }, (_, i) => {
    const endpoint = `${scheme}://${host(i)}:${ports[i]}`;
    return new Member(`etcd${i}`, endpoint, folder, { tls: options.tls, launcher: options.launcher?.(i) ?? [] }, [
      ...['--name', `etcd${i}`, '--data-dir', join(folder, `etcd${i}`)],
      ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
      ...['--listen-peer-urls', `http://${host(i)}:${ports[count + i]}`],
      ...['--initial-advertise-peer-urls', `http://${host(i)}:${ports[count + i]}`],
      ...['--initial-cluster', peers, '--initial-cluster-state', 'new', '--initial-cluster-token', folder],
      ...['--heartbeat-interval', String(options.heartbeatMs ?? 100), '--election-timeout', String(options.electionMs ?? 1000)],
      ...['--logger', 'zap', '--log-level', 'warn'],
      ...tlsArguments(options.tls),
      ...(options.extraArguments ?? []),
    ]);
  });
  const cluster: EtcdCluster = {
    endpoints: members.map((member) => member.endpoint),
    members,
    leader: () => findLeader(members),
    snapshot: () => {
      const file = join(folder, 'snapshot.db');
      etcdctlOn(['--endpoints', members[0]!.endpoint, 'snapshot', 'save', file]);
      return file;
    },
    restore: async (snapshot) => {
      await Promise.all(members.map((member) => member.stop()));
      for (const [i, { name }] of members.entries()) {
        rmSync(join(folder, name), { recursive: true, force: true });
        etcdctlOn([
          ...['snapshot', 'restore', snapshot, '--name', name, '--data-dir', join(folder, name)],
          ...['--initial-cluster', peers, '--initial-cluster-token', folder],
          ...['--initial-advertise-peer-urls', `http://${host(i)}:${ports[count + i]}`],
        ]);
      }
      await Promise.all(members.map((member) => member.restart()));
    },
    close: async () => {
      await Promise.all(members.map((member) => member.kill()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return cluster;
}

function etcdctlOn(argv: readonly string[]): void {
  execFileSync('etcdctl', argv, { stdio: 'pipe', env: { ...process.env, ETCDCTL_API: '3' }, timeout: 20_000 });
}

function tlsArguments(tls: EtcdTls | undefined): string[] {
  if (!tls) return [];
  return ['--cert-file', tls.cert, '--key-file', tls.key, '--trusted-ca-file', tls.ca, '--client-cert-auth'];
}

async function findLeader(members: readonly Member[]): Promise<number> {
  const deadline = performance.now() + 15_000;
  while (performance.now() < deadline) {
    for (const [index, member] of members.entries()) {
      const status = await member.post('/v3/maintenance/status', '{}').catch(() => null);
      if (status === null) continue;
      const parsed = JSON.parse(status) as { leader?: string; header?: { member_id?: string } };
      if (parsed.leader !== undefined && parsed.leader === parsed.header?.member_id) return index;
    }
    await delay(50);
  }
  throw new Error('etcd: no member led within 15 s');
}

interface MemberPlace {
  readonly tls: EtcdTls | undefined;
  readonly launcher: readonly string[];
}

class Member implements EtcdMember {
  readonly name: string;
  readonly endpoint: string;
  readonly #folder: string;
  readonly #tls: EtcdTls | undefined;
  readonly #launcher: readonly string[];
  readonly #argv: readonly string[];
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();

  constructor(name: string, endpoint: string, folder: string, how: MemberPlace, argv: readonly string[]) {
    this.name = name;
    this.endpoint = endpoint;
    this.#folder = folder;
    this.#tls = how.tls;
    this.#launcher = how.launcher;
    this.#argv = argv;
  }

  pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    child.kill('SIGTERM');
    child.kill('SIGCONT');
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await this.#exited;
    clearTimeout(late);
  }

  async freeze(): Promise<void> {
    const child = this.#child;
    if (!child?.pid) throw new Error(`${this.name} does not run`);
    child.kill('SIGSTOP');
    const deadline = performance.now() + 5000;
    while (!/\) [Tt] /.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1'))) {
      if (performance.now() > deadline) throw new Error(`${this.name} did not stop within 5 s`);
      await delay(2);
    }
  }

  async thaw(): Promise<void> {
    this.#child?.kill('SIGCONT');
  }

  async restart(options: { readonly wait?: boolean } = {}): Promise<void> {
    await this.kill();
    this.#spawn();
    if (options.wait !== false) await this.#healthy();
  }

  post(path: string, body: string): Promise<string> {
    return ask('POST', this.endpoint + path, body, this.#tls);
  }

  #spawn(): void {
    // The kernel ends etcd with us, even when the test runner is killed. setpriv becomes etcd, so
    // the pid stays.
    const setpriv = '/usr/bin/setpriv';
    const bound = existsSync(setpriv) ? [setpriv, '--pdeathsig', 'KILL', 'etcd'] : ['etcd'];
    const argv = [...this.#launcher, ...bound, ...this.#argv];
    const log = openSync(join(this.#folder, `${this.name}.log`), 'a');
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', log, log] });
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      const gone = () => {
        if (this.#child === child) this.#child = null;
        resolve();
      };
      child.once('exit', gone);
      child.once('error', gone);
    });
  }

  async #healthy(): Promise<void> {
    const deadline = performance.now() + HEALTH_DEADLINE_MS;
    while (performance.now() < deadline) {
      if (this.#child === null) break;
      const answer = await ask('GET', `${this.endpoint}/health`, null, this.#tls).catch(() => '');
      if (answer.includes('"true"')) return;
      await delay(25);
    }
    const log = readFileSync(join(this.#folder, `${this.name}.log`), 'utf8')
      .split('\n')
      .slice(-8)
      .join('\n');
    throw new Error(`${this.name} is not healthy (${this.#child === null ? 'it ended' : 'deadline passed'}):\n${log}`);
  }
}

async function ask(method: string, url: string, body: string | null, tls: EtcdTls | undefined): Promise<string> {
  const material = tls && { ca: readFileSync(tls.ca), cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  return (await exchange(url, { method, body, ...(material && { tls: material }) }, { timeoutMs: 2000 })).text;
}
