/** The problems of a configuration, each a line as `patroni --validate-config` prints it. */
import { isMapping, own } from '../config/merge.ts';
import { maskText, redactAt } from '../config/redact.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { pythonLiteral, pythonText } from './python-text.ts';
import { type Fields, isOfType, type Problem, refused, SCHEMA, type Surroundings, type Type, type Value } from './schema.ts';

const NOT_A: Readonly<Record<Type, string>> = {
  string: 'is not a string',
  integer: 'is not an integer',
  boolean: 'is not a boolean',
  array: 'is not a list',
  dictionary: 'is not a dictionary',
};

export async function validate(at: Surroundings): Promise<Problem[]> {
  const problems: Problem[] = [];
  await checkFields(SCHEMA, at.raw, '', at, problems);
  return problems;
}

const below = (path: string, key: string) => (path === '' ? key : `${path}.${key}`);

/**
 * A missing value is shown as nothing. What is secret in the value, or in the words about it, is
 * masked.
 */
function note(problems: Problem[], path: string, value: JsonValue | null, message: string): void {
  const shown = value === null ? '' : pythonText(redactAt(value, path.split('.')));
  problems.push({ path, text: `${path} ${shown} ${maskText(message)}` });
}

async function checkFields(row: Fields, raw: JsonObject, path: string, at: Surroundings, problems: Problem[]): Promise<void> {
  const given = (key: string) => own(raw, key) ?? null;
  const several = row.oneOf.filter((key) => given(key) !== null);
  if (several.length > 1) note(problems, path, null, `Multiple of (${several.map(pythonLiteral).join(', ')}) provided`);
  const lacks = row.anyOf.length > 0 && !row.anyOf.some((key) => given(key) !== null);
  for (const [key, entry] of Object.entries(row.keys)) {
    const value = given(key);
    const here = below(path, key);
    if (value === null) {
      if (entry.required || (lacks && row.anyOf.includes(key))) note(problems, here, null, 'is not defined.');
    } else if (entry.kind === 'value') await checkValue(entry, value, here, at, problems);
    else if (isMapping(value)) await checkFields(entry, value, here, at, problems);
    else note(problems, here, null, 'is not a dictionary.');
  }
}

async function checkValue(row: Value, value: JsonValue, path: string, at: Surroundings, problems: Problem[]): Promise<void> {
  if (row.types.length > 0 && !row.types.some((type) => isOfType(value, type, row.unit))) {
    note(problems, path, value, NOT_A[row.types[0]!]);
    return;
  }
  if (value === '') {
    note(problems, path, null, row.required ? 'is not defined.' : refused('is an empty string'));
    return;
  }
  if (Array.isArray(value) && row.item !== null) {
    if (value.length === 0) note(problems, path, null, 'is an empty list');
    for (const [index, item] of value.entries()) await checkValue(row.item, item, below(path, String(index)), at, problems);
  }
  const wrong = (await row.check?.(value, at)) ?? null;
  if (wrong !== null) note(problems, path, value, wrong);
}
