/** The one statement that gathers all SqlFacts, and the reading of its row. PostgreSQL 13 to 18. */
import type { ReceiverFacts, SlotFacts, SqlFacts, WalsenderFacts } from '../../core/postgres-facts.ts';
import { type Lsn, maxLsn, parseLsn, type Timeline } from '../../core/units.ts';

/** Fixed for the life of one postmaster. */
/**
 * It also keeps the session alive, because a role or database may limit idle sessions. Such limits
 * differ from version to version.
 */
export const IDENTITY_QUERY = `
WITH unlimited AS (SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout'))
SELECT (SELECT count(*) FROM unlimited)::int AS limits_lifted,
       current_setting('server_version_num')::int AS server_version,
       (SELECT system_identifier FROM pg_control_system())::text AS system_identifier,
       pg_size_bytes(current_setting('wal_segment_size'))::int AS wal_segment_bytes`;

export interface IdentityRow {
  readonly server_version: number;
  readonly system_identifier: string;
  readonly wal_segment_bytes: number;
}

const TIMESTAMP = `'YYYY-MM-DD HH24:MI:SS.US"+00:00"'`;

/**
 * pg_is_in_recovery() is asked once and fenced (OFFSET 0). The WAL functions of a primary raise an
 * error in recovery, and a promotion may come in between. A primary's own end is asked after what
 * its walsenders tell: no standby can have more by then. The walsender and walreceiver functions
 * are called themselves, because the views join the whole of pg_stat_activity.
 */
export function factsQuery(serverVersion: number): string {
  const failover = serverVersion >= 170000 ? `'failover', s.failover, 'synced', s.synced` : `'failover', false`;
  return `
SELECT r.rec AS in_recovery,
  CASE WHEN NOT r.rec THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS primary_timeline,
  CASE WHEN NOT r.rec THEN (SELECT timeline_id FROM pg_control_checkpoint()) END AS checkpoint_timeline,
  CASE WHEN r.rec THEN pg_last_wal_receive_lsn()::text END AS receive_lsn,
  CASE WHEN r.rec THEN pg_last_wal_replay_lsn()::text END AS replay_lsn,
  CASE WHEN r.rec THEN pg_is_wal_replay_paused() ELSE false END AS replay_paused,
  CASE WHEN r.rec AND w.pid IS NULL THEN (SELECT json_build_object('timeline', greatest(c.timeline_id, m.min_recovery_end_timeline),
    'checkpoint_timeline', c.timeline_id, 'checkpoint_lsn', c.checkpoint_lsn)
    FROM pg_control_checkpoint() c, pg_control_recovery() m) END AS control,
  CASE WHEN r.rec AND w.pid IS NULL THEN coalesce((SELECT p.wait_event = 'RecoveryRetrieveRetryInterval'
    FROM pg_stat_activity p WHERE p.backend_type = 'startup'), false) END AS waits_for_wal,
  to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', ${TIMESTAMP}) AS replayed_timestamp,
  CASE WHEN w.pid IS NOT NULL THEN json_build_object('pid', w.pid, 'status', w.status, 'received_tli', w.received_tli, 'slot_name', w.slot_name,
    'conninfo', w.conninfo, 'sender_host', w.sender_host, 'sender_port', w.sender_port, 'latest_end_lsn', w.latest_end_lsn,
    'written_lsn', w.written_lsn,
    'silent_ms', extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time) * 1000) END AS receiver,
  CASE WHEN r.rec AND w.pid IS NULL THEN (SELECT json_build_object('pid', p.pid,
    'age_ms', extract(epoch FROM clock_timestamp() - p.backend_start) * 1000)
    FROM pg_stat_activity p WHERE p.backend_type = 'walreceiver' LIMIT 1) END AS connecting,
  (SELECT json_agg(json_build_object('pid', s.pid, 'usename', pg_get_userbyid(a.usesysid), 'application_name', a.application_name,
    'client_addr', host(a.client_addr), 'state', s.state, 'sync_state', s.sync_state, 'sync_priority', s.sync_priority,
    'write_lsn', s.write_lsn, 'flush_lsn', s.flush_lsn, 'replay_lsn', s.replay_lsn, 'reply_time', s.reply_time))
    FROM pg_stat_get_wal_senders() s, LATERAL pg_stat_get_activity(s.pid) a) AS walsenders,
  (SELECT json_agg(json_build_object('name', s.slot_name, 'type', s.slot_type, 'active', s.active, 'active_pid', s.active_pid, 'restart_lsn', s.restart_lsn,
    'confirmed_flush_lsn', s.confirmed_flush_lsn, 'xmin', s.xmin, 'catalog_xmin', s.catalog_xmin,
    'plugin', s.plugin, 'database', d.datname, 'wal_status', s.wal_status, ${failover}))
    FROM pg_get_replication_slots() s LEFT JOIN pg_database d ON d.oid = s.datoid WHERE NOT s.temporary) AS slots,
  CASE WHEN NOT r.rec THEN pg_current_wal_flush_lsn()::text END AS flush_lsn,
  coalesce(current_setting('sync_replication_slots', true), 'off') = 'on' AS syncs_slots,
  current_setting('synchronous_standby_names') AS synchronous_standby_names,
  current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('primary_conninfo') AS primary_conninfo,
  current_setting('primary_slot_name') AS primary_slot_name,
  current_setting('restore_command') AS restore_command,
  to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', ${TIMESTAMP}) AS postmaster_start_time,
  pg_conf_load_time()::text AS conf_load_time
FROM (SELECT pg_is_in_recovery() AS rec OFFSET 0) r, pg_stat_get_wal_receiver() w`;
}

interface ReceiverRow {
  readonly pid?: number;
  readonly status: string | null;
  readonly received_tli: number | null;
  readonly slot_name: string | null;
  readonly conninfo: string | null;
  readonly sender_host: string | null;
  readonly sender_port: number | null;
  readonly latest_end_lsn: string | null;
  readonly written_lsn: string | null;
  readonly silent_ms?: number | null;
}

interface ControlRow {
  readonly timeline: number | null;
  readonly checkpoint_timeline: number | null;
  readonly checkpoint_lsn: string | null;
}

export interface FactsRow {
  readonly in_recovery: boolean;
  readonly primary_timeline: number | null;
  readonly checkpoint_timeline?: number | null;
  readonly flush_lsn: string | null;
  readonly receive_lsn: string | null;
  readonly replay_lsn: string | null;
  readonly replay_paused: boolean;
  readonly control: ControlRow | null;
  /**
   * The startup process sleeps between two tries: it has come to the end of what it has. In the
   * wait for a walreceiver (RecoveryWalStream) one has been asked for, and may be about to connect;
   * pg_stat_wal_receiver shows it only after that. Null on a primary, and while a walreceiver runs.
   */
  readonly waits_for_wal?: boolean | null;
  readonly replayed_timestamp: string | null;
  readonly receiver: ReceiverRow | null;
  readonly connecting?: { readonly pid: number; readonly age_ms: number | null } | null;
  readonly walsenders: ReadonlyArray<Record<string, string | number | null>> | null;
  readonly slots: ReadonlyArray<Record<string, string | number | boolean | null>> | null;
  readonly syncs_slots?: boolean;
  readonly synchronous_standby_names: string;
  readonly synchronous_commit: string;
  readonly primary_conninfo: string;
  readonly primary_slot_name: string;
  readonly restore_command: string;
  readonly postmaster_start_time: string;
  readonly conf_load_time: string;
}

type Scalar = string | number | boolean | null | undefined;
const lsnOf = (text: Scalar): Lsn | null => (typeof text === 'string' ? parseLsn(text) : null);
const textOf = (value: Scalar): string => (value == null ? '' : String(value));
const textOrNull = (value: Scalar): string | null => (value == null ? null : String(value));

/**
 * Reads all facts except pendingRestart, obeysSyncNames and, where there is no walreceiver, the
 * standby's timeline: those need more than this row.
 */
export function readFacts(row: FactsRow, serverVersion: number): Omit<SqlFacts, 'pendingRestart' | 'obeysSyncNames'> {
  const receiver = row.receiver === null ? null : readReceiver(row.receiver);
  return {
    inRecovery: row.in_recovery,
    serverVersion,
    timeline: row.in_recovery ? receivedTimeline(receiver) : row.primary_timeline,
    flushLsn: lsnOf(row.flush_lsn),
    receiveLsn: row.in_recovery ? maxLsn(lsnOf(row.receive_lsn), lsnOf(row.receiver?.written_lsn)) : null,
    replayLsn: lsnOf(row.replay_lsn),
    replayPaused: row.replay_paused,
    ...(isReplaying(row) ? { replaying: true } : {}),
    ...readCheckpoint(row.control),
    ...(row.checkpoint_timeline == null ? {} : { checkpointTimeline: row.checkpoint_timeline }),
    replayedTimestamp: row.replayed_timestamp,
    receiver,
    ...readConnecting(row.connecting),
    replication: (row.walsenders ?? []).map(readWalsender),
    slots: (row.slots ?? []).map(readSlot),
    ...(row.syncs_slots === true ? { syncsSlots: true } : {}),
    synchronousStandbyNames: row.synchronous_standby_names,
    synchronousCommit: row.synchronous_commit,
    primaryConninfo: row.primary_conninfo,
    primarySlotName: row.primary_slot_name,
    restoreCommand: row.restore_command,
    postmasterStartTime: row.postmaster_start_time,
  };
}

/**
 * It has more on its own disk than it tells, or a walreceiver that is only connecting may bring
 * more, and confirm it. A startup process that is paused has not come to the
 * end either. An operator pauses it, or PostgreSQL does where a limit is lower than the primary's.
 * But once a walreceiver has run in this life, everything on the disk was replayed or is in
 * `receive_lsn`.
 */
function isReplaying({ in_recovery, receiver, connecting, waits_for_wal, replay_paused, receive_lsn }: FactsRow): boolean {
  if (!in_recovery || receiver !== null) return false;
  return connecting != null || (waits_for_wal === false && !(replay_paused && receive_lsn !== null));
}

/** Until the source has sent its first message, received_tli is only the timeline asked for. */
export function receivedTimeline(receiver: ReceiverFacts | null): Timeline | null {
  return receiver !== null && receiver.latestEndLsn !== null ? receiver.receivedTimeline : null;
}

function readConnecting(row: FactsRow['connecting']): Pick<SqlFacts, 'connecting'> {
  return row == null || row.age_ms === null ? {} : { connecting: { pid: row.pid, ageMs: row.age_ms } };
}

function readCheckpoint(row: ControlRow | null): Pick<SqlFacts, 'checkpoint'> {
  const checkpointLsn = lsnOf(row?.checkpoint_lsn);
  const timeline = row?.checkpoint_timeline ?? null;
  return checkpointLsn === null || timeline === null ? {} : { checkpoint: { timeline, checkpointLsn } };
}

function readReceiver(row: ReceiverRow): ReceiverFacts {
  return {
    ...(row.pid === undefined ? {} : { pid: row.pid }),
    status: row.status ?? '',
    receivedTimeline: row.received_tli,
    slotName: row.slot_name,
    conninfo: row.conninfo ?? '',
    senderHost: row.sender_host,
    senderPort: row.sender_port,
    latestEndLsn: lsnOf(row.latest_end_lsn),
    ...(row.silent_ms == null ? {} : { silentMs: row.silent_ms }),
  };
}

function readWalsender(row: Record<string, string | number | null>): WalsenderFacts {
  return {
    pid: Number(row['pid']),
    usename: textOf(row['usename']),
    applicationName: textOf(row['application_name']),
    clientAddr: textOrNull(row['client_addr']),
    state: textOf(row['state']),
    syncState: textOf(row['sync_state']),
    syncPriority: Number(row['sync_priority'] ?? 0),
    writeLsn: lsnOf(row['write_lsn']),
    flushLsn: lsnOf(row['flush_lsn']),
    replayLsn: lsnOf(row['replay_lsn']),
    replyTime: textOrNull(row['reply_time']),
  };
}

function readSlot(row: Record<string, string | number | boolean | null>): SlotFacts {
  return {
    name: textOf(row['name']),
    type: row['type'] === 'logical' ? 'logical' : 'physical',
    active: row['active'] === true,
    activePid: typeof row['active_pid'] === 'number' ? row['active_pid'] : null,
    restartLsn: lsnOf(row['restart_lsn']),
    confirmedFlushLsn: lsnOf(row['confirmed_flush_lsn']),
    xmin: textOrNull(row['xmin']),
    plugin: textOrNull(row['plugin']),
    database: textOrNull(row['database']),
    walStatus: textOrNull(row['wal_status']),
    catalogXmin: textOrNull(row['catalog_xmin']),
    failover: row['failover'] === true,
    ...(row['synced'] === true ? { synced: true } : {}),
  };
}
