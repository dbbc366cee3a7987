/**
 * Real PostgreSQL for tests of the adapter: where its programs are, a temporary home its user may
 * write to, settings without surprises.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createSystemClock } from '../../../src/adapters/clock/system.ts';
import { createPostgres, type PostgresOptions } from '../../../src/adapters/postgres/adapter.ts';
import { findServerProcesses } from '../../../src/adapters/postgres/detect.ts';
import type { Source } from '../../../src/core/effects.ts';
import type { Credentials, PostgresSettings, Settings } from '../../../src/core/settings.ts';
import type { Log } from '../../../src/ports/log.ts';
import type { Postgres } from '../../../src/ports/postgres.ts';
import { someSettings } from '../../fixtures/agent.ts';
import { postgresOwner } from './bare-postgres.ts';
import { findBinDir } from './bin-dir.ts';

/**
 * A directory of PostgreSQL's user. `remove` ends every server that still runs in one of its data
 * directories.
 */
export async function temporaryHome(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = mkdtempSync(join(tmpdir(), 'regent-pg-'));
  const owner = postgresOwner();
  await chown(path, owner.uid, owner.gid);
  const remove = async () => {
    for (const entry of readdirSync(path)) {
      for (const process of findServerProcesses(join(path, entry))) {
        process.signal('SIGKILL');
        while (process.state() !== 'gone') await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    rmSync(path, { recursive: true, force: true });
  };
  return { path, remove };
}

/** A new cluster that leads: the directory is as any other's. */
export async function foundCluster(adapter: Postgres): Promise<Postgres> {
  await adapter.bootstrap({ timeoutMs: 60_000 });
  await adapter.markPublished();
  return adapter;
}

const role = (username: string): Credentials => ({ username, password: `${username} 'pass`, options: {} });

export interface NodeOptions {
  readonly home: string;
  readonly name: string;
  readonly port: number;
  readonly binDir?: string;
  readonly postgresql?: Partial<PostgresSettings>;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly bootstrap?: Partial<NonNullable<Settings['local']['bootstrap']>>;
  readonly dynamic?: Partial<Settings['dynamic']>;
}

/** Settings of one member listening on 127.0.0.1, with passwords, durability as in production. */
export function settingsFor(node: NodeOptions): Settings {
  const { local, dynamic, postgresql } = someSettings({
    restapi: { listenPort: 8008, connectAddress: '127.0.0.1:8008' },
    dynamic: { useSlots: false, ...node.dynamic },
    postgresql: {
      listenAddresses: '127.0.0.1',
      port: node.port,
      connectHost: '127.0.0.1',
      connectPort: node.port,
      dataDir: join(node.home, node.name),
      configDir: join(node.home, node.name),
      binDir: node.binDir ?? findBinDir(),
      pgpass: join(node.home, `${node.name}.pgpass`),
      superuser: role('postgres'),
      replication: role('replicator'),
      rewind: role('rewinder'),
      pgHba: ['local all all scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256'],
      basebackup: [
        { name: 'checkpoint', value: 'fast' },
        { name: 'no-sync', value: null },
      ],
      usePgRewind: true,
      ...node.postgresql,
    },
  });
  const bootstrap: Settings['local']['bootstrap'] = {
    dcs: {},
    method: 'initdb',
    initdb: [
      { name: 'encoding', value: 'UTF8' },
      { name: 'locale', value: 'C' },
    ],
    postBootstrap: null,
    pgHba: [],
    methodOptions: null,
    ...node.bootstrap,
  };
  const controlledParameters = {
    cluster_name: 'test',
    wal_level: 'replica',
    hot_standby: 'on',
    max_connections: '30',
    max_wal_senders: '10',
    max_prepared_transactions: '0',
    max_locks_per_transaction: '64',
    track_commit_timestamp: 'off',
    max_replication_slots: '10',
    max_worker_processes: '8',
    wal_log_hints: 'on',
    listen_addresses: postgresql.listenAddresses,
    port: String(node.port),
  };
  return {
    local: { ...local, scope: 'test', name: node.name, namespace: '/service/', etcd: { ...local.etcd, discover: false }, bootstrap },
    dynamic,
    postgresql,
    controlledParameters,
    parameters: { unix_socket_directories: node.home, ...node.parameters },
  };
}

export const sourceOf = (settings: Settings): Source => ({
  name: settings.local.name,
  host: settings.postgresql.connectHost,
  port: settings.postgresql.connectPort,
});

/** Collects what was logged, one line a message. */
export function recordingLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const at = (level: string) => (message: string, fields?: unknown) => {
    lines.push(`${level} ${message} ${fields === undefined ? '' : JSON.stringify(fields)}`);
  };
  return { lines, debug: at('debug'), info: at('info'), warning: at('warning'), error: at('error'), critical: at('critical') };
}

/** The adapter on a real clock, its programs under PostgreSQL's user. */
export function adapterFor(settings: Settings, log: Log = recordingLog(), more: Partial<PostgresOptions> = {}): Postgres {
  const root = process.getuid?.() === 0;
  return createPostgres({ settings, clock: createSystemClock(), log, ...(root ? { runAs: postgresOwner() } : {}), ...more });
}

/** One statement on a connection of its own, as the superuser. */
export async function sql<Row extends pg.QueryResultRow = pg.QueryResultRow>(
  settings: Settings,
  text: string,
  timeoutMs = 10_000,
): Promise<Row[]> {
  const { connectHost, connectPort, superuser } = settings.postgresql;
  const client = new pg.Client({
    host: connectHost,
    port: connectPort,
    user: superuser.username,
    password: superuser.password ?? '',
    database: 'postgres',
    ssl: false,
    connectionTimeoutMillis: 5000,
    query_timeout: timeoutMs,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

/**
 * Resolves with the first value that is not null or false; throws after the deadline, with what was
 * waited for. A look that fails is repeated.
 */
export async function eventually<T>(what: string, timeoutMs: number, look: () => Promise<T | null | false> | T | null | false): Promise<T> {
  for (const end = performance.now() + timeoutMs; ; ) {
    let cause: unknown;
    const value = await (async () => look())().catch((error: unknown) => {
      cause = error;
      return null;
    });
    if (value !== null && value !== false) return value;
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
