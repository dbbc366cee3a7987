/**
 * The command line: every command with its arguments and options, and the file that has its code.
 * The code of a command is loaded only when the command runs.
 */
import { FORMATS, ROLES } from './choices.ts';
import { closeMatches } from './close-matches.ts';
import {
  BadValue,
  type Line,
  type OptionSpec,
  readLine,
  type Syntax,
  splitLine,
  valuesOf,
  type WordSpec,
  WrongLine,
} from './command-line.ts';
import type { GlobalOptions } from './config.ts';
import type { Ctx } from './context.ts';
import { helpText, PROGRAM_WORDS, usageLine } from './usage.ts';

/**
 * `words` are the command's arguments in order. A returned number is the exit code; nothing means
 * 0.
 */
export type Run = (ctx: Ctx, words: readonly string[], options: never) => Promise<number> | Promise<void>;

interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** `[cluster_name]` may be left out; `...` takes several; `{a|b}` is one of these. */
  readonly words?: readonly string[];
  readonly options?: readonly OptionSpec[];
  /** Without --group, it means the group that the configuration names. */
  readonly isOwnGroup?: boolean;
  readonly load: () => Promise<{ run: Run }>;
}

export interface Invocation {
  readonly load: () => Promise<{ run: Run }>;
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly isOwnGroup: boolean;
  /** For a mistake that the command itself finds in its line. */
  readonly usage: string;
}

/** `flags`: the names as a message lists them, and what follows them: `--format, -f <format>`. */
function option(flags: string, about: string, more: Partial<OptionSpec> = {}): OptionSpec {
  const [names = '', value] = flags.split(' <');
  return { names: names.split(','), value: value === undefined ? null : `<${value}`, about, ...more };
}
const choice = (flags: string, about: string, choices: readonly string[], fallback?: string) =>
  option(flags, about, fallback === undefined ? { choices } : { choices, fallback });
const repeated = (flags: string, about: string) => option(flags, about, { repeated: true });

const CLUSTER = ['[cluster_name]'];
const MEMBERS = ['[cluster_name]', '[member_names...]'];
const force = option('--force', 'Do not ask for confirmation at any point');
const format = choice('--format,-f <format>', 'Output format', FORMATS, 'pretty');
const watch = [
  option('-w,--watch <seconds>', 'Update the screen every <seconds> seconds', { convert: seconds }),
  option('-W', 'Update the screen every 2 seconds'),
];
const group = option('--group <integer>', 'The group, of a Citus cluster', { convert: integer });
const lsn = [
  option('--lsn', "Show Patroni 4.1's columns: positions and both lags"),
  option('--no-lsn', 'Show one column: Lag in MB (REGENT_LIST_LSN and ctl.list_lsn say on or off)'),
];
const wait = (what: string) => option('--wait', what);
const role = (about: string, fallback?: string) => choice('--role,-r <role>', about, ROLES, fallback);
const candidate = option('--candidate <name>', 'The name of the candidate');

const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'list',
    summary: 'List the members of a cluster',
    words: ['[cluster_names...]'],
    options: [
      option('-e,--extended', 'Show all columns, including empty ones'),
      option('-t,--timestamp', 'Print the time first'),
      ...lsn,
      option('--unavailable', 'Also in json, yaml and tsv: find out which members do not answer'),
      format,
      ...watch,
    ],
    load: () => import('./commands/list.ts'),
  },
  {
    name: 'topology',
    summary: 'Show which member streams from which',
    words: ['[cluster_names...]'],
    options: [...lsn, ...watch],
    load: () => import('./commands/topology.ts'),
  },
  {
    name: 'health',
    summary: 'Check members, etcd, replication lag and HAProxy; exit code 0 ok, 1 warning, 2 critical',
    words: CLUSTER,
    options: [
      choice('--format,-f <format>', 'Output format', ['pretty', 'json'], 'pretty'),
      option(
        '--haproxy-url <url>',
        'Statistics of HAProxy (REGENT_HAPROXY_URL, ctl.haproxy_url; default: http://127.0.0.1:7000/stats;csv)',
      ),
      option('--no-haproxy', 'Leave HAProxy out'),
      option('--max-lag-bytes <bytes>', 'Warn above this lag (default: maximum_lag_on_failover)', { convert: wholeNumber }),
      option('--max-lag-seconds <seconds>', 'Warn above this lag', { convert: seconds, fallback: 30 }),
      ...watch,
    ],
    load: () => import('./commands/health.ts'),
  },
  {
    name: 'advise',
    summary: 'Say how long each fault would last, what it could lose, what settings cost, and what would improve that',
    words: CLUSTER,
    options: [choice('--format,-f <format>', 'Output format', ['pretty', 'json', 'yaml', 'yml'], 'pretty')],
    load: () => import('./commands/advise.ts'),
  },
  {
    name: 'history',
    summary: 'Show the history of failovers and switchovers',
    words: CLUSTER,
    options: [format],
    isOwnGroup: true,
    load: () => import('./commands/history.ts'),
  },
  {
    name: 'switchover',
    summary: 'Switch over to a replica',
    words: CLUSTER,
    options: [
      option('--leader,--primary,--master <name>', 'The name of the current leader'),
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
    isOwnGroup: true,
    load: () => import('./commands/pause.ts'),
  },
  {
    name: 'resume',
    summary: 'Resume automatic failover',
    words: CLUSTER,
    options: [wait('Wait until all members have resumed')],
    isOwnGroup: true,
    load: () => import('./commands/resume.ts'),
  },
  {
    name: 'demote-cluster',
    summary: 'Make the cluster a standby cluster, which follows a server elsewhere',
    words: CLUSTER,
    options: [
      force,
      option('--host <host>', 'Address of the server to follow; several separated by commas'),
      option('--port <port>', 'Port of that server', { convert: wholeNumber }),
      option('--restore-command <command>', 'Command that fetches WAL from an archive'),
      option('--primary-slot-name <slot>', 'Slot to use on that server'),
    ],
    load: () => import('./commands/demote-cluster.ts'),
  },
  {
    name: 'promote-cluster',
    summary: 'Make a standby cluster a cluster of its own, which takes writes',
    words: CLUSTER,
    options: [force],
    load: () => import('./commands/promote-cluster.ts'),
  },
  {
    name: 'show-config',
    summary: 'Show the dynamic configuration',
    words: CLUSTER,
    isOwnGroup: true,
    load: () => import('./commands/show-config.ts'),
  },
  {
    name: 'edit-config',
    summary: 'Edit the dynamic configuration',
    words: CLUSTER,
    options: [
      option('-q,--quiet', 'Do not show the changes'),
      repeated('-s,--set <key=value>', 'Set a specific configuration value; may be given several times'),
      repeated('-p,--pg <name=value>', 'Set a specific PostgreSQL parameter; may be given several times'),
      option('--apply <file>', 'Apply changes from a YAML file, - for standard input'),
      option('--replace <file>', 'Replace everything by a YAML file, - for standard input'),
      force,
    ],
    isOwnGroup: true,
    load: () => import('./commands/edit-config.ts'),
  },
  {
    name: 'query',
    summary: 'Query the PostgreSQL of a member',
    words: CLUSTER,
    options: [
      option('-c,--command <sql>', 'The SQL to execute'),
      option('-f,--file <path>', 'Execute the SQL of this file, - for standard input'),
      choice('--format <format>', 'Output format', FORMATS, 'tsv'),
      option('--delimiter <text>', 'Column delimiter', { fallback: '\t', shownFallback: 'tab' }),
      option('--password', 'Ask for the password'),
      option('-U,--username <name>', 'Database user name'),
      option('-d,--dbname <name>', 'Database name'),
      role('Query any member with this role (default: leader)'),
      option('-m,--member <name>', 'Query this member'),
      ...watch,
    ],
    load: () => import('./commands/query.ts'),
  },
  {
    name: 'dsn',
    summary: 'Print where to connect, by default to the leader',
    words: CLUSTER,
    options: [role('Any member with this role'), option('-m,--member <name>', 'This member')],
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
    summary: 'Forget a member that will not come back; every node drops its slot',
    words: ['[cluster_name]', '<member_name>'],
    options: [force],
    load: () => import('./commands/forget.ts'),
  },
  {
    name: 'flush',
    summary: 'Discard scheduled events',
    words: ['[cluster_name]', '[member_names...]', '{restart|switchover}'],
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

const GLOBAL: readonly OptionSpec[] = [
  option('-c,--config-file <path>', 'Configuration file (PATRONICTL_CONFIG_FILE; default: ~/.config/patroni/patronictl.yaml)'),
  option('-d,--dcs-url,--dcs <url>', 'Address of etcd, overrides the configuration file: etcd3://host:2379 (DCS_URL)'),
  option('-k,--insecure', 'Allow connections to REST APIs without verifying certificates'),
];
const ABOUT = 'Command-line interface for interacting with Regent and Patroni clusters.';
const PROGRAM: Syntax = { words: PROGRAM_WORDS, options: GLOBAL };

export type Parsed = { readonly help: string } | { readonly help: null; readonly global: GlobalOptions; readonly invocation: Invocation };

/** A command line that cannot be read. `usage`: what to show above the message; null: nothing. */
export class WrongUsage extends Error {
  readonly usage: string | null;
  readonly mend: string | null;

  constructor(cause: WrongLine, usage: string) {
    super(cause.message);
    this.usage = cause.hasUsage ? usage : null;
    this.mend = cause.mend;
  }
}

/** Throws WrongUsage. `name`: as the program was called. */
export function parseCommandLine(name: string, argv: readonly string[]): Parsed {
  const usage = usageOf(name, PROGRAM);
  const { given, words, rest, wantsHelp } = told(usage, () => splitLine(argv, GLOBAL, true));
  const commands = COMMANDS.map((spec) => [spec.name, spec.summary] as const).sort(([a], [b]) => (a < b ? -1 : 1));
  if (wantsHelp || argv.length === 0) return { help: helpText(name, PROGRAM, ABOUT, commands) };
  const global = told(usage, () => valuesOf(given, GLOBAL));
  const spec = told(usage, () => commandOf(words[0]));
  const called = `${name} ${spec.name}`;
  const syntax: Syntax = { words: (spec.words ?? []).map(wordOf), options: [...(spec.options ?? []), group] };
  const line: Line = told(usageOf(called, syntax), () => readLine(rest, syntax));
  if (line.wantsHelp) return { help: helpText(called, syntax, spec.summary) };
  const { load, isOwnGroup = false } = spec;
  const invocation = { load, words: line.words, options: line.options, isOwnGroup, usage: usageOf(called, syntax) };
  return { help: null, global: globalOf(global), invocation };
}

function usageOf(called: string, syntax: Syntax): string {
  return `${usageLine(called, syntax)}\nTry '${called} --help' for help.\n`;
}

function told<T>(usage: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof WrongLine ? new WrongUsage(error, usage) : error;
  }
}

function commandOf(name: string | undefined): CommandSpec {
  if (name === undefined) throw new WrongLine('Missing command.');
  const spec = COMMANDS.find((one) => one.name === name);
  if (spec !== undefined) return spec;
  const [near] = closeMatches(
    name,
    COMMANDS.map((one) => one.name),
  );
  throw new WrongLine(`No such command '${name}'.`, { mend: near === undefined ? null : `Did you mean ${near}?` });
}

function wordOf(text: string): WordSpec {
  const name = text.replace(/[[\]<>]|\.\.\./g, '').toUpperCase();
  const choices = /^\{(.*)\}$/.exec(text)?.[1]?.split('|');
  if (choices) return { name: text, required: true, many: false, choices };
  return { name, required: text.startsWith('<'), many: text.includes('...') };
}

function globalOf({ configFile, dcsUrl, insecure }: Record<string, unknown>): GlobalOptions {
  return {
    ...(typeof configFile === 'string' ? { configFile } : {}),
    ...(typeof dcsUrl === 'string' ? { dcs: dcsUrl } : {}),
    ...(insecure === true ? { insecure } : {}),
  };
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || text.trim() === '') throw new BadValue(`'${text}' is not a valid float.`);
  return value;
}

function integer(text: string): number {
  if (!/^\s*[+-]?\d+\s*$/.test(text)) throw new BadValue(`'${text}' is not a valid integer.`);
  return Number(text);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === '') throw new BadValue(`'${text}' is not a valid integer.`);
  return value;
}
