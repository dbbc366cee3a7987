/**
 * What a member carries to etcd for another one: exactly the requests that this client makes,
 * within the keys of one cluster. etcd's gateway knows two spellings of each field and many fields
 * more, so only fields named here pass.
 */
import { CARRIED_KIND } from '../../ports/carrier.ts';
import type { JsonObject } from '../../support/json.ts';
import { type Answer, isRecord, type Verdict } from './answers.ts';
import { encodePrefixEnd } from './keys.ts';
import type { Attempt } from './race.ts';

type Check = (value: unknown, prefix: string) => boolean;
type Fields = Readonly<Record<string, Check>>;

const isDecimal: Check = (value) => typeof value === 'string' && /^-?\d{1,20}$/.test(value);
const isBoolean: Check = (value) => typeof value === 'boolean';
const isBase64: Check = (value) => typeof value === 'string' && Buffer.from(value, 'base64').toString('base64') === value;

const isKey: Check = (value, prefix) =>
  typeof value === 'string' && isBase64(value, prefix) && Buffer.from(value, 'base64').toString('latin1').startsWith(latin1(prefix));

/** With a key below the prefix as its beginning. */
const isRangeEnd: Check = (value, prefix) => value === encodePrefixEnd(prefix) || isKey(value, prefix);

const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
const isOneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value as string);
const listOf =
  (check: Check): Check =>
  (value, prefix) =>
    Array.isArray(value) && value.every((each) => check(each, prefix));
const only =
  (fields: Fields, ...needed: readonly string[]): Check =>
  (value, prefix) =>
    isRecord(value) &&
    needed.every((name) => name in value) &&
    Object.entries(value).every(([name, each]) => Object.hasOwn(fields, name) && fields[name]!(each, prefix));

/** `serializable` would let a member of etcd answer alone. */
const range = only({ key: isKey, range_end: isRangeEnd, serializable: (value) => value === false, count_only: isBoolean }, 'key');
const put = only({ key: isKey, value: isBase64, lease: isDecimal }, 'key', 'value');
/** One key: a leader never deletes a range. */
const remove = only({ key: isKey }, 'key');

const compare = only(
  {
    key: isKey,
    target: isOneOf('CREATE', 'VALUE', 'MOD', 'LEASE'),
    result: isOneOf('LESS', 'EQUAL', 'GREATER', 'NOT_EQUAL'),
    value: isBase64,
    mod_revision: isDecimal,
    create_revision: isDecimal,
    lease: isDecimal,
  },
  'key',
);
const operation: Check = (value, prefix) =>
  only({ request_range: range, request_put: put, request_delete_range: remove })(value, prefix) &&
  Object.keys(value as object).length === 1;

interface Carried {
  readonly isAllowed: Check;
  /** As CallSpec has it. */
  readonly consensus: boolean;
}

const CARRIED: Readonly<Record<string, Carried>> = {
  '/lease/keepalive': { isAllowed: only({ ID: isDecimal }, 'ID'), consensus: false },
  '/lease/grant': { isAllowed: only({ TTL: isDecimal }, 'TTL'), consensus: true },
  '/kv/range': { isAllowed: range, consensus: true },
  '/kv/txn': {
    isAllowed: only({ compare: listOf(compare), success: listOf(operation), failure: listOf(operation) }),
    consensus: true,
  },
};

export const isCarriedPath = (path: string): boolean => Object.hasOwn(CARRIED, path);

/** Null: not a call that is carried. */
export function carriedCall(
  path: unknown,
  body: unknown,
  prefix: string,
): { readonly path: string; readonly body: Record<string, unknown>; readonly consensus: boolean } | null {
  if (typeof path !== 'string' || !isCarriedPath(path) || !isRecord(body)) return null;
  const { isAllowed, consensus } = CARRIED[path]!;
  return isAllowed(body, prefix) ? { path, body, consensus } : null;
}

/** The message that asks for it. */
export function carriageOf(etcd: string, path: string, body: Record<string, unknown>, timeoutMs: number): JsonObject {
  return { kind: CARRIED_KIND, etcd, path, body: body as JsonObject, timeoutMs: Math.round(timeoutMs) };
}

/**
 * What the carrier's answer comes to. `refusal`: why an answer of etcd must not be used; null: it
 * may be.
 */
export function readCarriage(reply: JsonObject | null, refusal: (answer: Answer) => string | null): Attempt<Verdict> {
  if (reply === null) return { kind: 'failed', applied: 'maybe', reason: 'no answer' };
  if (typeof reply['gone'] === 'string') return { kind: 'answer', value: { kind: 'lease-gone', message: reply['gone'] } };
  if (typeof reply['refused'] === 'string') return { kind: 'failed', applied: 'no', reason: reply['refused'] };
  const { answer } = reply;
  if (!isRecord(answer) || !isRecord(answer['header']) || typeof answer['header']['cluster_id'] !== 'string') {
    return { kind: 'failed', applied: 'maybe', reason: typeof reply['failed'] === 'string' ? reply['failed'] : 'not an answer of etcd' };
  }
  const value = answer as Answer;
  const reason = refusal(value);
  if (reason !== null) return { kind: 'failed', applied: 'maybe', reason };
  return { kind: 'answer', value: { kind: 'ok', answer: value }, maybeApplied: reply['maybeApplied'] === true };
}
