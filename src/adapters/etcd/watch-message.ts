/** Reads the messages of a `/watch` stream. */
import { faultOf, firstDocument, type GatewayFault, type Header, isRecord, type KeyValue } from './answers.ts';

export interface WatchEvent {
  readonly kv: KeyValue;
  readonly deleted: boolean;
}

export type WatchMessage =
  | { readonly kind: 'fault'; readonly fault: GatewayFault }
  /** The revisions asked for are gone. */
  | { readonly kind: 'compacted' }
  | { readonly kind: 'cancelled'; readonly reason: string }
  | { readonly kind: 'created'; readonly header: Header }
  /** No events: etcd has told everything up to the header's revision. */
  | { readonly kind: 'events'; readonly header: Header; readonly events: readonly WatchEvent[] };

/** Null: nothing etcd would say. */
export function readWatchMessage(line: string): WatchMessage | null {
  const body = firstDocument(line);
  if (body === null) return null;
  const fault = faultOf(body);
  if (fault !== null) return { kind: 'fault', fault };
  const { result } = body;
  if (!isRecord(result) || !isRecord(result['header']) || typeof result['header']['cluster_id'] !== 'string') return null;
  const header = result['header'] as unknown as Header;
  if (result['compact_revision'] !== undefined && result['compact_revision'] !== '0') return { kind: 'compacted' };
  if (result['canceled'] === true) return { kind: 'cancelled', reason: String(result['cancel_reason'] ?? 'without a reason') };
  if (result['created'] === true) return { kind: 'created', header };
  const events = Array.isArray(result['events']) ? result['events'].filter(isRecord) : [];
  return { kind: 'events', header, events: events.flatMap(readEvent) };
}

/** An event without a type is a put. */
function readEvent(event: Record<string, unknown>): WatchEvent[] {
  const { kv } = event;
  if (!isRecord(kv) || typeof kv['key'] !== 'string') return [];
  return [{ kv: kv as unknown as KeyValue, deleted: event['type'] === 'DELETE' }];
}
