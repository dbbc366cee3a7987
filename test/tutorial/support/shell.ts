/** As much of bash's grammar as is needed to tell where a command ends. Pure. */

/** Words that open a compound command, and those that close one. */
const OPENERS = new Set(['if', 'for', 'while', 'until', 'case', 'select', '{']);
const CLOSERS = new Set(['fi', 'done', 'esac', '}']);
/** Words after which a command begins, as it does after `;` or a new line. */
const BEFORE_COMMAND = new Set(['then', 'do', 'else', 'elif', '!', '{', 'if', 'while', 'until']);

interface Scan {
  /** Of loops, conditions and braces. */
  depth: number;
  /** Open ones; the `)` behind a pattern of `case` closes none. */
  parens: number;
  /** The last word could be a keyword: it stood where a command begins. */
  atCommand: boolean;
  /**
   * The text ends inside quotes, in a backslash, or behind an operator that wants another command.
   */
  open: boolean;
  readonly hereDocs: Array<{ readonly word: string; readonly tabs: boolean }>;
}

/**
 * Whether bash would run these lines rather than ask for another one. Quotes, here-documents,
 * `\`, `|`, `&&`, `||`, `( )`, loops and conditions are known.
 */
export function isComplete(text: string): boolean {
  const scan: Scan = { depth: 0, parens: 0, atCommand: true, open: false, hereDocs: [] };
  for (let index = 0; index < text.length; ) {
    const next = step(text, index, scan);
    if (next === null) return false;
    index = next;
  }
  return scan.depth <= 0 && scan.parens === 0 && !scan.open && scan.hereDocs.length === 0;
}

/** Takes one token; null when the text ends within it. */
function step(text: string, index: number, scan: Scan): number | null {
  const rest = text.slice(index);
  if (rest.startsWith('\n')) return endLine(text, index, scan);
  const blank = /^(?:[ \t]+|\\\n)/.exec(rest);
  if (blank !== null) return index + blank[0].length;
  if (rest.startsWith('#')) return index + /^[^\n]*/.exec(rest)![0].length;
  const hereDoc = /^<<(-?)[ \t]*(["']?)(\w+)\2/.exec(rest);
  if (hereDoc !== null) {
    scan.hereDocs.push({ word: hereDoc[3]!, tabs: hereDoc[1] === '-' });
    return index + hereDoc[0].length;
  }
  const operator = /^(?:&&|\|\||;;|<<<|[|;&()<>])/.exec(rest);
  if (operator !== null) return takeOperator(operator[0], index, scan);
  const end = endOfWord(text, index);
  if (end === null) return null;
  takeWord(text.slice(index, end), scan);
  return end;
}

function takeOperator(operator: string, index: number, scan: Scan): number {
  if (operator === '(') scan.parens += 1;
  if (operator === ')') scan.parens = Math.max(0, scan.parens - 1);
  scan.open = ['&&', '||', '|'].includes(operator);
  scan.atCommand = !['<', '>', '<<<'].includes(operator);
  return index + operator.length;
}

function takeWord(word: string, scan: Scan): void {
  scan.open = false;
  if (scan.atCommand && OPENERS.has(word)) scan.depth += 1;
  if (scan.atCommand && CLOSERS.has(word)) scan.depth -= 1;
  scan.atCommand = scan.atCommand && BEFORE_COMMAND.has(word);
}

/**
 * Steps over a line's end and the here-documents that begin there; null when one of them has no
 * end.
 */
function endLine(text: string, index: number, scan: Scan): number | null {
  let at = index + 1;
  for (let doc = scan.hereDocs.shift(); doc !== undefined; doc = scan.hereDocs.shift()) {
    for (let found = false; !found; ) {
      if (at >= text.length) return null;
      const end = text.indexOf('\n', at) < 0 ? text.length : text.indexOf('\n', at);
      const line = text.slice(at, end);
      found = (doc.tabs ? line.replace(/^\t+/, '') : line) === doc.word;
      at = end + 1;
    }
  }
  scan.atCommand = true;
  return at;
}

/** Index after the word that begins here; null when it is still open at the text's end. */
function endOfWord(text: string, start: number): number | null {
  let index = start;
  while (index < text.length && !/[\s|;&<>()]/.test(text[index]!)) {
    const char = text[index]!;
    if (char === '\\') {
      if (index + 1 >= text.length) return null;
      index += 2;
    } else if (char === "'" || char === '"') {
      const end = endOfQuotes(text, index, char);
      if (end === null) return null;
      index = end;
    } else if (text.startsWith('$(', index)) {
      const end = endOfSubstitution(text, index + 2);
      if (end === null) return null;
      index = end;
    } else {
      index += 1;
    }
  }
  return index;
}

function endOfQuotes(text: string, start: number, quote: string): number | null {
  for (let index = start + 1; index < text.length; index++) {
    if (text[index] === quote) return index + 1;
    if (quote === '"' && text[index] === '\\') index += 1;
  }
  return null;
}

function endOfSubstitution(text: string, start: number): number | null {
  for (let index = start; index < text.length; ) {
    if (text[index] === ')') return index + 1;
    const end = /[\s|;&<>(]/.test(text[index]!) ? index + 1 : endOfWord(text, index);
    if (end === null) return null;
    index = end;
  }
  return null;
}
