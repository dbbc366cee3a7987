/** Reading GET /patroni of a peer, Regent or Patroni of any age. A body that says nothing of WAL is no answer at all. */
import type { Tags } from '../../core/cluster.ts';
import type { JsonValue } from '../../core/json.ts';
import type { PeerFacts } from '../../core/peer-facts.ts';
import { type Lsn, maxLsn, toLsn } from '../../core/units.ts';
import { isJsonObject } from '../../support/big-json.ts';

export function readPeerBody(name: string, body: JsonValue): PeerFacts | null {
  if (!isJsonObject(body)) return null;
  const wal = body['wal'] ?? body['xlog'];
  if (!isJsonObject(wal)) return null;
  const role = body['role'] === 'master' ? 'primary' : textOf(body['role'], 'unknown');
  const location = lsnOf(wal['location']);
  const replayLsn = lsnOf(wal['replayed_location']);
  const inRecovery = location === null && role !== 'primary';
  const timeline = body['timeline'];
  const beginning = textOf(wal['timeline_beginning'], '');
  const trouble = textOf(body['promotion_trouble'], '');
  const tags = body['tags'];
  return {
    name,
    state: textOf(body['state'], 'unknown'),
    role,
    inRecovery,
    lsn: inRecovery ? maxLsn(lsnOf(wal['received_location']), replayLsn) : location,
    replayLsn,
    timeline: typeof timeline === 'number' && Number.isInteger(timeline) && timeline > 0 ? timeline : null,
    ...(beginning === '' ? {} : { beginning }),
    tags: isJsonObject(tags) ? (tags as Tags) : {},
    watchdogFailed: body['watchdog_failed'] === true,
    ...(trouble === '' ? {} : { promotionTrouble: trouble }),
    systemIdentifier: textOf(body['database_system_identifier'], '') || null,
    ...(inRecovery && body['replication_state'] === 'streaming' ? { receiving: true } : {}),
    ...(inRecovery && wal['replaying'] === true ? { replaying: true } : {}),
    ...(inRecovery && (wal['attached'] === true || body['cluster_unlocked'] !== true) ? { attached: true } : {}),
  };
}

function textOf(value: JsonValue | undefined, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

/** 0 is how some versions write "not known". */
function lsnOf(value: JsonValue | undefined): Lsn | null {
  const whole = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
  if (!whole || value <= 0 || value > 0xffff_ffff_ffff_ffffn) return null;
  return toLsn(value);
}
