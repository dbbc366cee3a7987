/** `standby_cluster` of the dynamic configuration: the server that this cluster follows. */
import { isStandbyCluster } from '../core/cluster-modes.ts';
import type { Endpoint, StandbyClusterSettings } from '../core/settings.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { plural } from '../support/plural.ts';
import { readPort } from './hostport.ts';
import { isMapping, own } from './merge.ts';
import type { Finding } from './problems.ts';

const DEFAULT_PORT = 5432;
const KEYS = [
  'host',
  'port',
  'primary_slot_name',
  'restore_command',
  'archive_cleanup_command',
  'recovery_min_apply_delay',
  'create_replica_methods',
];

interface Read {
  readonly settings: StandbyClusterSettings | null;
  readonly findings: readonly Finding[];
}

/**
 * What cannot be read within it leaves it a standby cluster all the same: a node of one must not
 * become a primary by a slip of the pen.
 */
export function readStandbyCluster(value: JsonValue | undefined): Read {
  if (value === undefined || !isMapping(value) || !isStandbyCluster(value)) return { settings: null, findings: [] };
  const findings = unknown(value);
  const methods = own(value, 'create_replica_methods');
  const settings: StandbyClusterSettings = {
    endpoints: endpoints(value, findings),
    primarySlotName: text(value, 'primary_slot_name', findings),
    restoreCommand: text(value, 'restore_command', findings),
    archiveCleanupCommand: text(value, 'archive_cleanup_command', findings),
    recoveryMinApplyDelay: text(value, 'recovery_min_apply_delay', findings),
    createReplicaMethods: Array.isArray(methods) ? methods.map(String) : methods ? [String(methods)] : [],
  };
  return { settings, findings };
}

const unknown = (value: JsonObject): Finding[] =>
  Object.keys(value)
    .filter((key) => !KEYS.includes(key))
    .map((key) => ({
      path: ['standby_cluster', key],
      message: `unknown key '${key}'`,
      mend: `the keys are ${KEYS.join(', ')}`,
      severity: 'warning',
    }));

function text(value: JsonObject, key: string, findings: Finding[]): string | null {
  const given = own(value, key);
  if (given === undefined || given === null || given === '') return null;
  if (typeof given === 'object') {
    findings.push({ path: ['standby_cluster', key], message: 'not a text; it is ignored', mend: `write '${key}: …'`, severity: 'error' });
    return null;
  }
  return String(given);
}

/** As libpq pairs them: one port for all hosts, or one each. */
function endpoints(value: JsonObject, findings: Finding[]): readonly Endpoint[] {
  const [host, port] = [text(value, 'host', findings), text(value, 'port', findings)];
  if (host === null && port === null) return [];
  const hosts = (host ?? 'localhost').split(',').map((part) => part.trim());
  const ports = (port ?? String(DEFAULT_PORT)).split(',').map((part) => part.trim());
  const wrong = ports.find((part) => part !== '' && readPort(part) === null);
  if (wrong !== undefined || (ports.length > 1 && ports.length !== hosts.length)) {
    const message =
      wrong === undefined
        ? `${plural(hosts.length, 'host')} and ${plural(ports.length, 'port')}`
        : `'${wrong}' is no port; ${DEFAULT_PORT} is used`;
    findings.push({
      path: ['standby_cluster', 'port'],
      message,
      mend: "write one port for all hosts, or one each: '5432,5433'",
      severity: 'error',
    });
  }
  return hosts.map((name, i) => ({ host: name, port: readPort(ports[ports.length === 1 ? 0 : i] ?? '') ?? DEFAULT_PORT }));
}
