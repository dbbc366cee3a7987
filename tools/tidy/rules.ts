/**
 * House rules about the sources that no linter knows: sizes, layers, purity, leftovers. Each takes
 * one file and tells what is wrong with it.
 */

export interface SourceFile {
  /** From the checkout's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Problem {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

const LINES_MAX = 430;

/** What a folder of src/ may import, by first folder. `*` is anything but agent/. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  support: ['support'],
  core: ['core', 'support'],
  pgconf: ['pgconf', 'core', 'support'],
  ports: ['ports', 'pgconf', 'core', 'support'],
  dialect: ['dialect', 'ports', 'core', 'support'],
  agent: ['agent', 'dialect', 'ports', 'core', 'support'],
  config: ['config', 'ports', 'pgconf', 'core', 'support'],
};
const LAYER_BY_PATH: ReadonlyArray<{ readonly prefix: string; readonly layer: string }> = Object.keys(MAY_IMPORT).map((layer) => ({
  prefix: `src/${layer}/`,
  layer,
}));
/** Wires the real adapters into the agent: the one place where both meet. */
const WIRING = ['src/agent/main.ts', 'src/agent/wiring/', 'src/main.ts'];

/** What the outside world looks like from inside: it must come in through a port. */
const IMPURE: ReadonlyArray<{ readonly pattern: RegExp; readonly instead: string }> = [
  { pattern: /\bnew Date\b|\bDate\.(now|parse|UTC)\b|\bDate\(/, instead: 'take the time from the Clock port' },
  { pattern: /\bset(Timeout|Interval|Immediate)\b/, instead: 'use the Clock port' },
  { pattern: /\bperformance\./, instead: 'use the Clock port' },
  { pattern: /\bMath\.random\b|\bcrypto\./, instead: 'take randomness as an argument' },
  { pattern: /\bprocess\./, instead: 'take it as an argument' },
];

/** Blanks comments and the insides of strings, keeping every line where it was. */
export function codeOnly(text: string): string {
  let code = '';
  let index = 0;
  while (index < text.length) {
    const rest = text.slice(index, index + 2);
    if (rest === '//' || rest === '/*') {
      const end = rest === '//' ? text.indexOf('\n', index) : text.indexOf('*/', index + 2) + 2;
      const stop = end < index + 2 ? text.length : end;
      code += text.slice(index, stop).replace(/[^\n]/g, ' ');
      index = stop;
    } else if (rest[0] === "'" || rest[0] === '"' || rest[0] === '`') {
      const stop = endOfString(text, index);
      code += rest[0] + text.slice(index + 1, stop - 1).replace(/[^\n]/g, ' ') + text[stop - 1];
      index = stop;
    } else {
      code += text[index];
      index += 1;
    }
  }
  return code;
}

/** Index after the closing quote; a plain string ends with its line at the latest. */
function endOfString(text: string, start: number): number {
  const quote = text[start];
  let index = start + 1;
  while (index < text.length && text[index] !== quote) {
    if (text[index] === '\n' && quote !== '`') return index;
    index += text[index] === '\\' ? 2 : 1;
  }
  return Math.min(index + 1, text.length);
}

function matchLines(file: SourceFile, text: string, pattern: RegExp, rule: string, message: string): Problem[] {
  return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [{ path: file.path, line: index + 1, rule, message }] : []));
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts');
}

function isWiring(path: string): boolean {
  return WIRING.some((prefix) => path.startsWith(prefix));
}

function checkSize(file: SourceFile): Problem[] {
  const lines = file.text.split('\n').length - 1;
  if (lines <= LINES_MAX) return [];
  return [
    {
      path: file.path,
      line: lines,
      rule: 'size',
      message: `${lines} lines; ${LINES_MAX} at most: move a part that has a name of its own out`,
    },
  ];
}

function checkLeftovers(file: SourceFile): Problem[] {
  const words = ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|');
  return [
    ...matchLines(file, file.text, new RegExp(`\\b(${words})\\b`), 'leftover', 'finish it, or file an issue'),
    ...matchLines(file, codeOnly(file.text), /\b(describe|it|test)\.only\b/, 'leftover', 'a test that silences all others'),
    ...matchLines(file, codeOnly(file.text), /^\s*debugger\b/, 'leftover', 'a breakpoint'),
  ];
}

function checkPurity(file: SourceFile): Problem[] {
  const pure = /^src\/(core|agent)\//.test(file.path) && !isTest(file.path) && !isWiring(file.path);
  if (!pure) return [];
  const code = codeOnly(file.text);
  return [
    ...IMPURE.flatMap(({ pattern, instead }) =>
      matchLines(file, code, pattern, 'purity', `${pattern.exec(code)?.[0] ?? 'this'} in a pure folder: ${instead}`),
    ),
    ...matchLines(file, file.text, /^\s*(import|export)\b.*from 'node:/, 'purity', 'a pure folder imports nothing of Node: use a port'),
  ];
}

/** The path an import of `file` reaches, from the root; null for packages. */
function resolveImport(file: SourceFile, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  const parts = file.path.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function checkLayers(file: SourceFile): Problem[] {
  if (!file.path.startsWith('src/') || isTest(file.path) || isWiring(file.path)) return [];
  const layer = LAYER_BY_PATH.find(({ prefix }) => file.path.startsWith(prefix))?.layer;
  const problems: Problem[] = [];
  for (const [index, line] of file.text.split('\n').entries()) {
    const specifier = /(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/.exec(line)?.[1];
    const target = specifier === undefined ? null : resolveImport(file, specifier);
    const folder = target?.startsWith('src/') ? target.split('/')[1]! : null;
    if (target === null || folder === null || folder.endsWith('.ts')) continue;
    const allowed = layer === undefined ? folder !== 'agent' : MAY_IMPORT[layer]!.includes(folder);
    if (allowed) continue;
    const message =
      layer === undefined ? 'only src/main.ts imports the agent' : `${layer}/ may import ${MAY_IMPORT[layer]!.join(', ')}, not ${folder}/`;
    problems.push({ path: file.path, line: index + 1, rule: 'layers', message });
  }
  return problems;
}

export function checkFile(file: SourceFile): Problem[] {
  return [checkSize, checkLeftovers, checkPurity, checkLayers].flatMap((check) => check(file));
}
