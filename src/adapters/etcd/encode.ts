/**
 * Values as Patroni writes them: compact JSON in its order of keys. Readers of both kinds compare
 * the texts.
 */

import type { FailoverRequest } from '../../ports/dcs.ts';
import { isJsonObject, stringifyCompact } from '../../support/big-json.ts';
import type { JsonObject } from '../../support/json.ts';
import { compareNames, lsnOf, tryParse } from './decode-values.ts';

/** `{}` for no request; each part only when there is one. */
export function encodeFailover(request: FailoverRequest | null): string {
  const value: JsonObject = {};
  if (request?.leader) value['leader'] = request.leader;
  if (request?.member) value['member'] = request.member;
  if (request?.scheduled_at) value['scheduled_at'] = request.scheduled_at;
  if (request?.requested_by) value['requested_by'] = request.requested_by;
  if (request?.requested_at) value['requested_at'] = request.requested_at;
  return stringifyCompact(value);
}

/** Standbys are written sorted and once each; none is null. */
export function encodeSync(value: { leader: string | null; quorum: number; standbys: readonly string[] }): string {
  const standbys = [...new Set(value.standbys)].sort(compareNames).join(',');
  return stringifyCompact({ leader: value.leader, quorum: value.quorum, sync_standby: standbys === '' ? null : standbys });
}

const STATUS_ORDER = ['optime', 'slots', 'retain_slots'];

/**
 * `optime`, `slots`, `retain_slots` in this order, then whatever else there is; null and empty
 * parts are left out.
 */
export function encodeStatus(value: JsonObject): string {
  const order = [
    ...STATUS_ORDER.filter((key) => Object.hasOwn(value, key)),
    ...Object.keys(value).filter((key) => !STATUS_ORDER.includes(key)),
  ];
  const status: JsonObject = {};
  for (const key of order) if (!isEmpty(value[key])) status[key] = value[key]!;
  return stringifyCompact(status);
}

/** A status as it was written: of old, the leader's position alone. */
export function statusObject(text: string): JsonObject {
  const value = tryParse(text) ?? null;
  return isJsonObject(value) ? value : { optime: lsnOf(value) };
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
