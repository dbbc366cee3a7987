/**
 * Reads a command line as patronictl's own parser does, and says what is wrong with one in the same
 * words: scripts and fingers know them.
 */
import { closeMatches } from './close-matches.ts';

export interface OptionSpec {
  /** As a message lists them: `--format`, `-f`. */
  readonly names: readonly string[];
  /** What follows the name, in the help: `<seconds>`. Null: a switch. */
  readonly value: string | null;
  readonly about: string;
  readonly choices?: readonly string[];
  readonly fallback?: unknown;
  readonly shownFallback?: string;
  /** Every use counts, not only the last. */
  readonly repeated?: boolean;
  /** Throws BadValue. */
  readonly convert?: (text: string) => unknown;
}

export interface WordSpec {
  /** `CLUSTER_NAME`, or `{restart|switchover}`. */
  readonly name: string;
  readonly required: boolean;
  readonly many: boolean;
  readonly choices?: readonly string[];
}

export interface Syntax {
  readonly words: readonly WordSpec[];
  readonly options: readonly OptionSpec[];
}

export interface Line {
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly wantsHelp: boolean;
}

/** `hasUsage`: the usage line is shown with it. `mend`: a line after the message. */
export class WrongLine extends Error {
  readonly hasUsage: boolean;
  readonly mend: string | null;

  constructor(message: string, { hasUsage = true, mend = null }: { hasUsage?: boolean; mend?: string | null } = {}) {
    super(message);
    this.hasUsage = hasUsage;
    this.mend = mend;
  }
}

/** The end of the sentence `Invalid value for '-w': 'x' is not …`. */
export class BadValue extends Error {}

const HELP = '--help';

interface Split {
  readonly given: ReadonlyArray<readonly [OptionSpec, string | null]>;
  readonly words: readonly string[];
  /** What was not looked at: everything after the first word, where `stops` was asked for. */
  readonly rest: readonly string[];
  readonly wantsHelp: boolean;
}

/** `stops`: options are only those before the first word. */
export function splitLine(argv: readonly string[], options: readonly OptionSpec[], stops: boolean): Split {
  const left = [...argv];
  const given: [OptionSpec, string | null][] = [];
  const words: string[] = [];
  let wantsHelp = false;
  const take = (name: string, attached: string | null): void => {
    if (name === HELP && attached === null) {
      wantsHelp = true;
      return;
    }
    const option = options.find((one) => one.names.includes(name));
    if (option === undefined) throw noSuchOption(name, options);
    if (option.value === null) {
      if (attached !== null) throw new WrongLine(`Option '${name}' does not take a value.`, { hasUsage: false });
      given.push([option, null]);
      return;
    }
    const value = attached ?? left.shift();
    if (value === undefined) throw new WrongLine(`Option '${name}' requires an argument.`, { hasUsage: false });
    given.push([option, value]);
  };
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    if (word === '--') {
      words.push(...left.splice(0));
    } else if (word.startsWith('--')) {
      const [name = '', ...value] = word.split('=');
      take(name, value.length === 0 ? null : value.join('='));
    } else if (word.startsWith('-') && word !== '-') {
      takeShort(word, options, take);
    } else {
      words.push(word);
      if (stops) break;
    }
  }
  return { given, words, rest: left, wantsHelp };
}

/** Several letters in one word; what follows one that takes a value is its value. */
function takeShort(word: string, options: readonly OptionSpec[], take: (name: string, attached: string | null) => void): void {
  const letters = [...word.slice(1)];
  for (const [index, letter] of letters.entries()) {
    const option = options.find((one) => one.names.includes(`-${letter}`));
    const tail = letters.slice(index + 1).join('');
    const isValue = option !== undefined && option.value !== null && tail !== '';
    take(`-${letter}`, isValue ? tail : null);
    if (isValue) return;
  }
}

function noSuchOption(name: string, options: readonly OptionSpec[]): WrongLine {
  const long = options.flatMap(({ names }) => names.filter((one) => one.startsWith('--')));
  const near = name.startsWith('--') ? closeMatches(name, [...long, HELP]) : [];
  const hint = near.length === 1 ? ` Did you mean ${near[0]}?` : near.length > 1 ? ` (Possible options: ${near.sort().join(', ')})` : '';
  return new WrongLine(`No such option: ${name}${hint}`);
}

export function readLine(argv: readonly string[], syntax: Syntax): Line {
  const { given, words, wantsHelp } = splitLine(argv, syntax.options, false);
  if (wantsHelp) return { words: [], options: {}, wantsHelp };
  const options = valuesOf(given, syntax.options);
  return { words: placed(words, syntax.words), options, wantsHelp };
}

export function valuesOf(given: Split['given'], specs: readonly OptionSpec[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const spec of specs) if (spec.fallback !== undefined) values[keyOf(spec)] = spec.fallback;
  for (const [spec, text] of given) {
    const key = keyOf(spec);
    const value = text === null ? !isNegative(spec) : converted(spec, text);
    const before = values[key];
    values[key] = spec.repeated ? [...(Array.isArray(before) ? before : []), value] : value;
  }
  return values;
}

function converted(spec: OptionSpec, text: string): unknown {
  const wrong = (why: string) => new WrongLine(`Invalid value for ${spec.names.map((name) => `'${name}'`).join(' / ')}: ${why}`);
  if (spec.choices && !spec.choices.includes(text)) throw wrong(notOneOf(text, spec.choices));
  try {
    return spec.convert ? spec.convert(text) : text;
  } catch (error) {
    throw error instanceof BadValue ? wrong(error.message) : error;
  }
}

const notOneOf = (text: string, choices: readonly string[]) => `'${text}' is not one of ${choices.map((one) => `'${one}'`).join(', ')}.`;

/** `--no-haproxy` sets `haproxy` to false. */
const isNegative = ({ names }: OptionSpec) => names[0]!.startsWith('--no-');

/** The first long name, as a property: `dcsUrl`. */
function keyOf({ names }: OptionSpec): string {
  const name = (names.find((one) => one.startsWith('--')) ?? names[0]!).replace(/^--no-|^-+/, '');
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * A word that must be there and stands last is the last one given: those before it may be left out.
 */
function placed(words: readonly string[], specs: readonly WordSpec[]): string[] {
  const last = specs.at(-1);
  const left = [...words];
  if (last?.required && !last.many && specs.length > 1) {
    checkWord(last, left.at(-1), words.length);
  } else {
    for (const [index, spec] of specs.entries()) if (spec.required && index >= left.length) throw missing(spec);
  }
  const room = specs.some((spec) => spec.many) ? Number.POSITIVE_INFINITY : specs.length;
  const extra = left.slice(room);
  if (extra.length > 0) throw new WrongLine(`Got unexpected extra argument${extra.length > 1 ? 's' : ''} (${extra.join(' ')})`);
  return left;
}

function checkWord(spec: WordSpec, word: string | undefined, count: number): void {
  if (word === undefined) throw missing(spec);
  if (!spec.choices || spec.choices.includes(word)) return;
  // One word alone is the cluster's name.
  if (count === 1) throw missing(spec);
  throw new WrongLine(`Invalid value for '${spec.name}': ${notOneOf(word, spec.choices)}`);
}

function missing({ name, choices }: WordSpec): WrongLine {
  const list = choices ? ` Choose from:\n\t${choices.join(',\n\t')}` : '';
  return new WrongLine(`Missing argument '${name}'.${list}`);
}
