/** `regent demo [...]`: reads the command line and says what happened. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { isMapping } from '../config/merge.ts';
import { formatProblem } from '../config/problems.ts';
import { parseYaml } from '../config/yaml.ts';
import { codeOf, RegentError } from '../support/errors.ts';
import type { JsonObject } from '../support/json.ts';
import { alone } from './alone.ts';
import { ask, showLog, stopEverything } from './client.ts';
import { demoCommand } from './commands.ts';
import type { InstallTerms } from './install.ts';
import { findHead, haproxyPools, httpGet, writesGoTo } from './observe.ts';
import { defaultDirectory } from './place.ts';
import { DEFAULT_BASE_PORT, DEFAULT_NODES, type DemoPlan, type DemoSettings, NODES_MAX, planDemo, portsOf } from './plan.ts';
import { ephemeralPorts, ephemeralWarning } from './ports.ts';
import { prepareDemo } from './prepare.ts';
import { runningEntry } from './program.ts';
import { Progress } from './progress.ts';
import { removeFiles } from './remove.ts';
import { runDetached, runForeground, superviseMain } from './run.ts';
import { hasDemo, requireDemo } from './state.ts';
import { addresses, memberTable, processTable, psqlLine } from './words.ts';

const EXIT_DEGRADED = 1;
const EXIT_USAGE = 2;
/** As service scripts say "not running" (Linux Standard Base). */
const EXIT_NOT_RUNNING = 3;

interface UpOptions {
  readonly nodes?: number;
  readonly basePort?: number;
  readonly dir?: string;
  readonly config?: string;
  readonly detach?: boolean;
  readonly yes?: boolean;
}

function myUid(): number {
  return process.getuid?.() ?? -1;
}

function isRoot(): boolean {
  return myUid() === 0;
}

function directoryOf(options: { readonly dir?: string }): string {
  return options.dir === undefined ? defaultDirectory(process.env, myUid()) : resolve(options.dir);
}

function write(text: string): void {
  process.stdout.write(text);
}

function parseCount(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('Not a number.');
  return Number(text);
}

async function readOverrides(path: string): Promise<JsonObject> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new RegentError('DEMO_CONFIG', `${path} cannot be read (${codeOf(error) ?? error})`, {
      mend: 'check the name given to --config',
    });
  }
  const { raw, problems } = parseYaml(text, path);
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) {
    throw new RegentError('DEMO_CONFIG', errors.map(formatProblem).join('\n'), {
      mend: 'correct the YAML',
    });
  }
  return raw;
}

/** `demo: {stats: {username, password}}` is for the demo itself, all else for the nodes. */
function splitOverrides(raw: JsonObject): Pick<DemoSettings, 'overrides' | 'stats'> {
  const { demo, ...overrides } = raw;
  const stats = isMapping(demo) && isMapping(demo['stats']) ? demo['stats'] : {};
  const text = (key: string) => (typeof stats[key] === 'string' || typeof stats[key] === 'number' ? String(stats[key]) : 'admin');
  return { overrides, stats: { username: text('username'), password: text('password') } };
}

async function up(options: UpOptions): Promise<number> {
  const given = new Set(Object.keys(options));
  const settings: DemoSettings = {
    directory: directoryOf(options),
    nodes: options.nodes ?? DEFAULT_NODES,
    basePort: options.basePort ?? DEFAULT_BASE_PORT,
    ...splitOverrides(options.config === undefined ? {} : await readOverrides(options.config)),
  };
  return alone(settings.directory, () => start(options, settings, given));
}

async function start(options: UpOptions, settings: DemoSettings, given: ReadonlySet<string>): Promise<number> {
  const installTerms: InstallTerms = {
    consent: options.yes === true,
    isRoot: isRoot(),
    terminal: { interactive: process.stdin.isTTY === true && process.stdout.isTTY === true, input: process.stdin, output: process.stdout },
  };
  const progress = new Progress({ write, isTerminal: process.stdout.isTTY === true, columns: () => process.stdout.columns || 80 });
  progress.begin('checks');
  progress.waitingFor('programs, ports, directory');
  const prepared = await prepareDemo(settings, given, installTerms).finally(() => progress.end());
  const { programs, plan } = prepared;
  const warning = ephemeralWarning(
    portsOf(plan).map(({ port }) => port),
    prepared.marker.basePort,
    ephemeralPorts(),
  );
  if (warning !== null) write(`${warning}\n`);
  write(
    `PostgreSQL ${programs.postgresVersion}, etcd ${programs.etcd.version}, HAProxy ${programs.haproxy.version}; ${prepared.isNew ? 'new' : 'back'} in ${plan.directory}\n`,
  );
  const terms = { progress, write };
  return options.detach ? runDetached(prepared, terms) : runForeground(prepared, terms);
}

async function planOf(options: { readonly dir?: string }) {
  const { settings, marker } = await requireDemo(directoryOf(options));
  return { plan: planDemo(settings), marker, settings };
}

async function status(options: { readonly dir?: string }): Promise<number> {
  const { plan, marker } = await planOf(options);
  let state: Awaited<ReturnType<typeof ask>>['state'];
  try {
    state = (await ask(plan, { command: 'status' })).state;
  } catch (error) {
    if (codeOf(error) !== 'DEMO_NOT_RUNNING') throw error;
    write(`the demo in ${plan.directory} is not running; start it with: ${demoCommand('', plan.directory)}\n`);
    return EXIT_NOT_RUNNING;
  }
  const head = await findHead(plan);
  write(
    `${processTable(plan, state, Date.now())}\n\n${await memberTable(plan, await runningEntry())}\n\n${addresses(plan, marker.stats, head)}\n\n  ${psqlLine(plan.haproxy.writePort)}\n`,
  );
  return (await isWhole(plan)) ? 0 : EXIT_DEGRADED;
}

/**
 * One leader that takes the writes (none in a standby cluster), every node running by its own word,
 * and every node in the read pool. From there HAProxy takes one that is gone only after some
 * checks.
 */
async function isWhole(plan: DemoPlan): Promise<boolean> {
  const health = Promise.all(plan.nodes.map(({ restPort }) => httpGet(restPort, '/health')));
  const [leader, pools, answers] = await Promise.all([findHead(plan), haproxyPools(plan), health]);
  if (answers.some((answer) => answer?.status !== 200)) return false;
  return leader !== null && writesGoTo(pools, leader) && pools.read.length === plan.nodes.length;
}

async function nodeCommand(command: 'stop' | 'start' | 'kill', node: string, options: { readonly dir?: string }): Promise<number> {
  const { plan } = await planOf(options);
  write(`${(await ask(plan, { command, node })).message}\n`);
  return 0;
}

async function stop(node: string | undefined, options: { readonly dir?: string }): Promise<number> {
  if (node !== undefined) return nodeCommand('stop', node, options);
  const { plan } = await planOf(options);
  write(
    (await stopEverything(plan))
      ? `everything has stopped; the data stays: ${demoCommand('', plan.directory)} brings it back\n`
      : 'nothing was running\n',
  );
  return 0;
}

async function down(options: { readonly dir?: string }): Promise<number> {
  if (!(await hasDemo(directoryOf(options)))) {
    write(`nothing to remove: there is no demo in ${directoryOf(options)}\n`);
    return 0;
  }
  const { plan, marker } = await planOf(options);
  await stopEverything(plan);
  const foreign = await removeFiles(plan, marker.createdDirectory);
  write(
    foreign.length === 0
      ? `removed the demo in ${plan.directory}\n`
      : `removed the demo; these in ${plan.directory} are not its own and stay: ${foreign.join(', ')}\n`,
  );
  return 0;
}

async function logs(name: string, options: { readonly dir?: string; readonly follow?: boolean }): Promise<number> {
  const { plan } = await planOf(options);
  const known = [...plan.nodes, ...plan.etcd].map((entry) => entry.name).concat('haproxy', 'router', 'supervisor');
  if (!known.includes(name))
    throw new RegentError('DEMO_NODE', `there is no log of '${name}'`, { mend: `there are logs of: ${known.join(', ')}` });
  const stopper = new AbortController();
  process.once('SIGINT', () => stopper.abort());
  await showLog(`${plan.logDir}/${name}.log`, (chunk) => process.stdout.write(chunk), options.follow ? stopper.signal : null);
  return 0;
}

function unknownCommand(program: Command, word: string): never {
  const names = program.commands.map((command) => command.name()).filter((name) => name !== 'supervise');
  program.error(`error: unknown command '${word}'. There are: ${names.join(', ')}; without one a demo is started.`, {
    code: 'commander.unknownCommand',
    exitCode: EXIT_USAGE,
  });
}

function buildProgram(finish: (code: number) => void): Command {
  const program = new Command('regent demo')
    .description(
      `A highly available PostgreSQL cluster on this machine: PostgreSQL under ${DEFAULT_NODES} agents, 3 etcd and HAProxy, all on loopback.`,
    )
    .exitOverride()
    .enablePositionalOptions()
    .option('--nodes <n>', `PostgreSQL nodes, 1 to ${NODES_MAX} (default ${DEFAULT_NODES})`, parseCount)
    .option('--base-port <port>', `the write port, from which all others follow (default ${DEFAULT_BASE_PORT})`, parseCount)
    .option('--dir <directory>', `where everything lies (default ${defaultDirectory(process.env, myUid())})`)
    .option('--config <file>', 'YAML merged into every node’s patroni.yml; demo.stats.username and .password are for HAProxy’s page')
    .option('--detach', 'leave it running in the background')
    .option('--yes', 'install what is missing with sudo apt-get without asking')
    .allowExcessArguments()
    .action(async (options: UpOptions, { args }: Command) => {
      const [stray] = args;
      if (stray !== undefined) unknownCommand(program, stray);
      finish(await up(options));
    });
  const command = (usage: string, summary: string, hidden = false) =>
    program
      .command(usage, { hidden })
      .description(summary)
      .option('--dir <directory>', 'which demo')
      .exitOverride()
      .allowExcessArguments(false);
  // Options before the subcommand's name belong to it too: `regent demo --dir D status`.
  const dirOf = (options: { readonly dir?: string }): { readonly dir?: string } => {
    const dir = options.dir ?? program.opts<{ dir?: string }>().dir;
    return dir === undefined ? {} : { dir };
  };
  command('status', 'every process, the members, the addresses').action(async (options) => finish(await status(dirOf(options))));
  command('stop [node]', 'stop a node in order, or everything').action(async (node, options) => finish(await stop(node, dirOf(options))));
  command('start <node>', 'start a node that was stopped or killed').action(async (node, options) =>
    finish(await nodeCommand('start', node, dirOf(options))),
  );
  command('kill <node>', 'kill -9 of a node’s whole process tree').action(async (node, options) =>
    finish(await nodeCommand('kill', node, dirOf(options))),
  );
  command('logs <name>', 'the log of a node, of etcd1.., haproxy, router or supervisor')
    .option('-f, --follow', 'go on as it grows')
    .action(async (name, options) => finish(await logs(name, { ...dirOf(options), ...(options.follow ? { follow: true } : {}) })));
  command('down', 'stop everything and remove all that the demo made').action(async (options) => finish(await down(dirOf(options))));
  command('supervise', 'the background half of --detach', true).action(async (options) =>
    finish(await superviseMain(directoryOf(dirOf(options)))),
  );
  return program;
}

export async function demoMain(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = buildProgram((result) => {
    code = result;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    // Commander has printed its message already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    throw error;
  }
}
