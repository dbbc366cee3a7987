/** Replication slots, brought to what was decided; of the logical ones only drops. */
import type pg from 'pg';
import { formatLsn, type Lsn } from '../../core/units.ts';
import type { Log } from '../../ports/log.ts';
import { ensureError } from '../../support/errors.ts';

export interface SlotPlan {
  readonly create: readonly string[];
  readonly drop: readonly string[];
  readonly advance: Readonly<Record<string, Lsn>>;
  readonly renew?: readonly string[];
  readonly reasons?: Readonly<Record<string, string>>;
}

export interface SlotFailure {
  readonly slot: string;
  readonly action: 'create' | 'drop' | 'renew' | 'advance';
  readonly message: string;
}

/** Reserves WAL at once: a member that connects only later must still find it. */
const CREATE = `SELECT pg_catalog.pg_create_physical_replication_slot($1::name, true)
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1)`;
/** A slot in use stays, because the plan was made on what was seen some time ago. */
const DROP = `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots
 WHERE slot_name = $1 AND NOT active`;
/**
 * A new slot reserves from the redo point on. One that keeps older WAL for its member stays until
 * the member has come so far, or member_slots_ttl is over. That WAL is worth more than what its
 * xmin costs.
 */
const DROP_FOR_NEW = `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots, pg_catalog.pg_control_checkpoint()
 WHERE slot_name = $1 AND slot_type = 'physical' AND NOT active
   AND (restart_lsn IS NULL OR wal_status = 'lost' OR (xmin IS NOT NULL AND restart_lsn >= redo_lsn))`;
/**
 * Never backwards, never beyond what this server has replayed: PostgreSQL refuses the former and
 * would lose WAL by the latter.
 */
const ADVANCE = `SELECT pg_catalog.pg_replication_slot_advance(slot_name, least($2::pg_lsn, reached)) FROM pg_catalog.pg_replication_slots,
 (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_flush_lsn() END AS reached) r
 WHERE slot_name = $1 AND slot_type = 'physical' AND NOT active AND restart_lsn < least($2::pg_lsn, reached)`;

/**
 * Does all it can; what failed is returned, not thrown. Drops first: max_replication_slots may be
 * what keeps a new one from being made.
 */
export async function syncSlots(client: pg.Client, plan: SlotPlan, log?: Pick<Log, 'info'>): Promise<SlotFailure[]> {
  const failures: SlotFailure[] = [];
  const attempt = async (slot: string, action: SlotFailure['action'], text: string, values: string[]) => {
    try {
      const { rowCount } = await client.query(text, values);
      return (rowCount ?? 0) > 0;
    } catch (error) {
      failures.push({ slot, action, message: ensureError(error).message });
      return false;
    }
  };
  for (const slot of plan.drop)
    if (await attempt(slot, 'drop', DROP, [slot]))
      log?.info(`dropped the replication slot ${slot}: ${plan.reasons?.[slot] ?? 'it is not wanted'}`);
  for (const slot of plan.renew ?? []) {
    await attempt(slot, 'renew', DROP_FOR_NEW, [slot]);
    await attempt(slot, 'renew', CREATE, [slot]);
  }
  for (const slot of plan.create) await attempt(slot, 'create', CREATE, [slot]);
  for (const [slot, lsn] of Object.entries(plan.advance)) await attempt(slot, 'advance', ADVANCE, [slot, formatLsn(lsn)]);
  return failures;
}

/** A pid may have become another process since it was seen. */
export async function endWalsender(client: pg.Client, pid: number, name: string): Promise<void> {
  await client.query(
    `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_replication WHERE pid = $1 AND lower(application_name) = lower($2)`,
    [pid, name],
  );
}
