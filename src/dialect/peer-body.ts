/**
 * Reading GET /patroni of a peer, which may be Regent or Patroni of any age. A body that says
 * nothing about WAL is no answer, unless it says that its server is down.
 */
import type { Tags } from '../core/cluster.ts';
import type { PeerFacts } from '../core/peer-facts.ts';
import { type Lsn, maxLsn, type Timeline, toLsn } from '../core/units.ts';
import { isJsonObject } from '../support/big-json.ts';
import type { JsonObject, JsonValue } from '../support/json.ts';
import { ownFacts, readOwnWord } from './own-word.ts';

export function readPeerBody(name: string, body: JsonValue): PeerFacts | null {
  if (!isJsonObject(body) || isOfAnother(name, body)) return null;
  const own = ownFacts(body);
  // An old Patroni has its positions in `wal`.
  const told = body['xlog'] ?? body['wal'];
  const disk = own['on_disk'];
  if (!isJsonObject(told) && !isJsonObject(disk)) return null;
  const wal = isJsonObject(told) ? told : {};
  const role = body['role'] === 'master' ? 'primary' : textOf(body['role'], 'unknown');
  const location = lsnOf(wal['location']);
  const replayLsn = lsnOf(wal['replayed_location']);
  const down = !isJsonObject(told);
  const inRecovery = down || (location === null && role !== 'primary');
  const timeline = body['timeline'];
  const { attached, replaying, ...word } = readOwnWord(body);
  const tags = body['tags'];
  return {
    name,
    state: textOf(body['state'], 'unknown'),
    role,
    inRecovery,
    lsn: inRecovery ? maxLsn(lsnOf(wal['received_location']), replayLsn) : location,
    replayLsn,
    timeline: timelineOf(timeline),
    ...(down && isJsonObject(disk) ? onDisk(disk) : {}),
    tags: isJsonObject(tags) ? (tags as Tags) : {},
    ...word,
    ...lockedOut(own['locked_out']),
    systemIdentifier: textOf(body['database_system_identifier'], '') || null,
    ...(inRecovery && body['replication_state'] === 'streaming' ? { receiving: true } : {}),
    ...(inRecovery && replaying ? { replaying } : {}),
    ...(inRecovery && (attached || (body['cluster_unlocked'] !== true && word.fence === undefined)) ? { attached: true } : {}),
  };
}

/** The address may be another member's by now. An old Patroni does not say its name. */
function isOfAnother(name: string, { patroni }: JsonObject): boolean {
  const told = isJsonObject(patroni) ? patroni['name'] : undefined;
  return typeof told === 'string' && told !== name;
}

function lockedOut(told: JsonValue | undefined): Pick<PeerFacts, 'lockedOut'> {
  const reason = isJsonObject(told) ? textOf(told['reason'], '') : '';
  return reason === '' ? {} : { lockedOut: reason };
}

function onDisk(disk: JsonObject): Pick<PeerFacts, 'onDisk'> {
  const lsn = lsnOf(disk['location']);
  const timeline = timelineOf(disk['timeline']);
  return lsn === null || timeline === null ? {} : { onDisk: { timeline, lsn } };
}

const timelineOf = (value: JsonValue | undefined): Timeline | null =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : null;

function textOf(value: JsonValue | undefined, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

/** 0 is how some versions write "not known". */
function lsnOf(value: JsonValue | undefined): Lsn | null {
  const whole = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
  if (!whole || value <= 0 || value > 0xffff_ffff_ffff_ffffn) return null;
  return toLsn(value);
}
