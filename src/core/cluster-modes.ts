/**
 * What the config key says of the cluster as a whole, read straight from the key. It serves tools
 * and answers that have no Settings at hand.
 */

import type { JsonObject, JsonValue } from '../support/json.ts';
import type { ClusterView } from './cluster.ts';

export interface ClusterModes {
  readonly paused: boolean;
  readonly synchronousMode: 'off' | 'on' | 'quorum';
  readonly standbyCluster: boolean;
}

export function clusterModes(view: ClusterView): ClusterModes {
  return modesOf(view.config?.data ?? {});
}

export function modesOf(config: JsonObject): ClusterModes {
  const wanted = config['synchronous_mode'];
  const quorum = typeof wanted === 'string' && wanted.toLowerCase() === 'quorum';
  const standbyCluster = isStandbyCluster(config['standby_cluster']);
  return {
    paused: isOn(config['pause']),
    synchronousMode: standbyCluster ? 'off' : quorum ? 'quorum' : isOn(wanted) ? 'on' : 'off',
    standbyCluster,
  };
}

/** Patroni's lenient booleans. */
function isOn(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null && ['on', 'true', 'yes', '1'].includes(String(value).toLowerCase());
}

/** The map alone is not enough: it must name somewhere to take WAL from. */
export function isStandbyCluster(value: JsonValue | undefined): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return ['host', 'port', 'restore_command'].some((key) => Boolean(value[key]));
}
