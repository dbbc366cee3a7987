/** The JSON schema of a node's file, for editors and forms: of what may be written. */
import type { JsonObject } from '../support/json.ts';
import { type Entry, type Shape, section } from './setting.ts';
import { dynamicTable, localTable } from './table.ts';

export function jsonSchema(): JsonObject {
  const { bootstrap } = localTable;
  const dcs = section(bootstrap.keys.dcs.doc, {}, dynamicTable);
  const whole = { ...localTable, bootstrap: section(bootstrap.doc, {}, { ...bootstrap.keys, dcs }) };
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', ...schemaOf(whole) };
}

function schemaOf(shape: Shape): JsonObject {
  const properties = Object.fromEntries(Object.entries(shape).map(([key, entry]) => [key, property(entry)]));
  return { type: 'object', properties, additionalProperties: {} };
}

function property(entry: Entry): JsonObject {
  if (entry.kind === 'section') return { ...schemaOf(entry.keys), description: entry.doc };
  const fallback = entry.about.default ?? entry.about.defaultIs;
  return { ...entry.json, description: entry.doc, ...(fallback === undefined ? {} : { default: fallback }) };
}
