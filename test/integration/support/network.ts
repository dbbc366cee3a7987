/**
 * A network of the test's own. Every host is in a network namespace, and a routing hub in another
 * joins them. So a one-way path between two hosts can be made to swallow packets, or a host's cable
 * be pulled. The test itself stays outside and reaches every host through the hub.
 *
 * Addresses are of 198.18.0.0/15, which RFC 2544 sets aside for tests; nothing is routed beyond the
 * hub. Names carry the test's pid; what a test that was killed left behind is removed by the next
 * one.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const NAMES = /^regent-(\d+)-/;

/** null: namespaces can be made here; otherwise why not, in words for a skipped test. */
export function whyNoNetwork(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const probe = `regent-${process.pid}-probe`;
  try {
    ip(['netns', 'add', probe]);
    ip(['netns', 'del', probe]);
    return null;
  } catch (error) {
    return `network namespaces cannot be made here: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
}

/** The kernel can lose and delay packets at random. */
export function hasNetem(): boolean {
  const probe = `regent-${process.pid}-netem`;
  ip(['netns', 'add', probe]);
  try {
    tc(probe, ['add', 'dev', 'lo', 'root', 'netem', 'loss', '1%']);
    return true;
  } catch {
    return false;
  } finally {
    ip(['netns', 'del', probe]);
  }
}

function ip(args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 10_000 });
}

/** One `ip` command a line, in the namespace given or in our own. */
function batch(namespace: string | null, lines: readonly string[]): void {
  const args = [...(namespace === null ? [] : ['-n', namespace]), '-batch', '-'];
  execFileSync('ip', args, { input: `${lines.join('\n')}\n`, stdio: ['pipe', 'ignore', 'pipe'], timeout: 10_000 });
}

function tc(namespace: string, args: readonly string[]): void {
  execFileSync('tc', ['-n', namespace, 'qdisc', ...args], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 10_000 });
}

function iptables(namespace: string, args: readonly string[]): void {
  execFileSync('ip', ['netns', 'exec', namespace, 'iptables', '-w', ...args], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 10_000 });
}

/** Packets can be dropped at random. */
export function hasRandomLoss(): boolean {
  const probe = `regent-${process.pid}-loss`;
  ip(['netns', 'add', probe]);
  try {
    iptables(probe, ['-A', 'FORWARD', '-m', 'statistic', '--mode', 'random', '--probability', '0.01', '-j', 'DROP']);
    return true;
  } catch {
    return false;
  } finally {
    ip(['netns', 'del', probe]);
  }
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

function removeLeftovers(): void {
  if (!existsSync('/run/netns')) return;
  for (const name of readdirSync('/run/netns')) {
    const pid = NAMES.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) ip(['netns', 'del', name]);
  }
}

interface Host {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  /** The hub's end of the cable. */
  readonly port: string;
}

export class TestNetwork {
  readonly #hosts = new Map<string, Host>();
  readonly #hub: string;
  readonly #cuts = new Map<string, string>();
  readonly #unplugged = new Set<string>();
  readonly #shaped = new Set<string>();
  #loses = false;

  constructor(names: readonly string[]) {
    removeLeftovers();
    this.#hub = `regent-${process.pid}-hub`;
    try {
      this.#lay(names, freeSubnet());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  address(name: string): string {
    return this.#host(name).address;
  }

  /** Put before a command line; the process becomes the command. */
  launcher(name: string): readonly string[] {
    return ['ip', 'netns', 'exec', this.#host(name).namespace];
  }

  /** What `from` sends to `to` is lost without a word. The other direction stays. */
  cutOneWay(from: string, to: string): void {
    const rule = `from ${this.address(from)} to ${this.address(to)} blackhole`;
    if (this.#cuts.has(rule)) return;
    batch(this.#hub, [`rule add ${rule}`]);
    this.#cuts.set(rule, rule);
  }

  cut(a: string, ...others: readonly string[]): void {
    for (const b of others) {
      this.cutOneWay(a, b);
      this.cutOneWay(b, a);
    }
  }

  /** The paths that cut() cut, as before. */
  mend(a: string, ...others: readonly string[]): void {
    const [here, there] = [this.address(a), others.map((other) => this.address(other))];
    const rules = there.flatMap((other) => [`from ${here} to ${other} blackhole`, `from ${other} to ${here} blackhole`]);
    const cut = rules.filter((rule) => this.#cuts.delete(rule));
    if (cut.length > 0)
      batch(
        this.#hub,
        cut.map((rule) => `rule del ${rule}`),
      );
  }

  /** Pulls the cable: not even the test reaches the host. */
  unplug(name: string): void {
    batch(this.#hub, [`link set ${this.#host(name).port} down`]);
    this.#unplugged.add(name);
  }

  /**
   * A queueing discipline of tc(8) on the host's cable, both ways: `['netem', 'loss', '10%']`.
   * Throws where the kernel has none of that name.
   */
  shape(name: string, discipline: readonly string[]): void {
    this.#shaped.add(name);
    const { namespace, port } = this.#host(name);
    tc(this.#hub, ['replace', 'dev', port, 'root', ...discipline]);
    tc(namespace, ['replace', 'dev', 'eth0', 'root', ...discipline]);
  }

  /** Of all packets from and to the host, this share is lost at random. Throws without iptables. */
  lose(name: string, share: number): void {
    const statistic = ['-m', 'statistic', '--mode', 'random', '--probability', String(share), '-j', 'DROP'];
    for (const side of ['-s', '-d']) iptables(this.#hub, ['-A', 'FORWARD', side, this.address(name), ...statistic]);
    this.#loses = true;
  }

  /** Every path and cable as at the beginning. */
  heal(): void {
    if (this.#loses) iptables(this.#hub, ['-F', 'FORWARD']);
    this.#loses = false;
    for (const name of this.#shaped) {
      const { namespace, port } = this.#host(name);
      for (const [where, device] of [[this.#hub, port] as const, [namespace, 'eth0'] as const]) {
        // "replace" first: a discipline that the kernel refused is not there to be deleted.
        tc(where, ['replace', 'dev', device, 'root', 'pfifo']);
        tc(where, ['del', 'dev', device, 'root']);
      }
    }
    this.#shaped.clear();
    if (this.#cuts.size > 0)
      batch(
        this.#hub,
        [...this.#cuts.values()].map((rule) => `rule del ${rule}`),
      );
    this.#cuts.clear();
    for (const name of this.#unplugged) {
      const { port, address } = this.#host(name);
      batch(this.#hub, [`link set ${port} up`, `route replace ${address}/32 dev ${port}`]);
    }
    this.#unplugged.clear();
  }

  /** The processes inside have to be gone; the cables go with the hub. */
  close(): void {
    for (const namespace of [...[...this.#hosts.values()].map((host) => host.namespace), this.#hub]) {
      if (existsSync(`/run/netns/${namespace}`)) ip(['netns', 'del', namespace]);
    }
    this.#hosts.clear();
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`no host is called ${name}`);
    return host;
  }

  #lay(names: readonly string[], subnet: string): void {
    const gateway = `${subnet}.1`;
    const outside = `${subnet}.2`;
    ip(['netns', 'add', this.#hub]);
    execFileSync('ip', ['netns', 'exec', this.#hub, 'sysctl', '-qw', 'net.ipv4.ip_forward=1'], { timeout: 10_000 });
    const uplink = `rg${process.pid}`;
    ip(['link', 'add', uplink, 'type', 'veth', 'peer', 'name', 'outside', 'netns', this.#hub]);
    batch(this.#hub, ['link set lo up', `addr add ${gateway}/32 dev lo`, 'link set outside up', `route add ${outside}/32 dev outside`]);
    batch(null, [
      `link set ${uplink} up`,
      `addr add ${outside}/32 dev ${uplink}`,
      `route add ${gateway}/32 dev ${uplink}`,
      `route add ${subnet}.0/24 via ${gateway} src ${outside}`,
    ]);
    for (const [i, name] of names.entries()) {
      const host: Host = { name, namespace: `regent-${process.pid}-${name}`, address: `${subnet}.${11 + i}`, port: `to-${i}` };
      ip(['netns', 'add', host.namespace]);
      this.#hosts.set(name, host);
      batch(this.#hub, [
        `link add ${host.port} type veth peer name eth0 netns ${host.namespace}`,
        `link set ${host.port} up`,
        `route add ${host.address}/32 dev ${host.port}`,
      ]);
      batch(host.namespace, [
        'link set lo up',
        'link set eth0 up',
        `addr add ${host.address}/32 dev eth0`,
        `route add ${gateway}/32 dev eth0`,
        `route add default via ${gateway}`,
      ]);
    }
  }
}

/** The first three bytes of 256 addresses that no route of ours leads to. */
function freeSubnet(): string {
  const taken = ip(['route', 'show']);
  for (let i = 0; i < 256; i++) {
    const subnet = `198.18.${(process.pid + i) % 256}`;
    if (!taken.includes(`${subnet}.`)) return subnet;
  }
  throw new Error('every subnet of 198.18.0.0/16 is in use');
}
