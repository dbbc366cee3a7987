/**
 * Keeps secrets out of everything that is printed: by the name of the key, and by the shape of the
 * text.
 */
import type { JsonObject, JsonValue } from '../support/json.ts';

const SECRET_KEY = /passw(or)?d|passphrase|secret|^token$|^auth$|^auth_data$/i;
const MASK = '********';

/**
 * Below such a key everything is secret. `password_encryption` and the like name a method, not a
 * secret.
 */
export function isSecretPath(path: readonly string[]): boolean {
  return path.some((key) => SECRET_KEY.test(key) && !/password_encryption$|_command$/i.test(key));
}

/** Masks `password=…` of connection strings and `user:password@`, of URLs and without a scheme. */
export function maskText(text: string): string {
  return text
    .replace(/(passw(?:or)?d\s*[=:]\s*)('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s;,]+)/gi, `$1${MASK}`)
    .replace(/(\/\/[^/@\s:]*:)[^/\s]*@/g, `$1${MASK}@`)
    .replace(/(^|[\s,'"=[(])([^/@\s:,'"=]+:)[^/\s,'"]+@/g, `$1$2${MASK}@`);
}

/** A copy with every secret masked, fit for printing. */
export function redact(raw: JsonObject): JsonObject {
  return redactAt(raw, []) as JsonObject;
}

/** The same of the value at `path`. */
export function redactAt(value: JsonValue, path: readonly string[]): JsonValue {
  if (Array.isArray(value)) return value.map((item) => redactAt(item, path));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactAt(item, [...path, key])]));
  }
  if (value === null || value === '') return value;
  if (isSecretPath(path)) return MASK;
  return typeof value === 'string' ? maskText(value) : value;
}
