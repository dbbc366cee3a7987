/**
 * Patroni's command line, read as its library reads it: long options may be shortened as long as
 * one only is meant, and options may follow the file.
 */

export interface PatroniArguments {
  readonly mode: 'run' | 'help' | 'version' | 'validate' | 'generate-sample' | 'generate';
  readonly dsn: string | null;
  readonly ignoreListenPort: boolean;
  readonly print: boolean;
  readonly file: string | null;
}

const MODES = {
  '--validate-config': 'validate',
  '--generate-sample-config': 'generate-sample',
  '--generate-config': 'generate',
} as const;

const OTHERS = ['--help', '--version', '--dsn', '--ignore-listen-port', '--print'] as const;
const LONG: readonly string[] = [...Object.keys(MODES), ...OTHERS];
const SHORT: Readonly<Record<string, string>> = { h: '--help', i: '--ignore-listen-port', p: '--print' };

export function usageOf(program: string): string {
  const indent = ' '.repeat(`usage: ${program} `.length);
  return `usage: ${program} [-h] [--version]
${indent}[--validate-config | --generate-sample-config | --generate-config]
${indent}[--dsn DSN] [-i] [-p]
${indent}[configfile]
`;
}

export function helpOf(program: string): string {
  return `${usageOf(program)}
positional arguments:
  configfile            YAML file, or directory of them, that configures this
                        node; without it the PATRONI_* environment does. The
                        file to write, where a configuration is generated

options:
  -h, --help            show this text and exit
  --version             show the version of Patroni whose ways are followed,
                        and exit
  --validate-config     check the configuration as Patroni does and exit;
                        regent check-config tells more
  --generate-sample-config
                        write a configuration to start from
  --generate-config     write a configuration made from a running PostgreSQL
  --dsn DSN             how to connect to that PostgreSQL
  -i, --ignore-listen-port
                        with --validate-config: ports may be in use
  -p, --print           with --validate-config: print the configuration, with
                        passwords, if it is good
`;
}

/** A text: what is wrong with the arguments. */
export function readArguments(argv: readonly string[]): PatroniArguments | string {
  let mode: PatroniArguments['mode'] = 'run';
  let asked: string | null = null;
  let dsn: string | null = null;
  const flags = new Set<string>();
  const files: string[] = [];
  const words = [...argv.flatMap(separated)];
  for (let word = words.shift(), plain = false; word !== undefined; word = words.shift()) {
    if (plain || word === '-' || !word.startsWith('-')) {
      files.push(word);
      continue;
    }
    if (word === '--') {
      plain = true;
      continue;
    }
    const [given, value] = splitValue(word);
    const option = optionOf(given);
    if (typeof option !== 'string') return option.wrong;
    if (option === '--help' || option === '--version')
      return { mode: option === '--help' ? 'help' : 'version', dsn, ignoreListenPort: false, print: false, file: null };
    if (option === '--dsn') {
      const next = value ?? words.shift();
      if (next === undefined) return 'argument --dsn: expected one argument';
      dsn = next;
      continue;
    }
    if (value !== null) return `argument ${option}: ignored explicit argument '${value}'`;
    if (Object.hasOwn(MODES, option)) {
      if (asked !== null && asked !== option) return `argument ${option}: not allowed with argument ${asked}`;
      asked = option;
      mode = MODES[option as keyof typeof MODES];
    } else flags.add(option);
  }
  if (files.length > 1) return `unrecognized arguments: ${files.slice(1).join(' ')}`;
  return { mode, dsn, ignoreListenPort: flags.has('--ignore-listen-port'), print: flags.has('--print'), file: files[0] ?? null };
}

/** `-ip` is `-i -p`. */
function separated(word: string): readonly string[] {
  return /^-[a-z]{2,}$/i.test(word) ? [...word.slice(1)].map((letter) => `-${letter}`) : [word];
}

function splitValue(word: string): readonly [string, string | null] {
  const at = word.indexOf('=');
  return at === -1 ? [word, null] : [word.slice(0, at), word.slice(at + 1)];
}

function optionOf(given: string): string | { readonly wrong: string } {
  if (LONG.includes(given)) return given;
  const short = SHORT[given.slice(1)];
  if (!given.startsWith('--')) return short ?? { wrong: `unrecognized arguments: ${given}` };
  const meant = LONG.filter((option) => option.startsWith(given));
  if (meant.length === 1) return meant[0]!;
  return {
    wrong: meant.length === 0 ? `unrecognized arguments: ${given}` : `ambiguous option: ${given} could match ${meant.join(', ')}`,
  };
}
