/**
 * `regent COMMAND ...`: finds the command and loads only what it needs.
 *
 * Nothing is imported statically beyond what an old Node can read, so that the version check below
 * is what its user sees.
 */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** Takes the arguments after the command's name; resolves to the exit code. */
type Command = (args: readonly string[]) => Promise<number>;

/** One line of the help, and what loads the command. */
export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

export type Commands = Readonly<Record<string, CommandEntry>>;

const OLDEST_NODE = [20, 19] as const;
const EXIT_USAGE = 2;

/**
 * The commands of those who change Regent (`tools/workshop.ts`). They are bundled apart, because
 * what is installed on hosts and in images is made from `src/` alone.
 */
const WORKSHOP = new URL('./workshop.js', import.meta.url);

async function loadAgent(): Promise<Command> {
  // Before the agent itself is loaded, because that loading would be optimized most.
  const onRound = (await import('./support/runtime.ts')).optimizeOnceBusy();
  const { agentMain } = await import('./agent/main.ts');
  return (args) => agentMain(args, onRound);
}

const COMMANDS: Commands = {
  demo: {
    summary: 'a three-node cluster on this machine, to try and to break',
    load: async () => (await import('./demo/main.ts')).demoMain,
  },
  agent: {
    summary: 'run the agent of one PostgreSQL: regent agent FILE',
    load: loadAgent,
  },
  router: {
    summary: 'keep HAProxy pointed at the primary: regent router FILE',
    load: async () => (await import('./router/main.ts')).routerMain,
  },
  'check-config': {
    summary: 'tell all that is wrong with a configuration file',
    load: async () => {
      const { checkConfig } = await import('./config/check.ts');
      return (args) => checkConfig(args, process);
    },
  },
  'etcd-replaced': {
    summary: 'confirm on a node that its etcd was made again or restored: regent etcd-replaced FILE',
    load: async () => {
      const { etcdReplaced } = await import('./etcd-replaced/main.ts');
      return (args) => etcdReplaced(args, process.stdout);
    },
  },
  version: {
    summary: 'print the version',
    load: async () => {
      const { REGENT_VERSION } = await import('./version.ts');
      return async () => print(`regent ${REGENT_VERSION}`);
    },
  },
  help: { summary: 'print this list', load: async () => async () => print(await helpText()) },
};

const ALIASES: Readonly<Record<string, string>> = { '--help': 'help', '-h': 'help', '--version': 'version', '-V': 'version' };

function print(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

async function workshopCommands(): Promise<Commands> {
  if (!existsSync(fileURLToPath(WORKSHOP))) return {};
  const { WORKSHOP_COMMANDS }: { readonly WORKSHOP_COMMANDS: Commands } = await import(WORKSHOP.href);
  return WORKSHOP_COMMANDS;
}

async function helpText(): Promise<string> {
  const workshop = await workshopCommands();
  const width = Math.max(...Object.keys({ ...COMMANDS, ...workshop }).map((name) => name.length));
  const linesOf = (commands: Commands) => Object.entries(commands).map(([name, entry]) => `  ${name.padEnd(width)}  ${entry.summary}`);
  return [
    'usage: regent COMMAND [ARGUMENT ...]',
    '',
    ...linesOf(COMMANDS),
    ...(Object.keys(workshop).length > 0 ? ['', 'Of a checkout, for those who change Regent:', ...linesOf(workshop)] : []),
    '',
    'regent COMMAND --help tells more. The operator’s tool is regentctl (also patronictl).',
  ].join('\n');
}

/** The launcher tells, because its exec hides the name. */
const calledPatroni = () => process.env['REGENT_PROGRAM'] === 'patroni';

function nodeIsTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]);
}

function complain(error: unknown): number {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${calledPatroni() ? 'patroni' : 'regent'}: ${text}\n`);
  const mend = error instanceof Error && 'mend' in error ? error.mend : null;
  if (typeof mend === 'string') process.stderr.write(`  mend: ${mend}\n`);
  if (error instanceof Error && !('policy' in error && error.policy !== 'bug')) process.stderr.write(`${error.stack ?? ''}\n`);
  return 1;
}

async function main(args: readonly string[]): Promise<number> {
  if (nodeIsTooOld(process.versions.node)) {
    process.stderr.write(`regent: Node ${process.versions.node} is too old: 20.19 or newer is needed (this one is ${process.execPath}).\n`);
    return 1;
  }
  if (calledPatroni()) {
    const { patroniMain } = await import('./patroni/main.ts');
    return patroniMain(args, 'patroni', process, async (agentArgs) => (await loadAgent())(agentArgs));
  }
  const [given, ...rest] = args;
  if (given === undefined) {
    process.stderr.write(`${await helpText()}\n`);
    return EXIT_USAGE;
  }
  const name = ALIASES[given] ?? given;
  const commands = Object.hasOwn(COMMANDS, name) ? COMMANDS : { ...COMMANDS, ...(await workshopCommands()) };
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!entry) {
    process.stderr.write(`regent: unknown command '${given}'. There are: ${Object.keys(commands).join(', ')}.\n`);
    return EXIT_USAGE;
  }
  return (await entry.load())(rest);
}

// No process.exit: what a command has written must reach a slow pipe first.
main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = complain(error);
  },
);
