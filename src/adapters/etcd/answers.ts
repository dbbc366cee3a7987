/**
 * What etcd's gateway answers, good and bad. Errors come in three forms:
 * `{"error","message","code"}` with an HTTP error status; `{"error":{"grpc_code","message",…}}`
 * inside a stream (its status may be 200); or plain text from a program in between. Only texts
 * known to be final count as a refusal. An unknown error says nothing about the cluster and counts
 * as an outage.
 */
import { DcsError } from '../../support/errors.ts';
import type { Exchange } from './transport.ts';

export interface CallSpec {
  /** Path below `/v3` (api-prefix.ts), e.g. `/kv/range`. */
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly timeoutMs: number;
  /**
   * The answer needs a majority of the cluster, so its header is evidence of what the cluster has
   * reached.
   */
  readonly consensus: boolean;
  /** Not through another member. */
  readonly direct?: boolean;
}

export interface Header {
  readonly cluster_id: string;
  readonly member_id?: string;
  readonly revision?: string;
  readonly raft_term?: string;
}

export interface KeyValue {
  readonly key: string;
  readonly value?: string;
  readonly lease?: string;
  readonly mod_revision?: string;
  readonly create_revision?: string;
}

/** int64 fields are decimal strings; fields that hold zero, '' or false are left out. */
export type Answer = Record<string, unknown> & { readonly header: Header };

export type Verdict =
  | { readonly kind: 'ok'; readonly answer: Answer }
  | { readonly kind: 'refused'; readonly message: string; readonly mend: string }
  | { readonly kind: 'lease-gone'; readonly message: string }
  /** The token is missing, has expired or belongs to an older user list. */
  | { readonly kind: 'token'; readonly message: string }
  | { readonly kind: 'auth-off'; readonly message: string }
  | { readonly kind: 'unavailable'; readonly applied: 'no' | 'maybe'; readonly message: string };

const NO_SPACE_MEND = 'etcdctl alarm list shows NOSPACE: compact and defragment etcd or raise its quota, then etcdctl alarm disarm.';

export interface GatewayFault {
  readonly code: number;
  readonly message: string;
}

const PREFIX = 'etcdserver: ';
const CODE_RESOURCE_EXHAUSTED = 8;

export function judge(exchange: Exchange): Verdict {
  const body = firstDocument(exchange.text);
  if (body === null) return { kind: 'unavailable', applied: 'maybe', message: plainText(exchange) };
  const fault = faultOf(body);
  if (fault !== null) return judgeFault(fault);
  const answer = unwrap(body);
  if (exchange.status !== 200 || answer === null) return { kind: 'unavailable', applied: 'maybe', message: plainText(exchange) };
  return { kind: 'ok', answer };
}

/** Null: the document is not an error. */
export function faultOf(body: Record<string, unknown>): GatewayFault | null {
  const { error } = body;
  if (error === undefined) return null;
  if (isRecord(error)) return { code: Number(error['grpc_code'] ?? 2), message: String(error['message'] ?? '') };
  return { code: Number(body['code'] ?? 2), message: String(body['message'] ?? error) };
}

export function judgeFault({ code, message }: GatewayFault): Verdict {
  const text = message.startsWith(PREFIX) ? message.slice(PREFIX.length) : message;
  if (text.includes('requested lease not found')) return { kind: 'lease-gone', message: text };
  if (text.includes('authentication is not enabled')) return { kind: 'auth-off', message: text };
  if (text.includes('invalid auth token') || text.includes('revision of auth store is old') || text.includes('user name is empty')) {
    return { kind: 'token', message: text };
  }
  if (text.includes('authentication failed')) {
    return { kind: 'refused', message: text, mend: 'Correct etcd3.username and etcd3.password.' };
  }
  if (text.includes('permission denied')) {
    return { kind: 'refused', message: text, mend: 'Grant the etcd user readwrite on the prefix of this cluster.' };
  }
  if (text.includes('request is too large')) {
    return { kind: 'refused', message: text, mend: 'Shorten the value, or raise --max-request-bytes of etcd.' };
  }
  // Until somebody makes room; asking again, or another member, changes nothing.
  if (text.includes('database space exceeded')) {
    return { kind: 'refused', message: text, mend: NO_SPACE_MEND };
  }
  // Said before a proposal is made, so nothing was applied.
  if (text.includes('no leader') || code === CODE_RESOURCE_EXHAUSTED) return { kind: 'unavailable', applied: 'no', message: text };
  return { kind: 'unavailable', applied: 'maybe', message: `${text} (code ${code})` };
}

export function refusal(message: string, mend: string): DcsError {
  return new DcsError('DCS_REFUSED', `etcd refused: ${message}`, { mend });
}

/**
 * The first JSON object of a text; later ones are the rest of a stream that was not asked for.
 * Null: there is none.
 */
export function firstDocument(text: string): Record<string, unknown> | null {
  const start = text.trimStart();
  return parseRecord(start) ?? parseRecord(start.split('\n', 1)[0]!);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A stream wraps its answers in `result`. An answer without etcd's header did not come from etcd.
 */
function unwrap(body: Record<string, unknown>): Answer | null {
  const inner = isRecord(body['result']) ? body['result'] : body;
  const header = inner['header'];
  return isRecord(header) && typeof header['cluster_id'] === 'string' ? (inner as Answer) : null;
}

function parseRecord(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function plainText({ status, text }: Exchange): string {
  const line = text.trim().split('\n', 1)[0]!.slice(0, 200);
  const hint = status === 404 ? ' (not etcd, or its gateway is off: --enable-grpc-gateway=false?)' : '';
  return `HTTP status ${status}: ${line === '' ? 'empty answer' : line}${hint}`;
}
