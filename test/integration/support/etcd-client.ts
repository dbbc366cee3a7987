/**
 * Clients of a test's etcd: opened with a fresh scope each, closed by `closeOpened` after each
 * test.
 */
import { execFileSync } from 'node:child_process';
import { createSystemClock } from '../../../src/adapters/clock/system.ts';
import { createEtcdDcs } from '../../../src/adapters/etcd/store.ts';
import type { EtcdSettings } from '../../../src/core/settings.ts';
import type { Dcs } from '../../../src/ports/dcs.ts';
import type { Log } from '../../../src/ports/log.ts';
import type { EtcdCluster, EtcdMember } from './etcd.ts';

export const clock = createSystemClock();
export const CALL = { timeoutMs: 6000 };
/** For what waits on an election of etcd or a detection. */
export const WAIT = { timeout: 40_000, interval: 20 };

/** Everything any client logged. */
export const written: string[] = [];
const note = (message: string, fields?: unknown) => {
  written.push(`${message} ${JSON.stringify(fields ?? {})}`);
};
export const log: Log = { debug: note, info: note, warning: note, error: note, critical: note };

let opened: Array<{ close(): void }> = [];
let scopes = 0;

export function freshScope(): string {
  return `demo-${++scopes}`;
}

export function settingsFor(endpoints: readonly string[], more: Partial<EtcdSettings> = {}): EtcdSettings {
  const none = { username: null, password: null, cacert: null, cert: null, key: null, srv: null, srvSuffix: null };
  return { ...none, endpoints, discover: false, ...more };
}

export function open(endpoints: readonly string[], more: Partial<EtcdSettings> = {}, scope = freshScope()): Dcs & { scope: string } {
  const dcs = createEtcdDcs({ settings: settingsFor(endpoints, more), scope, namespace: 'service', log, clock });
  opened.push(dcs);
  return Object.assign(dcs, { scope });
}

export function closeOpened(): void {
  for (const dcs of opened) dcs.close();
  opened = [];
}

/** The keys a watch tells, in order: `null` for a gap, `-key` for a deletion. */
export function follow(dcs: Dcs): Array<string | null> {
  const keys: Array<string | null> = [];
  dcs.watch((event) => keys.push(event.deleted ? `-${event.key}` : event.key));
  return keys;
}

export function etcdctl(cluster: EtcdCluster, ...argv: string[]): string {
  return execFileSync('etcdctl', ['--endpoints', cluster.endpoints.join(','), ...argv], {
    encoding: 'utf8',
    env: { ...process.env, ETCDCTL_API: '3' },
    timeout: 30_000,
  });
}

/** Endpoints with that of `member` first, so that calls and watches begin there. */
export function first(cluster: EtcdCluster, member: EtcdMember): string[] {
  return [member.endpoint, ...cluster.endpoints.filter((endpoint) => endpoint !== member.endpoint)];
}

/** The member that leads, and one that does not. */
export async function rolesOf(cluster: EtcdCluster): Promise<{ leader: EtcdMember; follower: EtcdMember }> {
  const at = await cluster.leader();
  return { leader: cluster.members[at]!, follower: cluster.members[(at + 1) % cluster.members.length]! };
}
