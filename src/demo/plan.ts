/**
 * Where everything of one demo lies: directories, ports and names, all derived from a few settings.
 * Nothing is read or written here.
 */
import { join } from 'node:path';
import { RegentError } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import { CTL_FILE } from './place.ts';

/** What is kept in the directory, so that later commands mean the same demo. */
export interface DemoSettings {
  readonly directory: string;
  readonly nodes: number;
  readonly basePort: number;
  /** Merged into every node's file; {} without `--config`. */
  readonly overrides: JsonObject;
  readonly stats: { readonly username: string; readonly password: string };
}

export interface NodePlan {
  readonly name: string;
  readonly directory: string;
  readonly dataDir: string;
  readonly configFile: string;
  readonly postgresPort: number;
  readonly restPort: number;
  readonly logFile: string;
}

export interface EtcdPlan {
  readonly name: string;
  readonly directory: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly logFile: string;
}

export interface DemoPlan {
  readonly directory: string;
  /** Sockets of PostgreSQL, HAProxy and the supervisor. */
  readonly runDir: string;
  readonly logDir: string;
  readonly cluster: string;
  readonly nodes: readonly NodePlan[];
  readonly etcd: readonly EtcdPlan[];
  readonly haproxy: {
    readonly writePort: number;
    readonly readPort: number;
    readonly statsPort: number;
    readonly configFile: string;
    readonly runtimeSocket: string;
    readonly logFile: string;
  };
  readonly router: { readonly configFile: string; readonly logFile: string };
  /** For regentctl: no secrets but what its user types. */
  readonly ctlFile: string;
  readonly controlSocket: string;
  readonly supervisorLog: string;
}

export const CLUSTER_NAME = 'postgres-cluster';
export const NODES_MAX = 9;
export const DEFAULT_NODES = 3;
export const DEFAULT_BASE_PORT = 5000;
const ETCD_MEMBERS = 3;

/**
 * Ports as distances from the base. With the default base of 5000 they are the tutorial's, except
 * those that a system's own PostgreSQL (5432) and etcd (2379, 2380) may hold.
 */
const OFFSET = { write: 0, read: 1, postgres: 433, stats: 2000, rest: 3008, etcd: 7379 } as const;
const OFFSET_MAX = OFFSET.etcd + 2 * ETCD_MEMBERS;

/** sockaddr_un holds 107 bytes and a NUL (unix(7)); HAProxy binds under a longer name first. */
const SOCKET_PATH_MAX = 107 - '.12345678.tmp'.length;
const LONGEST_SOCKET_NAME = '.s.PGSQL.65535.lock';

export const FILES = {
  marker: 'regent-demo.json',
  state: 'state.json',
  run: 'run',
  log: 'log',
  program: 'program',
} as const;

export function planDemo(settings: DemoSettings): DemoPlan {
  const { directory, basePort } = settings;
  const log = (name: string) => join(directory, FILES.log, `${name}.log`);
  const runDir = join(directory, FILES.run);
  return {
    directory,
    runDir,
    logDir: join(directory, FILES.log),
    cluster: CLUSTER_NAME,
    nodes: numbered('patroni', settings.nodes).map((name, index) => ({
      name,
      directory: join(directory, name),
      dataDir: join(directory, name, 'data'),
      configFile: join(directory, name, 'patroni.yml'),
      postgresPort: basePort + OFFSET.postgres + index,
      restPort: basePort + OFFSET.rest + index,
      logFile: log(name),
    })),
    etcd: numbered('etcd', ETCD_MEMBERS).map((name, index) => ({
      name,
      directory: join(directory, name),
      clientPort: basePort + OFFSET.etcd + 2 * index,
      peerPort: basePort + OFFSET.etcd + 2 * index + 1,
      logFile: log(name),
    })),
    haproxy: {
      writePort: basePort + OFFSET.write,
      readPort: basePort + OFFSET.read,
      statsPort: basePort + OFFSET.stats,
      configFile: join(directory, 'haproxy.cfg'),
      runtimeSocket: join(runDir, 'haproxy.sock'),
      logFile: log('haproxy'),
    },
    router: { configFile: join(directory, 'router.yml'), logFile: log('router') },
    ctlFile: join(directory, CTL_FILE),
    controlSocket: join(runDir, 'control.sock'),
    supervisorLog: log('supervisor'),
  };
}

function numbered(stem: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${stem}${index + 1}`);
}

/** Every port of the plan with what it is for. */
export function portsOf(plan: DemoPlan): ReadonlyArray<{ readonly port: number; readonly use: string }> {
  return [
    { port: plan.haproxy.writePort, use: 'HAProxy, for writes' },
    { port: plan.haproxy.readPort, use: 'HAProxy, for reads' },
    { port: plan.haproxy.statsPort, use: "HAProxy's statistics" },
    ...plan.nodes.flatMap((node) => [
      { port: node.postgresPort, use: `PostgreSQL of ${node.name}` },
      { port: node.restPort, use: `the REST API of ${node.name}` },
    ]),
    ...plan.etcd.flatMap((member) => [
      { port: member.clientPort, use: `clients of ${member.name}` },
      { port: member.peerPort, use: `peers of ${member.name}` },
    ]),
  ];
}

export function etcdEndpoints(plan: DemoPlan): string[] {
  return plan.etcd.map((member) => `127.0.0.1:${member.clientPort}`);
}

/** Throws DEMO_OPTION for what no machine could run. */
export function checkSettings(settings: DemoSettings): void {
  if (!Number.isInteger(settings.nodes) || settings.nodes < 1 || settings.nodes > NODES_MAX) {
    throw new RegentError('DEMO_OPTION', `--nodes ${settings.nodes}: not a number of nodes`, {
      mend: `give a number from 1 to ${NODES_MAX}`,
    });
  }
  const portMax = 65535 - OFFSET_MAX;
  if (!Number.isInteger(settings.basePort) || settings.basePort < 1024 || settings.basePort > portMax) {
    throw new RegentError('DEMO_OPTION', `--base-port ${settings.basePort}: the demo uses ports from there up to ${OFFSET_MAX} above it`, {
      mend: `give a port from 1024 to ${portMax}`,
    });
  }
  const longest = join(settings.directory, FILES.run, LONGEST_SOCKET_NAME);
  if (Buffer.byteLength(longest) > SOCKET_PATH_MAX) {
    throw new RegentError(
      'DEMO_OPTION',
      `the path ${settings.directory} is too long: Unix sockets below it would not fit the kernel's 107 bytes`,
      {
        mend: 'give a shorter one with --dir',
      },
    );
  }
}
