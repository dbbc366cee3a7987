/**
 * What `regent router` reads from the cluster's file: the address of etcd, and the section
 * `router`. The sections for an agent may be missing or wrong.
 */
import * as z from 'zod';
import { buildEtcd } from '../config/build-etcd.ts';
import { buildLog } from '../config/build-local.ts';
import { parseTolerant } from '../config/conform.ts';
import type { Environment } from '../config/env.ts';
import { examineLocal } from '../config/load.ts';
import { ConfigError } from '../config/problems.ts';
import { made } from '../config/setting.ts';
import { type LocalParsed, localTable } from '../config/table.ts';
import type { EtcdSettings, LogSettings } from '../core/settings.ts';
import { RegentError } from '../support/errors.ts';
import type { JsonValue } from '../support/json.ts';

export interface RouterSettings {
  readonly scope: string;
  readonly namespace: string;
  readonly etcd: EtcdSettings;
  readonly log: LogSettings;
  readonly socketPath: string;
  readonly backend: string;
  readonly readBackend: string;
  readonly reconcileMs: number;
  /** Problems elsewhere in the same sections that do not prevent the router from working. */
  readonly warnings: readonly string[];
}

const CONCERNS = new Set(['', 'scope', 'namespace', 'etcd', 'etcd3', 'log', 'router']);

const proxyName = z.string().regex(/^[A-Za-z0-9_.:-]+$/, "must be a name as HAProxy's file has it");

const routerSchema = z.strictObject({
  haproxy_socket: z.string().startsWith('/', "must be the absolute path of HAProxy's stats socket"),
  primary_backend: proxyName.default('postgres_primary'),
  replica_backend: proxyName.default('postgres_replicas'),
  reconcile_interval: z.coerce.number().min(0.5).max(3600).default(5),
});

/** Throws ConfigError, ROUTER_CONFIG. */
export function loadRouterSettings(path: string | null, env: Environment): RouterSettings {
  const examined = examineLocal({ path, env });
  const problems = examined.problems.filter((problem) => CONCERNS.has(problem.path.split('.')[0]!));
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) throw new ConfigError(errors);
  const parsed = parseTolerant(localTable, examined.raw).data;
  const own = readOwn(examined.raw['router']);
  return {
    scope: parsed.scope!,
    namespace: made(localTable, parsed).namespace,
    etcd: buildEtcd(parsed),
    log: logSettings(parsed.log),
    socketPath: own.haproxy_socket,
    backend: own.primary_backend,
    readBackend: own.replica_backend,
    reconcileMs: own.reconcile_interval * 1000,
    warnings: problems.map((problem) => `${problem.path}: ${problem.message}`),
  };
}

function readOwn(section: JsonValue | undefined): z.output<typeof routerSchema> {
  const result = routerSchema.safeParse(section ?? {});
  if (result.success) return result.data;
  const wrongs = result.error.issues.map((issue) => `${['router', ...issue.path].join('.')}: ${issue.message}`);
  throw new RegentError('ROUTER_CONFIG', wrongs.join('\n'), {
    mend: 'write such as `router: {haproxy_socket: /run/haproxy/admin.sock, primary_backend: postgres_primary}`',
  });
}

/**
 * Always standard error, because the log directory may belong to the agent that uses the same file.
 */
function logSettings(parsed: LocalParsed['log']): LogSettings {
  return { ...buildLog(parsed), dir: null, fileNum: 0, fileSizeBytes: 0, mode: null, deduplicateHeartbeatLogs: false };
}
