/** What a generated configuration has, whatever it is made from. */
import { hostname, networkInterfaces } from 'node:os';
import { type Environment, readEnvironment } from '../../config/env.ts';
import { own, patchMerge } from '../../config/merge.ts';
import { CONTROLLED, WAL_KEEP } from '../../pgconf/guc-table.ts';
import type { JsonObject, JsonValue } from '../../support/json.ts';
import { STORES } from '../schema.ts';
import { TO_FILL_IN } from './document.ts';

const REST_PORT = 8008;
const POSTGRES_PORT = 5432;

/** The host's first address that is not its own loopback; without one, its name. */
export function hostAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? hostname();
}

/** What the environment sets wins. `from`: what was found out. */
export function configOf(from: JsonObject, env: Environment, address = hostAddress()): JsonObject {
  const config = patchMerge(patchMerge(template(address), from), readEnvironment(env).raw);
  // Without a place for the cluster's state nothing starts.
  return STORES.some((name) => own(config, name) !== undefined) ? config : { ...config, etcd3: { hosts: TO_FILL_IN } };
}

function template(address: string): JsonObject {
  return {
    scope: TO_FILL_IN,
    name: hostname(),
    log: {
      type: 'plain',
      level: 'INFO',
      traceback_level: 'ERROR',
      format: '%(asctime)s %(levelname)s: %(message)s',
      max_queue_size: 1000,
    },
    restapi: { listen: `${address}:${REST_PORT}`, connect_address: `${address}:${REST_PORT}` },
    bootstrap: {
      dcs: { ttl: 30, loop_wait: 10, retry_timeout: 10, postgresql: { use_slots: true, parameters: controlledDefaults() } },
    },
    postgresql: {
      listen: `${address}:${POSTGRES_PORT}`,
      connect_address: `${address}:${POSTGRES_PORT}`,
      data_dir: TO_FILL_IN,
      authentication: {
        superuser: { username: 'postgres', password: TO_FILL_IN },
        replication: { username: 'replicator', password: TO_FILL_IN },
      },
    },
    tags: { failover_priority: 1, sync_priority: 1, noloadbalance: false, clonefrom: true, nosync: false, nostream: false },
  };
}

function controlledDefaults(): JsonObject {
  const rows = Object.entries(CONTROLLED).flatMap(([name, row]): [string, JsonValue][] =>
    'fallback' in row ? [[name, row.fallback]] : [],
  );
  return { ...Object.fromEntries(rows), wal_keep_size: WAL_KEEP.fallback };
}

export const REWIND_USER: JsonObject = { username: 'rewind_user', password: TO_FILL_IN };
