/**
 * Small readers for values that others wrote: anything unexpected reads as absent, nothing throws.
 */

import { type Lsn, toLsn } from '../../core/units.ts';
import { isJsonObject, parseJson } from '../../support/big-json.ts';
import type { JsonObject, JsonValue } from '../../support/json.ts';

/** Undefined: not JSON. */
export function tryParse(text: string): JsonValue | undefined {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** The object in a JSON text; null for anything else. */
export function tryParseObject(text: string): JsonObject | null {
  const value = tryParse(text);
  return isJsonObject(value) ? value : null;
}

export function textOf(value: JsonValue | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/**
 * A WAL position: an integer, or one in decimal text. Null when it is neither or beyond 64 bits.
 */
export function lsnOf(value: JsonValue | undefined): Lsn | null {
  try {
    if (typeof value === 'bigint') return toLsn(value);
    if (typeof value === 'number') return Number.isSafeInteger(value) ? toLsn(value) : null;
    if (typeof value === 'string') return /^ *[0-9]{1,20} *$/.test(value) ? toLsn(value.trim()) : null;
  } catch {}
  return null;
}

/** A whole number of 0 or more. */
export function countOf(value: JsonValue | undefined): number | null {
  const number = typeof value === 'string' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

/** Whether Python takes the value for true. The text "false" is. */
export function isTruthy(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object') return Object.keys(value).length > 0;
  return Boolean(value);
}

const FIRST_SURROGATE = 0xd800;

/**
 * By code point, as Python sorts: UTF-16 order differs beyond the basic plane, UTF-8 order does
 * not.
 */
export function compareNames(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i += 1) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left === right) continue;
    if (left < FIRST_SURROGATE && right < FIRST_SURROGATE) return left - right;
    return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
  }
  return a.length - b.length;
}
