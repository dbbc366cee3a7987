/**
 * The Dcs port over etcd's v3 JSON gateway (etcd 3.3 and newer). Formats of the keys: docs/wire.md.
 * How endpoints are chosen is in race.ts, what an answer means in answers.ts, how writes survive a
 * lost reply in txn.ts.
 */
import type { EtcdSettings } from '../../core/settings.ts';
import type { Carrier } from '../../ports/carrier.ts';
import type { Clock } from '../../ports/clock.ts';
import type { CallOptions, Dcs } from '../../ports/dcs.ts';
import type { Log } from '../../ports/log.ts';
import { stringifyCompact } from '../../support/big-json.ts';
import { ensureError } from '../../support/errors.ts';
import type { KeyValue } from './answers.ts';
import { ClusterReader } from './decode.ts';
import { compareNames } from './decode-values.ts';
import { encodeFailover, encodeStatus, encodeSync, statusObject } from './encode.ts';
import { EtcdCarrier } from './etcd-carrier.ts';
import { Gateway } from './gateway.ts';
import { checkHealth } from './health.ts';
import type { IdentityFile } from './identity-file.ts';
import { clearInitialize, publishInitialize } from './initialize-key.ts';
import { clusterPrefix, decodeText, encodePrefixEnd, encodeText, memberKey, namespacePrefix, scopeOf } from './keys.ts';
import { acquireLeader, attachLeader, releaseLeader, takeLead, takeRefused } from './leader-key.ts';
import { grantLease, keepLeaseAlive, revokeLease } from './leases.ts';
import { Progress } from './progress.ts';
import type { RelaySettings } from './relay.ts';
import type { Login } from './token.ts';
import type { Transport } from './transport.ts';
import { storedIn, Transactions } from './txn.ts';
import { PrefixWatch, type WatchTimings } from './watch.ts';

export interface EtcdDcsOptions {
  readonly settings: EtcdSettings;
  readonly scope: string;
  readonly namespace: string;
  readonly log: Log;
  readonly clock: Clock;
  /**
   * Where the id of this node's etcd is kept; nothing: in memory alone, when the process has no
   * data.
   */
  readonly identity?: IdentityFile;
  /** Who logs in now, where that may change; nothing: as `settings` say. */
  readonly login?: () => Login;
  /** How requests travel; nothing: over HTTP. */
  readonly transport?: Transport;
  /**
   * Whose calls other members carry, while it leads and cannot reach etcd; nothing: they do not.
   */
  readonly relay?: RelaySettings;
  /** For tests; the defaults suit everything else. */
  readonly watchTimings?: WatchTimings;
}

export interface ListScopesOptions extends CallOptions {
  readonly settings: EtcdSettings;
  readonly namespace: string;
  readonly log: Log;
  readonly clock: Clock;
}

export interface EtcdDcs extends Dcs, Carrier {
  /**
   * Reads the certificate files again, for connections made from now on. Never throws: what cannot
   * be used is logged, and the certificates from before stay.
   */
  renewCertificates(): void;
}

/**
 * Connects to nothing yet. Throws RegentError DCS_TLS_FILE when a certificate file cannot be read.
 */
export function createEtcdDcs(options: EtcdDcsOptions): EtcdDcs {
  const gateway = new Gateway(options);
  const progress = new Progress();
  const prefix = clusterPrefix(options.namespace, options.scope);
  const reader = new ClusterReader(prefix);
  const keys = new Transactions(gateway, progress, prefix);
  const watches = new Set<PrefixWatch>();
  const carrier = new EtcdCarrier({ gateway, prefix, clock: options.clock, log: options.log });
  return {
    ...leaseCalls(gateway, keys),
    ...memberCalls(gateway, keys),
    ...clusterCalls(keys),
    read: async ({ timeoutMs }) => {
      const kvs = await readRange(gateway, { key: encodeText(prefix), range_end: encodePrefixEnd(prefix) }, timeoutMs);
      for (const kv of kvs.list) progress.changed(BigInt(kv.mod_revision ?? '0'));
      const view = reader.read(kvs.list, kvs.revision);
      gateway.relay?.learned(view);
      return view;
    },
    carry: (from, message) => carrier.carry(from, message),
    watch: (listener) => {
      const { log, clock, watchTimings } = options;
      const watch = new PrefixWatch({
        gateway,
        progress,
        prefix,
        log,
        clock,
        listener,
        ...(watchTimings ? { timings: watchTimings } : {}),
      });
      watches.add(watch);
      return {
        close: () => {
          watch.close();
          watches.delete(watch);
        },
      };
    },
    bind: () => gateway.identity.bind(),
    renewCertificates: () => gateway.renewCertificates(),
    health: (call) => checkHealth(gateway, prefix, call),
    close: () => {
      for (const watch of watches) watch.close();
      watches.clear();
      carrier.close();
      gateway.close();
    },
  };
}

/** Names of all clusters under the namespace, sorted. Throws DcsError. */
export async function listScopes(options: ListScopesOptions): Promise<readonly string[]> {
  const gateway = new Gateway(options);
  const prefix = namespacePrefix(options.namespace);
  try {
    const range = { key: encodeText(prefix), range_end: encodePrefixEnd(prefix), keys_only: true };
    const { list } = await readRange(gateway, range, options.timeoutMs);
    const scopes = list.map((kv) => scopeOf(prefix, decodeText(kv.key))).filter((scope) => scope !== null);
    return [...new Set(scopes)].sort(compareNames);
  } finally {
    gateway.close();
  }
}

export interface Asked {
  readonly endpoint: string;
  /** Null: it gave no answer that needs a majority. */
  readonly clusterId: string | null;
  readonly error: string | null;
}

/** Which etcd each configured address, or each that SRV records name, belongs to. Never throws. */
export async function askClusterIds({ settings, ...options }: Omit<ListScopesOptions, 'namespace'>): Promise<readonly Asked[]> {
  const known = new Gateway({ settings, ...options });
  // Where there are only SRV records, the first call looks them up.
  if (known.pool.list().length === 0) await readRange(known, { key: encodeText('/') }, options.timeoutMs).catch(() => undefined);
  const endpoints = [...known.pool.list()];
  known.close();
  return Promise.all(
    endpoints.map((endpoint) => askClusterId({ settings: { ...settings, endpoints: [endpoint], discover: false, srv: null }, ...options })),
  );
}

async function askClusterId(options: Omit<ListScopesOptions, 'namespace'>): Promise<Asked> {
  const [endpoint = ''] = options.settings.endpoints;
  const gateway = new Gateway(options);
  try {
    const spec = { path: '/maintenance/status', body: {}, timeoutMs: options.timeoutMs, consensus: false };
    const { header, leader } = await gateway.callOn(endpoint, spec);
    if (typeof leader !== 'string' || leader === '0') return { endpoint, clusterId: null, error: 'knows no leader' };
    return { endpoint, clusterId: header.cluster_id, error: null };
  } catch (error) {
    return { endpoint, clusterId: null, error: ensureError(error).message };
  } finally {
    gateway.close();
  }
}

async function readRange(
  gateway: Gateway,
  range: Record<string, unknown>,
  timeoutMs: number,
): Promise<{ list: KeyValue[]; revision: string }> {
  const body = { ...range, serializable: false };
  const { answer } = await gateway.call({ path: '/kv/range', body, timeoutMs, consensus: true });
  const list = Array.isArray(answer['kvs']) ? (answer['kvs'] as KeyValue[]) : [];
  return { list, revision: answer.header.revision ?? '0' };
}

function leaseCalls(gateway: Gateway, keys: Transactions) {
  return {
    grantLease: (ttlSeconds, call) => grantLease(gateway, ttlSeconds, call),
    keepAlive: (leaseId, call) => keepLeaseAlive(gateway, leaseId, call),
    revokeLease: (leaseId, call) => revokeLease(gateway, leaseId, call),
    acquireLeader: (name, leaseId, call) => acquireLeader(keys, name, leaseId, call),
    attachLeader: (name, leaseId, call) => attachLeader(gateway, keys, name, leaseId, call),
    takeLead: (name, leaseId, judged, call) => takeLead(keys, name, leaseId, judged, call),
    takeRefused: (name, leaseId, term, call) => takeRefused(keys, name, leaseId, term, call),
    releaseLeader: (name, call) => releaseLeader(gateway, keys, name, call),
  } satisfies Partial<Dcs>;
}

/** The leader key has not changed hands, or its lease, since that revision. */
const heldIn = (keys: Transactions, term: string | null | undefined) => (term == null ? [] : [keys.revisionIs('leader', term)]);

function memberCalls(gateway: Gateway, keys: Transactions) {
  return {
    putMember: async (name, value, leaseId, call) => {
      await keys.overwrite(memberKey(name), stringifyCompact(value), leaseId, call);
    },
    deleteMember: (name, call) => keys.remove(memberKey(name), call),
    raceInitialize: (leaseId, call) => keys.create('initialize', '', leaseId, null, call),
    writeInitialize: async (systemIdentifier, onlyIfAbsent, call) => {
      if (onlyIfAbsent) return keys.create('initialize', systemIdentifier, null, null, call);
      await keys.overwrite('initialize', systemIdentifier, null, call);
      return true;
    },
    publishInitialize: (systemIdentifier, leaseId, call) => publishInitialize(gateway, keys, systemIdentifier, leaseId, call),
    clearInitialize: (own, call) => clearInitialize(keys, own, call),
  } satisfies Partial<Dcs>;
}

function clusterCalls(keys: Transactions) {
  return {
    writeConfig: async (data, expected, call) => {
      const value = stringifyCompact(data);
      const revision = expected
        ? await keys.replace('config', value, expected.modRevision, call)
        : await keys.overwrite('config', value, null, call);
      return revision === null ? null : String(revision);
    },
    createConfig: (data, call) => keys.create('config', stringifyCompact(data), null, null, call),
    writeFailover: async (request, expected, call) => {
      const value = encodeFailover(request);
      if (expected) return (await keys.replace('failover', value, expected.modRevision, call)) !== null;
      await keys.overwrite('failover', value, null, call);
      return true;
    },
    writeSync: async (value, expected, call) => {
      const text = encodeSync(value);
      const held = heldIn(keys, call.term);
      if (!expected) return keys.create('sync', text, null, null, call, held);
      return (await keys.replace('sync', text, expected.modRevision, call, held)) !== null;
    },
    deleteSync: (expected, call) => keys.removeRevision('sync', expected.modRevision, call, heldIn(keys, call.term)),
    writeFailsafe: async (map, expected, call) => {
      const text = stringifyCompact({ ...map });
      const held = heldIn(keys, call.term);
      if (!expected) return keys.create('failsafe', text, null, null, call, held);
      return (await keys.replace('failsafe', text, expected.modRevision, call, held)) !== null;
    },
    writeStatus: async (value, call) => {
      await keys.overwrite('status', encodeStatus(value), null, call);
    },
    amendStatus: async (change, call) => {
      const stored = storedIn((await keys.run([], [keys.get('status')], [], call)).responses[0]);
      const value = encodeStatus(change(statusObject(stored?.value ?? '{}')));
      if (stored === null) return keys.create('status', value, null, null, call);
      return (await keys.replace('status', value, String(stored.modRevision), call)) !== null;
    },
    writeHistory: async (value, call) => {
      await keys.overwrite('history', stringifyCompact(value), null, call);
    },
    removeCluster: (call) => keys.removeAll(call),
  } satisfies Partial<Dcs>;
}
