/**
 * The YAML library's document, read as leniently as PyYAML reads where the two differ: what
 * Patroni's reader takes, ours takes.
 */
import { Composer, type Document, isScalar, Lexer, LineCounter, Parser, type Tags, type YAMLMap } from 'yaml';
import { SCALAR_TAGS } from './yaml-scalars.ts';

export interface ReadDocument {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
  /** Where a second document begins; null: there is one only. */
  readonly secondAt: number | null;
}

/** Sets, binaries and ordered maps have no meaning here. */
function tagsOf(tags: Tags): Tags {
  const kept = tags.filter(
    (tag) => typeof tag !== 'string' && ['map', 'seq', 'str', 'merge'].includes(tag.tag.replace('tag:yaml.org,2002:', '')),
  );
  return [...kept, ...SCALAR_TAGS];
}

const OPTIONS = {
  version: '1.1',
  prettyErrors: false,
  logLevel: 'error',
  // Duplicates are the caller's to report, with both lines.
  uniqueKeys: false,
  resolveKnownTags: false,
  // A comment directly after a quote or a bracket, and keys of several lines, are no mistakes to
  // PyYAML.
  strict: false,
  customTags: tagsOf,
} as const;

/**
 * The line breaks of YAML 1.1 that the library does not know. Each is one character, so that places
 * stay what they are.
 */
const OTHER_BREAKS = /\r(?!\n)|\u0085/g;

/** Throws only RangeError, when the text is nested too deeply. */
export function readDocument(text: string): ReadDocument {
  const source = text.replace(OTHER_BREAKS, '\n');
  const lines = new LineCounter();
  const parser = new Parser(lines.addNewLine);
  const lexer = lenientLexer();
  const tokens = function* () {
    for (const lexeme of lexer.lex(source)) yield* parser.next(lexeme);
    yield* parser.end();
  };
  // As the library's parseDocument() goes, but for the lexer.
  lines.addNewLine(0);
  const [document, second] = [...new Composer({ ...OPTIONS, lineCounter: lines }).compose(tokens(), true, source.length)];
  return { document: document as Document.Parsed, lines, secondAt: second?.range[0] ?? null };
}

interface LexerInside {
  indentNext: number;
  parseQuotedScalar(): Generator<string, unknown>;
  parseFlowCollection(): Generator<string, unknown>;
}

/**
 * Inside quotes and brackets PyYAML asks for no indentation: `- 'a` may go on in column 1, and a
 * bracket may be closed there.
 */
function lenientLexer(): Lexer {
  const lexer = new Lexer();
  const inside = lexer as unknown as LexerInside;
  for (const method of ['parseQuotedScalar', 'parseFlowCollection'] as const) {
    const strict = inside[method].bind(lexer);
    inside[method] = function* () {
      const { indentNext } = inside;
      inside.indentNext = 0;
      const next = yield* strict();
      inside.indentNext = indentNext;
      return next;
    };
  }
  return lexer;
}

/**
 * Of several `<<` in one mapping the last wins, of several in one list the first. The library lets
 * the first win in both.
 */
export function lastMergeFirst(map: YAMLMap): void {
  const isMerge = ({ key }: { readonly key: unknown }) => isScalar(key) && typeof key.value === 'symbol';
  const merges = map.items.filter(isMerge).reverse();
  if (merges.length > 1) map.items = map.items.map((item) => (isMerge(item) ? merges.shift()! : item));
}
