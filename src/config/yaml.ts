/**
 * Reads a YAML text as Patroni does (YAML 1.1: `on` is true, 0640 is octal; see yaml-scalars.ts),
 * remembering where everything stood. Error texts are our own: the library's quote the offending
 * line, which may hold a password.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, visit, type YAMLParseError } from 'yaml';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { isMapping } from './merge.ts';
import { Places } from './places.ts';
import { type ConfigProblem, placed, type Severity } from './problems.ts';
import { lastMergeFirst, readDocument } from './yaml-document.ts';

export interface YamlText {
  /** Empty when the text is empty or broken. */
  readonly raw: JsonObject;
  readonly places: Places;
  readonly problems: readonly ConfigProblem[];
  /** No value at all: blank, or comments only. */
  readonly empty: boolean;
}

const MAX_DEPTH = 60;
const MAX_ALIASES = 1000;

/** Never throws. */
export function parseYaml(text: string, file: string): YamlText {
  try {
    return new YamlReader(text, file).read();
  } catch (error) {
    const deep = error instanceof RangeError;
    const finding = {
      path: [],
      message: deep ? 'nested too deeply' : 'not readable as YAML',
      mend: `write at most ${MAX_DEPTH} levels of keys and lists`,
      severity: 'error' as const,
    };
    const place = { file, line: 1, column: 1 };
    return { raw: {}, places: new Places(place), problems: [placed(finding, place)], empty: false };
  }
}

/**
 * The value of an environment variable that holds a list or a mapping; undefined when it is not
 * YAML.
 */
export function parseYamlValue(text: string): JsonValue | undefined {
  try {
    const { document, secondAt } = readDocument(text);
    if (document.errors.length > 0 || secondAt !== null) return undefined;
    return plain(document.toJS({ maxAliasCount: MAX_ALIASES }), 0);
  } catch {
    return undefined;
  }
}

class YamlReader {
  readonly #text: string;
  readonly #file: string;
  #lines = new LineCounter();
  readonly #problems: ConfigProblem[] = [];
  readonly #places: Places;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
    this.#places = new Places({ file, line: 1, column: 1 });
  }

  read(): YamlText {
    const { document, lines, secondAt } = readDocument(this.#text);
    this.#lines = lines;
    if (secondAt !== null) this.#report('MULTIPLE_DOCS', secondAt, 'error');
    for (const error of firstOfEachLine(document.errors, this.#lines)) this.#report(error.code, error.pos[0], 'error');
    for (const warning of document.warnings) {
      // Where a bracket is closed is a matter of taste.
      if (warning.code === 'BAD_INDENT') continue;
      // A text that begins with ! would be lost, were this a warning only.
      this.#report(warning.code, warning.pos[0], warning.code === 'TAG_RESOLVE_FAILED' ? 'error' : 'warning');
    }
    const root = document.contents;
    const empty = root === null || (isScalar(root) && root.value === null);
    if (this.#problems.some((problem) => problem.severity === 'error') || empty) return this.#result({}, empty);
    if (!isMap(root)) {
      const what = isSeq(root) ? 'a list' : 'a single value';
      this.#add(offsetOf(root), `the file holds ${what}, not a mapping`, "write settings as 'key: value', such as 'scope: demo'", 'error');
      return this.#result({}, false);
    }
    this.#checkNodes(root, document);
    this.#locate(root, []);
    if (this.#problems.some((problem) => problem.severity === 'error')) return this.#result({}, false);
    const value = plain(document.toJS({ maxAliasCount: MAX_ALIASES }), 0);
    return this.#result(isMapping(value) ? value : {}, false);
  }

  #result(raw: JsonObject, empty: boolean): YamlText {
    return { raw, places: this.#places, problems: this.#problems, empty };
  }

  /**
   * Keys must be words, aliases must lead somewhere. Of two equal keys the last counts, as it does
   * for Patroni.
   */
  #checkNodes(root: Node, document: Document): void {
    visit(root, {
      Alias: (_, alias) => {
        if (alias.resolve(document)) return;
        this.#add(offsetOf(alias), 'an alias (*name) to an anchor that does not exist', `if a text begins with *, ${QUOTE}`, 'error');
      },
      Map: (_, map) => {
        const seen = new Map<string, number>();
        lastMergeFirst(map);
        for (const { key } of map.items) {
          if (!isScalar(key)) {
            this.#add(
              offsetOf(key),
              'a key is not a single word',
              "write 'key: value'; text that begins with { or [ needs quotes",
              'error',
            );
            continue;
          }
          const name = keyText(key);
          const at = offsetOf(key);
          // Keys are words, whatever YAML makes of `on` or 0640.
          if (name !== '<<') key.value = name;
          const first = seen.get(name);
          if (first === undefined || name === '<<') {
            seen.set(name, at);
            continue;
          }
          const line = this.#lines.linePos(first).line;
          const message = `duplicate key '${name}', already given in line ${line}; this one, the last, counts`;
          this.#add(at, message, 'keep one of the two', 'warning');
        }
      },
    });
  }

  #locate(node: unknown, path: readonly string[]): void {
    if (isMap(node)) {
      for (const { key, value } of node.items) {
        if (!isScalar(key)) continue;
        const below = [...path, keyText(key)];
        // A scalar is pointed at itself, a structure by its key: that is where the eye has to go.
        const at = isScalar(value) && value.range && value.value !== null ? value.range[0] : offsetOf(key);
        this.#place(below, at, value);
        this.#locate(value, below);
      }
    } else if (isSeq(node)) {
      node.items.forEach((item, index) => {
        const below = [...path, String(index)];
        this.#place(below, offsetOf(item), item);
        this.#locate(item, below);
      });
    }
  }

  #place(path: readonly string[], offset: number, value: unknown): void {
    const { line, col } = this.#lines.linePos(offset);
    const source = isScalar(value) && typeof value.source === 'string' ? value.source : null;
    this.#places.set(path, { file: this.#file, line, column: col, source });
  }

  #report(code: string, offset: number, severity: Severity): void {
    const [message, mend] = SYNTAX[code] ?? [
      'not readable as YAML',
      'check the indentation, quotes and brackets of this line and the one before',
    ];
    this.#add(offset, message, mend, severity);
  }

  #add(offset: number, message: string, mend: string, severity: Severity): void {
    const { line, col } = this.#lines.linePos(Math.min(offset, Math.max(0, this.#text.length)));
    this.#problems.push(
      placed({ path: [], message, mend, severity }, { file: this.#file, line: Math.max(1, line), column: Math.max(1, col) }),
    );
  }
}

const QUOTE = 'put the value in single quotes';

/** By the library's error codes (yaml 2: errors.d.ts). */
const SYNTAX: Readonly<Record<string, readonly [string, string]>> = {
  ALIAS_PROPS: ['an alias (*name) cannot carry an anchor or a tag', QUOTE],
  BAD_ALIAS: ['an alias (*name) without a name', `if a text begins with *, ${QUOTE}`],
  BAD_COLLECTION_TYPE: ['a tag (!…) that does not fit what follows', 'remove the tag'],
  BAD_DIRECTIVE: ['a directive (%…) that is not YAML', `if a text begins with %, ${QUOTE}`],
  BAD_DQ_ESCAPE: ['an unknown escape (\\…) inside double quotes', 'use single quotes, or double the backslash'],
  BAD_INDENT: [
    'the indentation fits none of the levels above',
    'indent keys of one mapping by the same number of blanks; close every bracket and quote',
  ],
  BAD_PROP_ORDER: ['an anchor or a tag in the wrong place', `if a text begins with & or !, ${QUOTE}`],
  BAD_SCALAR_START: ['a value may not begin with @, ` or %', QUOTE],
  BLOCK_AS_IMPLICIT_KEY: [
    'a second value on one line, or a mapping inside a line',
    `write each 'key: value' on its own line; if a text contains ': ', ${QUOTE}`,
  ],
  BLOCK_IN_FLOW: ['an indented block inside brackets', 'write the list inside the brackets on one line, with commas'],
  COMMENT_SPACE: ['a comment directly after a value', 'put a blank before #'],
  IMPOSSIBLE: ['not readable as YAML', 'check indentation, quotes and brackets'],
  KEY_OVER_1024_CHARS: ['a key of more than 1024 characters', 'check the quotes and brackets above'],
  MISSING_CHAR: ['a quote, bracket, comma or blank is missing', "write ': ' with a blank after the colon; close every quote and bracket"],
  MULTILINE_IMPLICIT_KEY: ['a key runs over several lines', "write a blank after the colon of every 'key: value'; close every quote"],
  MULTIPLE_ANCHORS: ['more than one anchor (&name)', 'keep one'],
  MULTIPLE_DOCS: ["a second document ('---')", 'keep one document per file'],
  MULTIPLE_TAGS: ['more than one tag (!…)', 'keep one'],
  NON_STRING_KEY: ['a key is not a single word', "write 'key: value'"],
  RESOURCE_EXHAUSTION: ['nested too deeply', `write at most ${MAX_DEPTH} levels of keys and lists`],
  TAB_AS_INDENT: ['a tab is used for indentation', 'use blanks'],
  TAG_RESOLVE_FAILED: ['an unknown tag (!…)', `remove it; if a text begins with !, ${QUOTE}`],
  UNEXPECTED_TOKEN: ['something that does not belong here', 'check indentation, quotes and brackets of this line and the one before'],
};

/** The first mistake in a line explains the rest, and the first few explain the file. */
function firstOfEachLine(errors: readonly YAMLParseError[], lines: LineCounter): YAMLParseError[] {
  const seen = new Set<number>();
  const first = errors.filter((error) => {
    const line = lines.linePos(error.pos[0]).line;
    return !seen.has(line) && seen.add(line);
  });
  return first.slice(0, 5);
}

function keyText(key: { readonly value: unknown; readonly source?: string }): string {
  return key.source ?? (typeof key.value === 'symbol' ? '<<' : String(key.value));
}

function offsetOf(node: unknown): number {
  return (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) && node.range ? node.range[0] : 0;
}

/**
 * JSON values only; anything else a YAML tag may yield becomes text. Throws RangeError beyond
 * MAX_DEPTH.
 */
function plain(value: unknown, depth: number): JsonValue {
  if (depth > MAX_DEPTH) throw new RangeError('nested too deeply');
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, depth + 1)]));
  }
  return String(value);
}
