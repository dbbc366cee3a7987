/** Usage lines and help, in the form of patronictl's. */
import type { OptionSpec, Syntax, WordSpec } from './command-line.ts';

const WIDTH = 80;
/** Names longer than this stand on a line of their own. */
const NAMES_WIDTH = 30;
const HELP: OptionSpec = { names: ['--help'], value: null, about: 'Show this message and exit.' };

/** `called`: the program's name, and the command's. */
export function usageLine(called: string, syntax: Syntax): string {
  return wrapped(`Usage: ${called} `, ['[OPTIONS]', ...syntax.words.map(shownWord)]);
}

export const PROGRAM_WORDS: readonly WordSpec[] = [
  { name: 'COMMAND', required: true, many: false },
  { name: 'ARGS', required: false, many: true },
];

function shownWord({ name, required, many }: WordSpec): string {
  const shown = required ? name : `[${name}]`;
  return many ? `${shown}...` : shown;
}

export function helpText(called: string, syntax: Syntax, about: string, commands: ReadonlyArray<readonly [string, string]> = []): string {
  const options = [...syntax.options, HELP].map((one) => [namesOf(one), aboutOf(one)] as const);
  const parts = [`${usageLine(called, syntax)}\n`, wrapped('  ', about.split(' ')), `\nOptions:\n${listed(options)}`];
  if (commands.length > 0) parts.push(`\nCommands:\n${listed(commands)}`);
  return `${parts.join('\n')}\n`;
}

function namesOf({ names, value, choices }: OptionSpec): string {
  const shown = [...names].sort((a, b) => a.length - a.replace(/^-+/, '').length - (b.length - b.replace(/^-+/, '').length)).join(', ');
  if (value === null) return shown;
  return `${shown} ${choices ? `[${choices.join('|')}]` : value.replace(/[<>]/g, '').toUpperCase()}`;
}

function aboutOf({ about, fallback, shownFallback }: OptionSpec): string {
  const shown = shownFallback ?? (fallback === undefined ? null : String(fallback));
  return shown === null ? about : `${about} (default: ${shown})`;
}

function listed(pairs: ReadonlyArray<readonly [string, string]>): string {
  const width = Math.min(NAMES_WIDTH, Math.max(...pairs.map(([name]) => name.length)));
  const indent = ' '.repeat(width + 4);
  const lines = pairs.map(([name, about]) => {
    const words = about.split(' ');
    return name.length <= width ? wrapped(`  ${name.padEnd(width)}  `, words) : `  ${name}\n${wrapped(indent, words)}`;
  });
  return lines.join('\n');
}

/** Lines after the first are indented as far as the first one's text. */
function wrapped(start: string, words: readonly string[]): string {
  const indent = ' '.repeat(start.length);
  const lines: string[] = [];
  let line = start;
  let isEmpty = true;
  for (const word of words) {
    if (!isEmpty && line.length + 1 + word.length > WIDTH - 2) {
      lines.push(line);
      line = indent;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line].join('\n');
}
