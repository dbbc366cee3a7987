/**
 * The tutorial's `dcs` at the top level of a node's file. It counts as bootstrap.dcs does, when the
 * cluster is made and never again; but who reads it there believes it to be in force. So the agent
 * says where the running cluster differs, and how to change that.
 */
import type { JsonObject, JsonValue } from '../support/json.ts';
import { shellWord } from '../support/shell-words.ts';
import { readDynamic } from './dynamic.ts';
import { isMapping, jsonText, nested, own, patchMerge, valueAt } from './merge.ts';
import { type ConfigProblem, type Place, placed, show } from './problems.ts';
import { isSecretPath } from './redact.ts';

export interface DcsBlock {
  /** What counts of it: without what bootstrap.dcs says otherwise. */
  readonly settings: readonly Leaf[];
  readonly place: Place;
}

interface Leaf {
  readonly path: readonly string[];
  readonly value: JsonValue;
}

/**
 * `written`: the configuration as it was read; `normalized`: after the block went to bootstrap.dcs.
 * null: there is no block.
 */
export function dcsBlockOf(written: JsonObject, normalized: JsonObject, place: Place): DcsBlock | null {
  const block = own(written, 'dcs');
  const bootstrap = own(normalized, 'bootstrap');
  if (!isMapping(block) || !isMapping(bootstrap)) return null;
  const settings = leavesOf(block, []).filter(({ path, value }) => sameValue(valueAt(bootstrap, ['dcs', ...path]), value));
  return { settings, place };
}

/** One problem at most, of severity warning. `current`: the `config` key. */
export function blockProblems(block: DcsBlock, current: JsonObject): ConfigProblem[] {
  const differing = block.settings.filter((leaf) => differs(leaf, current));
  if (differing.length === 0) return [];
  const told = differing.map(({ path, value }) => {
    const now = valueAt(current, path);
    return `${path.join('.')} ${now === undefined ? 'not set' : show(now, path)} instead of ${show(value, path)}`;
  });
  const plain = differing.filter(({ path, value }) => typeof value !== 'object' && !isSecretPath(path));
  const options = plain.map(({ path, value }) => `-s ${shellWord(`${path.join('.')}=${value}`)}`);
  const finding = {
    path: ['dcs'],
    message: `it counted when the cluster was made; the cluster now has ${told.join(', ')}`,
    mend: `to change the cluster, run: ${['regentctl edit-config', ...options].join(' ')}`,
    severity: 'warning' as const,
  };
  return [placed(finding, block.place)];
}

/** By what is made of it: a text may stand for a number, and what is not said has a default. */
function differs({ path, value }: Leaf, current: JsonObject): boolean {
  const now = valueAt(current, path);
  if (now !== undefined && sameValue(now, value)) return false;
  if (path[0] === 'postgresql') return true;
  const wanted = patchMerge(current, nested(path, value));
  return meaning(wanted) !== meaning(current);
}

function meaning(raw: JsonObject): string {
  const { raw: _written, postgresql: _everywhere, ...rest } = readDynamic(raw).dynamic;
  return text(rest as unknown as JsonValue);
}

function leavesOf(map: JsonObject, above: readonly string[]): Leaf[] {
  return Object.entries(map).flatMap(([key, value]): Leaf[] => {
    const path = [...above, key];
    if (value === null) return [];
    return isMapping(value) ? leavesOf(value, path) : [{ path, value }];
  });
}

function sameValue(a: JsonValue | undefined, b: JsonValue): boolean {
  return a !== undefined && text(a) === text(b);
}

function text(value: JsonValue): string {
  return typeof value === 'object' ? jsonText(value) : String(value);
}
