/** Options for PostgreSQL's programs, as Patroni writes them: a list of `name` and `name: value`, or one mapping. */
import type { JsonValue } from '../core/json.ts';
import type { BinaryOption } from '../core/settings.ts';
import { isMapping } from './merge.ts';
import { bad, good, type Read } from './read.ts';

const LIST_HELP = "write a list such as '- data-checksums' and '- encoding: UTF8'";

export function readOptions(value: JsonValue, forbidden: readonly string[]): Read<readonly BinaryOption[]> {
  const items = isMapping(value) ? Object.entries(value).map(([name, item]) => ({ [name]: item })) : value;
  if (!Array.isArray(items)) return bad('neither a list nor a mapping of options', LIST_HELP);
  const options: BinaryOption[] = [];
  for (const item of items) {
    const option = readOption(item);
    if (!option.ok) return option;
    if (forbidden.includes(option.value.name)) {
      return bad(`option '${option.value.name}' is set by Regent itself`, `remove '${option.value.name}'`);
    }
    options.push(option.value);
  }
  return good(options);
}

function readOption(item: JsonValue): Read<BinaryOption> {
  if (typeof item === 'string') {
    const [name, ...rest] = item.replace(/^--/, '').split('=');
    if (!validName(name!)) return bad(`'${name}' is not the name of an option`, LIST_HELP);
    return good({ name: name!, value: rest.length > 0 ? unquoted(rest.join('=')) : null });
  }
  if (!isMapping(item)) return bad('an option that is neither a word nor a mapping', LIST_HELP);
  const entries = Object.entries(item);
  if (entries.length !== 1) return bad(`one option with ${entries.length} names`, "begin each option with '- '");
  const [rawName, value] = entries[0]!;
  const name = rawName.replace(/^--/, '');
  if (!validName(name)) return bad(`'${name}' is not the name of an option`, LIST_HELP);
  if (value === null || value === true || value === '') return good({ name, value: null });
  if (typeof value === 'string') return good({ name, value: unquoted(value) });
  if (typeof value === 'number' || typeof value === 'bigint') return good({ name, value: String(value) });
  return bad(`the value of option '${name}' is not text`, `write '${name}: value'`);
}

function validName(name: string): boolean {
  return /^[A-Za-z][A-Za-z0-9_-]*$/.test(name);
}

function unquoted(text: string): string {
  const match = /^(['"])(.*)\1$/s.exec(text);
  return match ? match[2]! : text;
}
