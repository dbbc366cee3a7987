/**
 * House rules that the linter cannot hold (biome.json has those it can): sizes, layers, leftovers,
 * columns. Each takes one file and tells what is wrong with it.
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

const LINES_MAX = 400;
const COLUMNS_MAX = 100;
/** The tutorial is somebody else's text. */
const COPIED_WORD_FOR_WORD = 'test/tutorial/tutorial.md';

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

function matchLines(file: SourceFile, pattern: RegExp, rule: string, message: string): Problem[] {
  return linesOf(file.text).flatMap(({ line, text }) => (pattern.test(text) ? [{ path: file.path, line, rule, message }] : []));
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
  return matchLines(file, new RegExp(`\\b(${words})\\b`), 'leftover', 'finish it, or file an issue');
}

/** A constructor cannot be called #constructor. */
function checkPrivate(file: SourceFile): Problem[] {
  if (!file.path.endsWith('.ts')) return [];
  return matchLines(file, /^\s+(private|protected|public)\s+(?!constructor\b)\w/, 'private', 'write #name, which also holds at run time');
}

/**
 * Prose is read, not scrolled. Not prose: code, tables, and what a line cannot be broken in (a
 * link, the reason of a biome-ignore).
 */
function checkColumns(file: SourceFile): Problem[] {
  if (file.path === COPIED_WORD_FOR_WORD) return [];
  const prose = file.path.endsWith('.md') ? proseOfMarkdown(file.text) : commentsOf(file);
  const wide = prose.filter(({ text }) => text.length > COLUMNS_MAX && isBreakable(text));
  const message = `a comment or a paragraph is at most ${COLUMNS_MAX} columns wide`;
  return wide.map(({ line }) => ({ path: file.path, line, rule: 'columns', message }));
}

const isBreakable = (text: string) => /\S\s+\S/.test(text.slice(0, COLUMNS_MAX + 1).replace(/^\s*([*#>/-]+\s*)*/, ''));

interface Line {
  readonly line: number;
  readonly text: string;
}

const linesOf = (text: string): Line[] => text.split('\n').map((each, index) => ({ line: index + 1, text: each }));

function proseOfMarkdown(text: string): Line[] {
  let fence: string | null = null;
  return linesOf(text).filter((each) => {
    const mark = /^\s*(```|~~~)/.exec(each.text)?.[1];
    if (mark !== undefined && (fence === null || fence === mark)) {
      fence = fence === null ? mark : null;
      return false;
    }
    return fence === null && !/^(\s*\||\[[^\]]+\]: )/.test(each.text);
  });
}

/** Lines that hold a comment and nothing else. */
function commentsOf({ path, text }: SourceFile): Line[] {
  if (/\.(pl|sh)$/.test(path)) return linesOf(text).filter((each) => /^\s*#(?!!)/.test(each.text));
  let inside = false;
  return linesOf(text).filter((each) => {
    const starts = /^\s*\/\*/.test(each.text);
    const isComment = inside || starts || /^\s*\/\/(?! biome-ignore)/.test(each.text);
    if (inside || starts) inside = !each.text.includes('*/');
    return isComment;
  });
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
  if (!file.path.startsWith('src/') || isTest(file.path)) return [];
  const layer = LAYER_BY_PATH.find(({ prefix }) => file.path.startsWith(prefix))?.layer;
  const problems: Problem[] = [];
  for (const [index, line] of file.text.split('\n').entries()) {
    const specifier = /(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/.exec(line)?.[1];
    const target = specifier === undefined ? null : resolveImport(file, specifier);
    if (target === null) continue;
    if (!target.startsWith('src/') && target !== 'package.json') {
      const outside = 'src/ imports only src/: what is installed is made from it alone';
      problems.push({ path: file.path, line: index + 1, rule: 'layers', message: outside });
      continue;
    }
    const folder = target.split('/')[1] ?? '';
    if (folder === '' || folder.endsWith('.ts') || isWiring(file.path)) continue;
    const allowed = layer === undefined ? folder !== 'agent' : MAY_IMPORT[layer]!.includes(folder);
    if (allowed) continue;
    const message =
      layer === undefined ? 'only src/main.ts imports the agent' : `${layer}/ may import ${MAY_IMPORT[layer]!.join(', ')}, not ${folder}/`;
    problems.push({ path: file.path, line: index + 1, rule: 'layers', message });
  }
  return problems;
}

export function checkFile(file: SourceFile): Problem[] {
  const checks = file.path.endsWith('.md') ? [checkColumns] : [checkSize, checkLeftovers, checkPrivate, checkColumns, checkLayers];
  return checks.flatMap((check) => check(file));
}
