/**
 * YAML as patronictl shows it: block style, sorted keys, 200 columns, lists at the parent's indent,
 * single quotes where quotes are needed. The rules of YAML 1.1 decide what needs quotes (`on`,
 * `no`, times), because Patroni reads YAML 1.1.
 */
import { Scalar, stringify, type Tags } from 'yaml';
import { formatProblem } from '../config/problems.ts';
import { parseYaml, parseYamlValue } from '../config/yaml.ts';
import { SCALAR_TAGS } from '../config/yaml-scalars.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { refuse } from './errors.ts';

const SHAPE = {
  version: '1.1',
  sortMapEntries: (a: { key: unknown }, b: { key: unknown }) => compareText(keyText(a.key), keyText(b.key)),
  aliasDuplicateObjects: false,
  customTags: (tags: Tags): Tags => [...tags.map(blind), ...SCALAR_TAGS],
} as const;

/**
 * The library writes values in its own way, but PyYAML decides what would be read as something else
 * than a text: `n` and `1e3` would not.
 */
function blind(tag: Tags[number]): Tags[number] {
  return typeof tag === 'string' || !('test' in tag) || tag.test === undefined ? tag : { ...tag, test: NOTHING };
}

const NOTHING = /(?!)/;

const TEXT = { lineWidth: 200, indentSeq: false, singleQuote: true, blockQuote: false } as const;

/** Ends with a newline. */
export function toYaml(value: unknown): string {
  return stringify(styled(value), { ...SHAPE, ...TEXT });
}

/** `{a: b}` on one line, without the newline. */
export function toFlowYaml(value: unknown): string {
  return stringify(styled(value), { ...SHAPE, ...TEXT, lineWidth: 0, collectionStyle: 'flow', flowCollectionPadding: false }).trimEnd();
}

/** The value typed after `-s key=`. */
export function yamlValue(text: string): JsonValue {
  const value = parseYamlValue(text);
  if (value === undefined) throw refuse(`'${text}' is not valid YAML`, 'Put quotes around a text with special characters.');
  return value;
}

/**
 * A whole document; null if it is empty. `name` is how the message refers to it. Throws CTL_REFUSED
 * with line and column.
 */
export function yamlMapping(text: string, name: string): JsonObject | null {
  const { raw, problems, empty } = parseYaml(text, name);
  // The person who typed it can correct it at once, so duplicate keys are refused too. A node's own
  // file may have them.
  if (problems.length > 0) throw refuse(problems.map(formatProblem).join('\n'));
  return empty ? null : raw;
}

/** Texts that PyYAML quotes and the library would not. */
function styled(value: unknown): unknown {
  if (typeof value === 'string') return value === '=' || value.includes('\t') ? quoted(value) : value;
  if (Array.isArray(value)) return value.map(styled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, styled(each)]));
}

function quoted(text: string): Scalar {
  const scalar = new Scalar(text);
  scalar.type = text === '=' ? 'QUOTE_SINGLE' : 'QUOTE_DOUBLE';
  return scalar;
}

function keyText(key: unknown): string {
  return typeof key === 'object' && key !== null && 'value' in key ? String(key.value) : String(key);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
