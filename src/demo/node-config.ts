/**
 * The files of a demo, as values: a normal Patroni file a node, and what etcd, the router and
 * regentctl are told.
 */
import { stringify } from 'yaml';
import { isMapping, patchMerge } from '../config/merge.ts';
import { RegentError } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import { type DemoPlan, type DemoSettings, type EtcdPlan, etcdEndpoints, type NodePlan } from './plan.ts';

export const SUPERUSER = { username: 'postgres', password: 'postgres' } as const;
const REPLICATION = { username: 'replicator', password: 'replicator' } as const;

/**
 * What the demo decides by itself; a `--config` file that names one of them would be silently
 * wrong.
 */
const OURS = [
  'name',
  'etcd',
  'etcd3',
  'restapi.listen',
  'restapi.connect_address',
  'postgresql.listen',
  'postgresql.connect_address',
  'postgresql.data_dir',
];

/**
 * Loses nothing and fails over quickly, where an agent's own defaults are Patroni's (30 / 10 / 10,
 * asynchronous).
 */
const DYNAMIC: JsonObject = {
  ttl: 10,
  loop_wait: 2,
  retry_timeout: 3,
  maximum_lag_on_failover: 1048576,
  synchronous_mode: 'quorum',
  postgresql: { use_pg_rewind: true, use_slots: true, parameters: { max_connections: 100, wal_keep_size: '128MB' } },
};

function baseConfig(plan: DemoPlan, node: NodePlan, postgresBin: string): JsonObject {
  return {
    scope: plan.cluster,
    name: node.name,
    etcd3: { hosts: etcdEndpoints(plan) },
    ctl: ctlSection(plan),
    restapi: { listen: `127.0.0.1:${node.restPort}`, connect_address: `127.0.0.1:${node.restPort}` },
    bootstrap: { dcs: DYNAMIC, initdb: [{ encoding: 'UTF8' }, { locale: 'C.UTF-8' }, 'data-checksums'] },
    postgresql: {
      listen: `127.0.0.1:${node.postgresPort}`,
      connect_address: `127.0.0.1:${node.postgresPort}`,
      data_dir: node.dataDir,
      bin_dir: postgresBin,
      pgpass: `${node.directory}/pgpass`,
      authentication: { superuser: SUPERUSER, replication: REPLICATION },
      parameters: {
        unix_socket_directories: plan.runDir,
        shared_buffers: '64MB',
        // Files in the data directory rather than in /dev/shm: a node killed with -9 then leaves
        // nothing outside it.
        dynamic_shared_memory_type: 'mmap',
      },
      pg_hba: [
        'local all all scram-sha-256',
        'host all all 127.0.0.1/32 scram-sha-256',
        'host all all ::1/128 scram-sha-256',
        `host replication ${REPLICATION.username} 127.0.0.1/32 scram-sha-256`,
      ],
    },
    watchdog: { mode: 'off' },
  };
}

/** Throws DEMO_CONFIG when the overrides name what the demo decides. */
export function checkOverrides(overrides: JsonObject): void {
  for (const path of OURS) {
    let value: unknown = overrides;
    for (const key of path.split('.')) value = isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    if (value === undefined) continue;
    throw new RegentError('DEMO_CONFIG', `${path} cannot be set by --config: the demo decides it for each node`, {
      mend: 'take it out; ports move with --base-port, files with --dir',
    });
  }
}

export function nodeConfig(plan: DemoPlan, node: NodePlan, settings: DemoSettings, postgresBin: string): JsonObject {
  return patchMerge(baseConfig(plan, node, postgresBin), settings.overrides);
}

export function nodeFile(plan: DemoPlan, node: NodePlan, settings: DemoSettings, postgresBin: string): string {
  return `# ${node.name} of a Regent demo: a normal Patroni file. Passwords in here are the demo's, known to everybody.\n${stringify(nodeConfig(plan, node, settings, postgresBin))}`;
}

export function ctlFile(plan: DemoPlan): string {
  return stringify({ scope: plan.cluster, etcd3: { hosts: etcdEndpoints(plan) }, ctl: ctlSection(plan) });
}

/** `health` needs no credentials here: the page is open to what is no browser. */
const ctlSection = (plan: DemoPlan): JsonObject => ({ haproxy_url: `http://127.0.0.1:${plan.haproxy.statsPort}/stats;csv` });

export function routerFile(plan: DemoPlan): string {
  return stringify({
    scope: plan.cluster,
    name: 'router',
    etcd3: { hosts: etcdEndpoints(plan) },
    router: { haproxy_socket: plan.haproxy.runtimeSocket },
  });
}

/** Flags of etcd 3.4 and newer (etcd.io/docs, "Configuration options"). */
export function etcdArguments(plan: DemoPlan, member: EtcdPlan): string[] {
  const client = `http://127.0.0.1:${member.clientPort}`;
  const peer = `http://127.0.0.1:${member.peerPort}`;
  return [
    `--name=${member.name}`,
    `--data-dir=${member.directory}/data`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=${plan.etcd.map((one) => `${one.name}=http://127.0.0.1:${one.peerPort}`).join(',')}`,
    // This demo must never join another one on this machine.
    `--initial-cluster-token=regent-demo-${plan.haproxy.writePort}`,
    '--initial-cluster-state=new',
    '--auto-compaction-retention=1',
    '--logger=zap',
    '--log-outputs=stderr',
  ];
}
