/** Block style as Patroni's library writes it: sorted keys, lists as deep as their key. */
import { stringify } from 'yaml';
import type { JsonValue } from '../support/json.ts';

/** YAML 1.1, as it is read: texts such as 'on' stay in quotes. */
export function yamlText(value: JsonValue, { sorted = true }: { readonly sorted?: boolean } = {}): string {
  return stringify(value, { version: '1.1', sortMapEntries: sorted, lineWidth: 0, indentSeq: false, singleQuote: true });
}
