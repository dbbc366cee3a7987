/**
 * The command line: every command with its arguments and options, and the file that has its code.
 * The code of a command is loaded only when the command runs.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { FORMATS, ROLES } from './choices.ts';
import type { GlobalOptions } from './config.ts';
import type { Ctx } from './context.ts';

/**
 * `words` are the command's arguments in order. A returned number is the exit code; nothing means
 * 0.
 */
export type Run = (ctx: Ctx, words: readonly string[], options: never) => Promise<number> | Promise<void>;

interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** As commander writes arguments: `[cluster]`, `<cluster>`, `[words...]`. */
  readonly words?: readonly string[];
  readonly options?: readonly (() => Option)[];
  readonly load: () => Promise<{ run: Run }>;
}

export interface Invocation {
  readonly load: () => Promise<{ run: Run }>;
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

const option = (flags: string, about: string) => () => new Option(flags, about);
const choice = (flags: string, about: string, choices: readonly string[], fallback?: string) => () => {
  const made = new Option(flags, about).choices(choices);
  return fallback === undefined ? made : made.default(fallback);
};
const repeated = (flags: string, about: string) => () =>
  new Option(flags, about).argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);

const CLUSTER = ['[cluster_name]'];
const MEMBERS = ['[cluster_name]', '[member_names...]'];
const force = option('--force', 'Do not ask for confirmation at any point');
const format = choice('-f, --format <format>', 'Output format', FORMATS, 'pretty');
const watch = [
  () => new Option('-w, --watch <seconds>', 'Update the screen every <seconds> seconds').argParser(seconds),
  option('-W', 'Update the screen every 2 seconds'),
];
const lsn = option('--lsn', 'Show positions and both lags instead of one lag in MB');
const wait = (what: string) => option('--wait', what);
const role = (about: string, fallback?: string) => choice('-r, --role <role>', about, ROLES, fallback);
const candidate = option('--candidate <name>', 'The name of the candidate');

const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'list',
    summary: 'List the members of a cluster',
    words: ['[cluster_names...]'],
    options: [
      option('-e, --extended', 'Show all columns, including empty ones'),
      option('-t, --timestamp', 'Print the time first'),
      lsn,
      format,
      ...watch,
    ],
    load: () => import('./commands/list.ts'),
  },
  {
    name: 'topology',
    summary: 'Show which member streams from which',
    words: ['[cluster_names...]'],
    options: [lsn, ...watch],
    load: () => import('./commands/topology.ts'),
  },
  {
    name: 'health',
    summary: 'Check members, etcd, replication lag and HAProxy; exit code 0 ok, 1 warning, 2 critical',
    words: CLUSTER,
    options: [
      choice('-f, --format <format>', 'Output format', ['pretty', 'json'], 'pretty'),
      option(
        '--haproxy-url <url>',
        'Statistics of HAProxy (REGENT_HAPROXY_URL, ctl.haproxy_url; default: http://127.0.0.1:7000/stats;csv)',
      ),
      option('--no-haproxy', 'Leave HAProxy out'),
      () => new Option('--max-lag-bytes <bytes>', 'Warn above this lag (default: maximum_lag_on_failover)').argParser(wholeNumber),
      () => new Option('--max-lag-seconds <seconds>', 'Warn above this lag').argParser(seconds).default(30),
      ...watch,
    ],
    load: () => import('./commands/health.ts'),
  },
  {
    name: 'advise',
    summary: 'Say how long each fault would last, what it could lose, what settings cost, and what would improve that',
    words: CLUSTER,
    options: [choice('-f, --format <format>', 'Output format', ['pretty', 'json', 'yaml', 'yml'], 'pretty')],
    load: () => import('./commands/advise.ts'),
  },
  {
    name: 'history',
    summary: 'Show the history of failovers and switchovers',
    words: CLUSTER,
    options: [format],
    load: () => import('./commands/history.ts'),
  },
  {
    name: 'switchover',
    summary: 'Switch over to a replica',
    words: CLUSTER,
    options: [
      option('--leader <name>', 'The name of the current leader'),
      option('--primary <name>', 'The same as --leader'),
      option('--master <name>', 'The same as --leader'),
      candidate,
      option('--scheduled <time>', 'When, in an unambiguous format (e.g. ISO 8601)'),
      force,
    ],
    load: () => import('./commands/switchover.ts'),
  },
  {
    name: 'failover',
    summary: 'Fail over to a replica',
    words: CLUSTER,
    options: [option('--leader <name>', 'The name of the current leader'), candidate, force],
    load: () => import('./commands/failover.ts'),
  },
  {
    name: 'restart',
    summary: 'Restart the PostgreSQL of members',
    words: MEMBERS,
    options: [
      role('Restart only members with this role', 'any'),
      option('--any', 'Restart a single member only'),
      option('--scheduled <time>', 'When, in an unambiguous format (e.g. ISO 8601)'),
      option('--pg-version <version>', 'Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)'),
      option('--pending', 'Restart if pending'),
      option('--timeout <time>', 'How long the restart may take before another member takes over from the leader'),
      option('--keep-going', 'Restart the remaining members even if one restart fails'),
      force,
    ],
    load: () => import('./commands/restart.ts'),
  },
  {
    name: 'reload',
    summary: 'Reload the configuration of members',
    words: MEMBERS,
    options: [role('Reload only members with this role', 'any'), force],
    load: () => import('./commands/reload.ts'),
  },
  {
    name: 'reinit',
    summary: 'Reinitialize a replica: replace its data with a new copy from the leader',
    words: MEMBERS,
    options: [
      force,
      option('--from-leader', 'Copy from the leader, even if another member is tagged clonefrom'),
      wait('Wait until the copy is complete'),
    ],
    load: () => import('./commands/reinit.ts'),
  },
  {
    name: 'pause',
    summary: 'Disable automatic failover',
    words: CLUSTER,
    options: [wait('Wait until all members have paused')],
    load: () => import('./commands/pause.ts'),
  },
  {
    name: 'resume',
    summary: 'Resume automatic failover',
    words: CLUSTER,
    options: [wait('Wait until all members have resumed')],
    load: () => import('./commands/resume.ts'),
  },
  {
    name: 'show-config',
    summary: 'Show the dynamic configuration',
    words: CLUSTER,
    load: () => import('./commands/show-config.ts'),
  },
  {
    name: 'edit-config',
    summary: 'Edit the dynamic configuration',
    words: CLUSTER,
    options: [
      option('-q, --quiet', 'Do not show the changes'),
      repeated('-s, --set <key=value>', 'Set a specific configuration value; may be given several times'),
      repeated('-p, --pg <name=value>', 'Set a specific PostgreSQL parameter; may be given several times'),
      option('--apply <file>', 'Apply changes from a YAML file, - for standard input'),
      option('--replace <file>', 'Replace everything by a YAML file, - for standard input'),
      force,
    ],
    load: () => import('./commands/edit-config.ts'),
  },
  {
    name: 'query',
    summary: 'Query the PostgreSQL of a member',
    words: CLUSTER,
    options: [
      option('-c, --command <sql>', 'The SQL to execute'),
      option('-f, --file <path>', 'Execute the SQL of this file, - for standard input'),
      choice('--format <format>', 'Output format', FORMATS, 'tsv'),
      () => new Option('--delimiter <text>', 'Column delimiter').default('\t', 'tab'),
      option('--password', 'Ask for the password'),
      option('-U, --username <name>', 'Database user name'),
      option('-d, --dbname <name>', 'Database name'),
      role('Query any member with this role (default: leader)'),
      option('-m, --member <name>', 'Query this member'),
      ...watch,
    ],
    load: () => import('./commands/query.ts'),
  },
  {
    name: 'dsn',
    summary: 'Print where to connect, by default to the leader',
    words: CLUSTER,
    options: [role('Any member with this role'), option('-m, --member <name>', 'This member')],
    load: () => import('./commands/dsn.ts'),
  },
  {
    name: 'remove',
    summary: 'Remove a cluster from etcd',
    words: ['<cluster_name>'],
    options: [format],
    load: () => import('./commands/remove.ts'),
  },
  {
    name: 'forget',
    summary: 'Forget a member that will not come back: [CLUSTER_NAME] MEMBER; every node drops its slot',
    words: ['<words...>'],
    options: [force],
    load: () => import('./commands/forget.ts'),
  },
  {
    name: 'flush',
    summary: 'Discard scheduled events: [CLUSTER_NAME] [MEMBER_NAMES]... {restart|switchover}',
    words: ['<words...>'],
    options: [role('Flush only members with this role', 'any'), force],
    load: () => import('./commands/flush.ts'),
  },
  {
    name: 'version',
    summary: 'Show the version of this tool, or of the members of a cluster',
    words: MEMBERS,
    load: () => import('./commands/version.ts'),
  },
];

export interface Parsed {
  readonly global: GlobalOptions;
  readonly invocation: Invocation | null;
}

export interface ParserOutput {
  write(text: string): void;
  /** Called with the command that was being parsed when the error was found. */
  failed(command: string): void;
}

/** Throws commander's CommanderError for help and for a wrong command line. */
export async function parseCommandLine(name: string, words: readonly string[], output: ParserOutput): Promise<Parsed> {
  let invocation: Invocation | null = null;
  const program = configured(new Command(name), output)
    .usage('[OPTIONS] COMMAND [ARGS]...')
    .description('Command-line interface for interacting with Regent and Patroni clusters.')
    .option('-c, --config-file <path>', 'Configuration file (PATRONICTL_CONFIG_FILE; default: ~/.config/patroni/patronictl.yaml)')
    .option('-d, --dcs-url <url>', 'Address of etcd, overrides the configuration file: etcd3://host:2379 (DCS_URL)')
    .option('--dcs <url>', 'The same as --dcs-url')
    .option('-k, --insecure', 'Allow connections to REST APIs without verifying certificates')
    .enablePositionalOptions();
  for (const spec of COMMANDS) {
    const command = configured(program.command(spec.name), output).description(spec.summary);
    for (const word of spec.words ?? []) command.argument(word);
    for (const make of spec.options ?? []) command.addOption(make());
    command.hook('preAction', () => output.failed(spec.name));
    command.action((...args: unknown[]) => {
      const given = args.slice(0, spec.words?.length ?? 0).flat();
      invocation = { load: spec.load, words: given.filter((word): word is string => typeof word === 'string'), options: command.opts() };
    });
  }
  await program.parseAsync([...words], { from: 'user' });
  const { configFile, dcsUrl, dcs, insecure } = program.opts<{ configFile?: string; dcsUrl?: string; dcs?: string; insecure?: boolean }>();
  const url = dcsUrl ?? dcs;
  const global = {
    ...(configFile === undefined ? {} : { configFile }),
    ...(url === undefined ? {} : { dcs: url }),
    ...(insecure === undefined ? {} : { insecure }),
  };
  return { global, invocation };
}

function configured(command: Command, output: ParserOutput): Command {
  return command
    .exitOverride((error) => {
      output.failed(command.name());
      throw error;
    })
    .configureOutput({ writeOut: (text) => output.write(text), writeErr: () => undefined })
    .helpOption('--help', 'Show this message and exit.')
    .helpCommand(false)
    .allowExcessArguments(false);
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || text.trim() === '') throw new InvalidArgumentError('not a number of seconds');
  return value;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === '') throw new InvalidArgumentError('not a whole number');
  return value;
}
