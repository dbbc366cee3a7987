/**
 * Options for PostgreSQL's programs, as Patroni writes them: a list of `name` and `name: value`, or
 * one mapping.
 */

import type { BinaryOption } from '../core/settings.ts';
import { isOptionName } from '../pgconf/program-options.ts';
import type { JsonValue } from '../support/json.ts';
import { isMapping } from './merge.ts';
import { bad, good, type Read, unlessWrong, type Wrong } from './read.ts';

const LIST_HELP = "write a list such as '- data-checksums' and '- encoding: UTF8'";

export function readOptions(value: JsonValue, forbidden: readonly string[]): Read<readonly BinaryOption[]> {
  const items: readonly (readonly [string, JsonValue])[] | null = isMapping(value)
    ? // An option that is switched off is none.
      Object.entries(value).flatMap(([name, item]) => (item === false ? [] : [[name, { [name]: item }] as const]))
    : Array.isArray(value)
      ? value.map((item, index) => [String(index), item])
      : null;
  if (items === null) return bad('neither a list nor a mapping of options', LIST_HELP);
  const options: BinaryOption[] = [];
  const wrongs: Wrong[] = [];
  for (const [at, item] of items) {
    const option = readOption(item);
    if (!option.ok) wrongs.push({ ...option.wrongs[0], at });
    else if (forbidden.includes(option.value.name)) {
      wrongs.push({ message: `option '${option.value.name}' is set by Regent itself`, mend: `remove '${option.value.name}'`, at });
    } else options.push(option.value);
  }
  return unlessWrong<readonly BinaryOption[]>(options, wrongs);
}

function readOption(item: JsonValue): Read<BinaryOption> {
  if (typeof item === 'string') {
    const [name, ...rest] = item.replace(/^--/, '').split('=');
    if (!isOptionName(name!)) return bad(`'${name}' is not the name of an option`, LIST_HELP);
    return good({ name: name!, value: rest.length > 0 ? unquoted(rest.join('=')) : null });
  }
  if (!isMapping(item)) return bad('an option that is neither a word nor a mapping', LIST_HELP);
  const entries = Object.entries(item);
  if (entries.length !== 1) return bad(`one option with ${entries.length} names`, "begin each option with '- '");
  const [rawName, value] = entries[0]!;
  const name = rawName.replace(/^--/, '');
  if (!isOptionName(name)) return bad(`'${name}' is not the name of an option`, LIST_HELP);
  if (value === null || value === true || value === '') return good({ name, value: null });
  if (typeof value === 'string') return good({ name, value: unquoted(value) });
  if (typeof value === 'number' || typeof value === 'bigint') return good({ name, value: String(value) });
  return bad(`the value of option '${name}' is not text`, `write '${name}: value'`);
}

function unquoted(text: string): string {
  const match = /^(['"])(.*)\1$/s.exec(text);
  return match ? match[2]! : text;
}
