/**
 * `regent etcd-replaced [FILE]`: an operator confirms on one node that the etcd which answers now
 * replaces the one that this node's data belong to. A running agent sees this within a second. An
 * agent that is down reads it when it starts.
 */
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { createSystemClock } from '../adapters/clock/system.ts';
import { shownId } from '../adapters/etcd/identity.ts';
import { type IdentityFile, identityFile, type KeptIdentity } from '../adapters/etcd/identity-file.ts';
import { type Asked, askClusterIds, createEtcdDcs } from '../adapters/etcd/store.ts';
import { loadLocal } from '../config/load.ts';
import type { LocalSettings } from '../core/settings.ts';
import type { Clock } from '../ports/clock.ts';
import { silentLog } from '../ports/log.ts';
import { ensureError, RegentError } from '../support/errors.ts';

const USAGE = `usage: regent etcd-replaced [--initialize] [FILE]

Confirms that etcd was replaced: created again, or restored from a snapshot. Both give it a new cluster id. Until then this node's agent uses only
the etcd with the old id. FILE is the agent's configuration. Run it on every node of the cluster, whether its agent runs or not.

  --initialize   the new etcd is empty: write the cluster's system identifier into it. Only on the last leader, or on the node with the newest data,
                 and only after you have confirmed it on every other node
`;

const TIMEOUT_MS = 5000;

interface Arguments {
  readonly path: string | null;
  readonly initialize: boolean;
}

/** Resolves to the exit code: 0 done or nothing to do, 1 refused, 2 wrong usage. */
export async function etcdReplaced(argv: readonly string[], out: { write(text: string): unknown }): Promise<number> {
  const args = readArguments(argv);
  if (args === null) {
    out.write(USAGE);
    return argv.some((word) => word === '--help' || word === '-h') ? 0 : 2;
  }
  const { local } = loadLocal({ path: args.path, env: { ...process.env } });
  const clock = createSystemClock();
  const found = theOneThatAnswers(await askClusterIds({ settings: local.etcd, clock, log: silentLog, timeoutMs: TIMEOUT_MS }));
  const { dataDir } = local.postgresql;
  const file = identityFile(dataDir, '');
  const kept = file.read();
  out.write(`${confirm(file, kept, found)}\n`);
  if (args.initialize) out.write(`${await initialize(local, clock)}\n`);
  return 0;
}

function confirm(file: IdentityFile, kept: KeptIdentity | null, { endpoint, clusterId }: Found): string {
  if (kept === null)
    return `no etcd id is stored in ${file.path}: nothing to confirm. If the agent runs and refuses this etcd, restart it.`;
  if (kept.clusterId === clusterId) return `this node already uses etcd ${shownId(clusterId)}: nothing to confirm.`;
  if (!file.write({ clusterId, replaces: kept.clusterId, endpoint })) {
    throw new RegentError('FILE_WRITE_FAILED', `could not write ${file.path}`, {
      mend: 'run this as the user that owns the data directory, or as root, and check that the file system has free space',
    });
  }
  return `confirmed: etcd ${shownId(clusterId)} (${endpoint}) replaces etcd ${shownId(kept.clusterId)} on this node. Do the same on every other node.`;
}

interface Found {
  readonly endpoint: string;
  readonly clusterId: string;
}

/** Throws unless the configured endpoints that answer are of one etcd. */
function theOneThatAnswers(asked: readonly Asked[]): Found {
  const found = asked.flatMap(({ endpoint, clusterId }) => (clusterId === null ? [] : [{ endpoint, clusterId }]));
  const told = asked.map(({ endpoint, clusterId, error }) => `${endpoint}: ${clusterId === null ? error : shownId(clusterId)}`).join('; ');
  const [first] = found;
  if (first === undefined) {
    throw new RegentError('ETCD_SILENT', `no configured etcd answers (${told || 'none is configured'})`, {
      mend: 'start etcd first: a majority of its members must run and be reachable from here',
    });
  }
  if (found.some(({ clusterId }) => clusterId !== first.clusterId)) {
    throw new RegentError('ETCD_TWO_CLUSTERS', `the configured endpoints belong to more than one etcd (${told})`, {
      mend: 'correct etcd3.hosts: it must name the members of one etcd',
    });
  }
  return first;
}

async function initialize(local: LocalSettings, clock: Clock): Promise<string> {
  const systemIdentifier = systemIdentifierOf(local.postgresql.dataDir);
  const dcs = createEtcdDcs({ settings: local.etcd, scope: local.scope, namespace: local.namespace, log: silentLog, clock });
  try {
    const written = await dcs.writeInitialize(systemIdentifier, true, { timeoutMs: TIMEOUT_MS });
    return written
      ? `cluster ${local.scope} is initialized in etcd: ${systemIdentifier}. Its members elect a leader now.`
      : `cluster ${local.scope} is initialized in etcd already: nothing was written.`;
  } finally {
    dcs.close();
  }
}

/** The system identifier is the first field of the control file in every release of PostgreSQL. */
function systemIdentifierOf(dataDir: string): string {
  const path = join(dataDir, 'global', 'pg_control');
  try {
    const bytes = readFileSync(path);
    return String(endianness() === 'LE' ? bytes.readBigUInt64LE(0) : bytes.readBigUInt64BE(0));
  } catch (cause) {
    throw new RegentError('CONTROL_DATA_UNREADABLE', `could not read ${path}: ${ensureError(cause).message}`, {
      mend: 'run this on a node that has a data directory, as the user that owns it',
      cause,
    });
  }
}

function readArguments(argv: readonly string[]): Arguments | null {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { initialize: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help || positionals.length > 1) return null;
    return { path: positionals[0] ?? null, initialize: values.initialize === true };
  } catch {
    return null;
  }
}
