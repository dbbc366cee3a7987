/** What the supervisor runs: one entry a process, in the order in which they start. */
import { cleanEnvironment } from '../support/exec.ts';
import { etcdArguments } from './node-config.ts';
import type { DemoPlan, NodePlan } from './plan.ts';
import type { NodeMarks, ProcessIdentity } from './process-table.ts';
import type { Marker, ProcessKind } from './state.ts';

export interface ProcessSpec {
  readonly name: string;
  readonly kind: ProcessKind;
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** What SIGTERM is given before SIGKILL. */
  readonly graceMs: number;
}

/** Not REGENT_…: the agent keeps those from its children, and this is for finding them. */
const MARK_VARIABLE = 'DEMO_OF_REGENT_NODE';

export function marksOf(node: NodePlan, agent: ProcessIdentity | null): NodeMarks {
  return { dataDir: node.dataDir, environmentEntry: `${MARK_VARIABLE}=${node.directory}`, agent };
}

/**
 * Older releases of etcd call these architectures unsupported, and work on them once the variable
 * names one. Elsewhere the variable is ignored.
 */
const ETCD_ARCHITECTURES: Readonly<Record<string, string>> = { arm64: 'arm64', arm: 'arm', ia32: '386', riscv64: 'riscv64' };

export function processSpecs(plan: DemoPlan, marker: Marker, entry: string): ProcessSpec[] {
  const env = cleanEnvironment();
  for (const name of Object.keys(env)) if (name.startsWith('PG') || name.startsWith('ETCD_')) delete env[name];
  const architecture = ETCD_ARCHITECTURES[process.arch];
  const etcdEnv = architecture === undefined ? env : { ...env, ETCD_UNSUPPORTED_ARCH: architecture };
  const node = (args: readonly string[]) => ({ file: process.execPath, args: [entry, ...args] });
  return [
    ...plan.etcd.map((member) => ({
      name: member.name,
      kind: 'etcd' as const,
      file: marker.etcd,
      args: etcdArguments(plan, member),
      cwd: member.directory,
      env: etcdEnv,
      logFile: member.logFile,
      graceMs: 3000,
    })),
    ...plan.nodes.map((member) => ({
      name: member.name,
      kind: 'agent' as const,
      ...node(['agent', member.configFile]),
      cwd: member.directory,
      env: { ...env, [MARK_VARIABLE]: member.directory },
      logFile: member.logFile,
      graceMs: 15_000,
    })),
    {
      name: 'haproxy',
      kind: 'haproxy',
      file: marker.haproxy,
      args: ['-db', '-f', plan.haproxy.configFile],
      cwd: plan.directory,
      env,
      logFile: plan.haproxy.logFile,
      graceMs: 1000,
    },
    {
      name: 'router',
      kind: 'router',
      ...node(['router', plan.router.configFile]),
      cwd: plan.directory,
      env,
      logFile: plan.router.logFile,
      graceMs: 2000,
    },
  ];
}
