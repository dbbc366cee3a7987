/**
 * A network namespace for a Docker engine of our own, with a cable to this machine and through it
 * to wherever this machine reaches.
 *
 * Bridges, packet filters, kernel switches and published ports of the engine stay inside and vanish
 * with the namespace. Outside there are, for as long as it lives, one interface, three rules of the
 * packet filter that name it, and forwarding. Addresses are of 198.18.0.0/15, which RFC 2544 sets
 * aside for tests.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const FORWARD_SWITCH = '/proc/sys/net/ipv4/ip_forward';
const CABLE = /\brgd(\d+)\b/;
const NAMESPACE = /^regent-(\d+)-docker$/;

export interface Uplink {
  /**
   * Put before a command line; the process becomes the command. Not `ip netns exec`, which would
   * hide the control groups.
   */
  readonly launcher: readonly string[];
  close(): void;
}

function run(file: string, args: readonly string[]): string {
  return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
}

/** Needs root, ip and iptables. Throws with the command that failed; nothing is left then. */
export function openUplink(): Uplink {
  removeDead();
  const { pid } = process;
  const namespace = `regent-${pid}-docker`;
  const cable = `rgd${pid}`;
  const [outside, inside] = [1, 2].map((host) => `198.19.254.${(pid % 60) * 4 + host}`);
  const forwarded = readFileSync(FORWARD_SWITCH, 'utf8');
  const close = () => {
    removeRules((owner) => owner === pid);
    // The namespace takes the cable with it, but in its own time.
    if (existsSync(`/sys/class/net/${cable}`)) run('ip', ['link', 'del', cable]);
    if (existsSync(`/run/netns/${namespace}`)) run('ip', ['netns', 'del', namespace]);
    if (readFileSync(FORWARD_SWITCH, 'utf8') !== forwarded) writeFileSync(FORWARD_SWITCH, forwarded);
  };
  try {
    run('ip', ['netns', 'add', namespace]);
    run('ip', ['link', 'add', cable, 'type', 'veth', 'peer', 'name', 'up0', 'netns', namespace]);
    run('ip', ['addr', 'add', `${outside}/30`, 'dev', cable]);
    run('ip', ['link', 'set', cable, 'up']);
    for (const args of [
      ['link', 'set', 'lo', 'up'],
      ['addr', 'add', `${inside}/30`, 'dev', 'up0'],
      ['link', 'set', 'up0', 'up'],
      ['route', 'add', 'default', 'via', outside!],
    ]) {
      run('ip', ['-n', namespace, ...args]);
    }
    writeFileSync(FORWARD_SWITCH, '1\n');
    run('iptables', ['-w', '-t', 'nat', '-A', 'POSTROUTING', '-s', `${inside}/32`, '!', '-o', cable, '-j', 'MASQUERADE']);
    run('iptables', ['-w', '-I', 'FORWARD', '-i', cable, '-j', 'ACCEPT']);
    run('iptables', ['-w', '-I', 'FORWARD', '-o', cable, '-j', 'ACCEPT']);
  } catch (error) {
    close();
    throw error;
  }
  return { launcher: ['nsenter', `--net=/run/netns/${namespace}`], close };
}

/** What a suite that was killed has left. */
function removeDead(): void {
  const isDead = (pid: number) => !existsSync(`/proc/${pid}`);
  removeRules(isDead);
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : []) {
    const pid = NAMESPACE.exec(name)?.[1];
    if (pid !== undefined && isDead(Number(pid))) run('ip', ['netns', 'del', name]);
  }
}

function removeRules(isOurs: (pid: number) => boolean): void {
  for (const [table, chain] of [
    ['nat', 'POSTROUTING'],
    ['filter', 'FORWARD'],
  ] as const) {
    for (const rule of run('iptables', ['-w', '-t', table, '-S', chain]).split('\n')) {
      const pid = CABLE.exec(rule)?.[1];
      if (pid !== undefined && isOurs(Number(pid))) run('iptables', ['-w', '-t', table, '-D', ...rule.trim().split(/\s+/).slice(1)]);
    }
  }
}
