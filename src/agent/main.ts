/**
 * `regent agent [FILE]`: reads the configuration, puts the parts together, runs until told to end.
 */
import process from 'node:process';
import { createSystemClock } from '../adapters/clock/system.ts';
import { cachingLookup } from '../adapters/dns/lookup.ts';
import { identityFile } from '../adapters/etcd/identity-file.ts';
import { createEtcdDcs, type EtcdDcs } from '../adapters/etcd/store.ts';
import { createGuard } from '../adapters/guard/guard.ts';
import { type AgentLog, createLog } from '../adapters/log/log.ts';
import { createPeers, type HttpPeers } from '../adapters/peers/http-peers.ts';
import { createLinks, type SocketLinks } from '../adapters/peers/links.ts';
import { createPostgres } from '../adapters/postgres/adapter.ts';
import { inspectDataDir } from '../adapters/postgres/data-dir.ts';
import { serverPrograms } from '../adapters/postgres/programs.ts';
import { removeLeftScratch } from '../adapters/postgres/scratch.ts';
import { createServiceManager, type ServiceWords, takeServiceWords } from '../adapters/service/notify.ts';
import { createWatchdog } from '../adapters/watchdog/device.ts';
import { type RestServer, startRestServer } from '../api/server.ts';
import { configKeyNames } from '../config/conform.ts';
import { validateDynamicPatch } from '../config/dynamic.ts';
import { type LoadResult, loadLocal } from '../config/load.ts';
import { formatProblem } from '../config/problems.ts';
import { createSettingsSource } from '../config/source.ts';
import { memberOf } from '../core/cluster.ts';
import type { LocalSettings } from '../core/settings.ts';
import { withCarrier } from '../ports/carrier.ts';
import { endProcess } from '../support/end-process.ts';
import { codeOf, ensureError, RegentError } from '../support/errors.ts';
import { keepDebuggerClosed } from '../support/runtime.ts';
import { REGENT_VERSION } from '../version.ts';
import { Agent } from './agent.ts';
import { operatorPort } from './operator-port.ts';
import type { Parts } from './parts.ts';

/**
 * Containers and virtual machines come back with other addresses. So each round asks the resolver
 * again. While it does not answer, the old addresses are used.
 */
const MEMBER_FRESH_MS = 5000;

const USAGE = `usage: regent agent [FILE]

FILE is a Patroni configuration: a YAML file or a directory of them. Without it the PATRONI_* environment is the configuration.
regent check-config FILE checks one without starting anything.
`;

/** The process must not hang on after its work is done, whatever handle was left. */
const LINGER_MS = 1000;
/**
 * A person who renews certificates need not tell the agent: it finds changed files within this
 * time.
 */
const RENEW_CERTIFICATES_MS = 300_000;
/** Patroni has the same: nobody takes the log's lines any more. */
const EXIT_LOG_STUCK = 5;
/** Passwords of so many readings of the configuration are kept out of the log. */
const KNOWN_SETTINGS = 10;

/** `onRound` is called after every round of the loop. */
export async function agentMain(args: readonly string[], onRound: () => void): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (args.length > 1 || args[0]?.startsWith('-')) {
    process.stderr.write(USAGE);
    return 2;
  }
  refuseRoot();
  const path = args[0] ?? null;
  const serviceWords = takeServiceWords(process.env);
  // Children get no variable that configures the agent; a reload reads them again.
  const env = { ...process.env };
  const loaded = loadLocal({ path, env });
  for (const name of loaded.consumed) delete process.env[name];
  // A reload may bring other passwords; those from before may still be in use, or in a message.
  const known = [loaded.local];
  const log = createLog(loaded.local.log, {
    secrets: () => known.flatMap(secretsOf),
    publicWords: () => known.flatMap(publicWordsOf),
    keyNames: configKeyNames(),
  });
  const ended = await runAgent(path, { ...loaded, env, serviceWords }, log, onRound, (local) => {
    known.push(local);
    known.splice(0, Math.max(0, known.length - KNOWN_SETTINGS));
  });
  const { isStuck } = await log.close();
  const code = ended === 0 && isStuck ? EXIT_LOG_STUCK : ended;
  setTimeout(() => endProcess(code), LINGER_MS).unref();
  return code;
}

/**
 * PostgreSQL would refuse to start, but only after its directory had been made by the wrong user.
 */
function refuseRoot(): void {
  if (process.getuid?.() === 0) {
    throw new RegentError('RUN_AS_ROOT', 'the agent must not run as root, because PostgreSQL refuses to', {
      mend: 'run it as the user that owns the data directory, e.g. runuser -u postgres -- regent agent FILE',
    });
  }
}

async function runAgent(
  path: string | null,
  loaded: Loaded,
  log: AgentLog,
  onRound: () => void,
  onLocal: (local: LocalSettings) => void,
): Promise<number> {
  log.info(`Regent ${REGENT_VERSION}: member ${loaded.local.name} of cluster ${loaded.local.scope}, configured by ${loaded.source}`);
  for (const warning of loaded.warnings) log.warning(formatProblem(warning));
  await warnOfNoBootstrap(loaded.local, log);
  const parts = await createParts(path, loaded, log);
  const left = await removeLeftScratch(parts.clock.wallMs());
  if (left > 0) log.info(`directories of temporary files that killed agents had left: ${left} removed`);
  const agent = new Agent(parts);
  agent.rounds.onEnd(onRound);
  stopOnBugs(log);
  keepDebuggerClosed();
  // Before anything waits for etcd: whoever stops the agent counts on it to stop PostgreSQL.
  process.on('SIGTERM', () => agent.shutdown());
  process.on('SIGINT', () => agent.shutdown());
  process.on('SIGHUP', () => agent.reload());
  let rest: RestServer | null = null;
  let stopRenewing = () => {};
  try {
    await refuseDuplicate(parts);
    rest = await serveRest(parts, agent, log, onLocal);
    stopRenewing = keepCertificates(parts, rest);
    const code = await agent.run();
    // A guard that still has a deadline is not sent away: PostgreSQL may be running while no agent
    // renews the lease.
    await parts.guard.close({ end: code === 0 });
    return code;
  } catch (error) {
    log.critical(ensureError(error).message, { code: codeOf(error) });
    if (error instanceof RegentError && error.mend) log.critical(error.mend);
    await parts.guard.close({ end: false }).catch(() => undefined);
    return 1;
  } finally {
    stopRenewing();
    parts.links.close();
    await rest?.close();
    parts.links.close();
    parts.peers.close();
    parts.dcs.close();
    await parts.pg.close();
  }
}

/**
 * It does not matter where there is data. Where there is none, and no cluster, this member waits
 * for another one to make the cluster.
 */
async function warnOfNoBootstrap({ postgresql, bootstrapRefusal }: LocalSettings, log: AgentLog): Promise<void> {
  if (typeof bootstrapRefusal !== 'string' || (await inspectDataDir(postgresql.dataDir)).major !== null) return;
  log.warning(`this member joins a cluster and makes no new one: ${bootstrapRefusal}`);
}

async function serveRest(parts: RealParts, agent: Agent, log: AgentLog, onLocal: (local: LocalSettings) => void): Promise<RestServer> {
  const { clock, dcs, links, peers, settings } = parts;
  const rest = await startRestServer({
    operator: operatorPort(agent),
    settings: settings.local().restapi,
    log: log.named('patroni.api'),
    clock,
    peers,
    links,
    validateConfig: (raw) => validateDynamicPatch(raw),
  });
  agent.onReload(() => {
    onLocal(settings.local());
    void rest.reconfigure(settings.local().restapi);
    peers.renew();
    dcs.renewCertificates();
    log.reconfigure(settings.local().log);
  });
  return rest;
}

/** Returns what ends it. */
function keepCertificates({ clock, dcs, peers }: RealParts, rest: RestServer): () => void {
  let cancel = () => {};
  const again = () => {
    cancel = clock.timer(RENEW_CERTIFICATES_MS, () => {
      void rest.renewCertificates();
      peers.renew();
      dcs.renewCertificates();
      again();
    });
  };
  again();
  return () => cancel();
}

/** Named as Patroni's modules are: `log.loggers` has those names. */
const partLogs = (log: AgentLog) => ({
  config: log.named('patroni.config'),
  dcs: log.named('patroni.dcs.etcd3'),
  ha: log.named('patroni.ha'),
  postgresql: log.named('patroni.postgresql'),
  request: log.named('patroni.request'),
  watchdog: log.named('patroni.watchdog.base'),
});

/** What the process was given. */
interface Loaded extends LoadResult {
  readonly env: NodeJS.ProcessEnv;
  readonly serviceWords: ServiceWords;
}

type RealParts = Parts & { readonly dcs: EtcdDcs; readonly peers: HttpPeers; readonly links: SocketLinks };

async function createParts(path: string | null, { env, serviceWords, ...loaded }: Loaded, log: AgentLog): Promise<RealParts> {
  const { local } = loaded;
  const clock = createSystemClock();
  const logs = partLogs(log);
  const settings = createSettingsSource({ path, env, loaded, log: logs.config });
  const lookup = cachingLookup(clock, { freshMs: MEMBER_FRESH_MS });
  const peers = createPeers({ settings: () => settings.local(), log: logs.request, clock, lookup });
  const links = createLinks({ settings: () => settings.local(), tls: () => peers.tls(), clock, lookup, log: logs.request });
  const dcs = createEtcdDcs({
    settings: local.etcd,
    scope: local.scope,
    namespace: local.namespace,
    log: logs.dcs,
    clock,
    identity: identityFile(local.postgresql.dataDir, `regent etcd-replaced${path === null ? '' : ` ${path}`}`),
    login: () => settings.local().etcd,
    relay: { me: local.name, links },
  });
  const guard = createGuard({
    dataDir: local.postgresql.dataDir,
    label: `${local.scope}-${local.name}`,
    clock,
    log: logs.postgresql,
    exeNames: serverPrograms(settings.current()),
  });
  return {
    clock,
    log: logs.ha,
    settings,
    dcs,
    pg: createPostgres({ settings: settings.current(), clock, log: logs.postgresql, tether: guard }),
    peers,
    links: { ...withCarrier(links, dcs), accept: (opening) => links.accept(opening) },
    guard,
    watchdog: createWatchdog({ settings: () => settings.local().watchdog, clock, log: logs.watchdog }),
    service: createServiceManager(serviceWords, { log, clock }),
  };
}

/**
 * Two agents of one name would both believe that they hold one key. Any answer at our own published
 * address comes from another process.
 */
async function refuseDuplicate(parts: Parts): Promise<void> {
  const me = parts.settings.local().name;
  const { retryTimeoutSeconds } = parts.settings.current().dynamic;
  const view = await parts.dcs.read({ timeoutMs: retryTimeoutSeconds * 1000 }).catch(() => null);
  const namesake = view === null ? null : memberOf(view, me);
  if (namesake === null) return;
  const answers = await parts.peers.ask([namesake], { timeoutMs: 1000 });
  if (answers.size > 0) {
    throw new RegentError('DUPLICATE_NAME', `Can't start; there is already a node named '${me}' running`, {
      mend: 'give every member a name of its own, or stop the other agent first',
    });
  }
}

/** Everything that must never be printed. */
function secretsOf(local: LocalSettings): readonly string[] {
  const { postgresql, restapi, ctl, etcd } = local;
  const all = [
    postgresql.superuser.password,
    postgresql.replication.password,
    postgresql.rewind.password,
    restapi.authentication?.password,
    restapi.keyfilePassword,
    ctl.authentication?.password,
    ctl.keyfilePassword,
    etcd.password,
  ];
  return all.filter((secret): secret is string => typeof secret === 'string' && secret !== '');
}

/** The demo's superuser and its password are both `postgres`: a name stays readable. */
function publicWordsOf({ scope, name, namespace, postgresql }: LocalSettings): readonly string[] {
  return [scope, name, namespace, postgresql.database, postgresql.superuser.username, postgresql.replication.username];
}

/**
 * An unforeseen state is not one to lead in, so the process ends at once. The lease runs out, and
 * the guard has the last word.
 */
function stopOnBugs(log: AgentLog): void {
  const end = (error: unknown) => {
    const { message, stack } = ensureError(error);
    log.critical(`ending because of a bug: ${message}`, { stack });
    void log.close().finally(() => endProcess(1));
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}
