/**
 * The table of PostgreSQL's settings (GUCs) that Regent treats in its own way. It says which Regent
 * sets, which must be the same on all members and within which limits, and which matter in recovery
 * only. Whatever is not in here is the user's, and PostgreSQL itself judges it.
 */

/** The same on all members, on the postmaster's command line: a change needs a restart. */
export type Controlled =
  /** Made of other settings, never set by hand. */
  | { readonly kind: 'own' }
  /**
   * `min` keeps a cluster working; `max` is PostgreSQL's own. `replayed`: a standby must not have
   * it lower than the primary whose WAL it replays.
   */
  | { readonly kind: 'whole'; readonly fallback: number; readonly min: number; readonly max: number; readonly replayed?: true }
  | { readonly kind: 'boolean'; readonly fallback: 'on' | 'off'; readonly only?: 'on' }
  | { readonly kind: 'wal-level'; readonly fallback: 'replica' };

/** In the order in which they go on the postmaster's command line. */
export const CONTROLLED = {
  listen_addresses: { kind: 'own' },
  port: { kind: 'own' },
  cluster_name: { kind: 'own' },
  wal_level: { kind: 'wal-level', fallback: 'replica' },
  hot_standby: { kind: 'boolean', fallback: 'on', only: 'on' },
  max_connections: { kind: 'whole', fallback: 100, min: 25, max: 262143, replayed: true },
  max_wal_senders: { kind: 'whole', fallback: 10, min: 3, max: 262143, replayed: true },
  max_prepared_transactions: { kind: 'whole', fallback: 0, min: 0, max: 262143, replayed: true },
  max_locks_per_transaction: { kind: 'whole', fallback: 64, min: 32, max: 2147483647, replayed: true },
  track_commit_timestamp: { kind: 'boolean', fallback: 'off' },
  max_replication_slots: { kind: 'whole', fallback: 10, min: 4, max: 262143 },
  max_worker_processes: { kind: 'whole', fallback: 8, min: 2, max: 262143, replayed: true },
  wal_log_hints: { kind: 'boolean', fallback: 'on' },
} as const satisfies Readonly<Record<string, Controlled>>;

export type ControlledGuc = keyof typeof CONTROLLED;
export const CONTROLLED_GUCS = Object.keys(CONTROLLED) as readonly ControlledGuc[];

/** Its limits are numbers a standby must not have lower than the primary had them. */
export type LimitName = {
  [N in ControlledGuc]: (typeof CONTROLLED)[N] extends { readonly replayed: true } ? N : never;
}[ControlledGuc];
export const LIMIT_NAMES = CONTROLLED_GUCS.filter((name): name is LimitName => 'replayed' in CONTROLLED[name]);

/** Kept for a standby that was briefly away. In the file: a reload will do. */
export const WAL_KEEP = { fallback: '128MB', segmentMegabytes: 16 } as const;

interface Recovery {
  /** user: it may be set by hand. regent: it says where to stream from, or how far to replay. */
  readonly whose: 'user' | 'regent';
  /** Targets exclude one another; one left over in an included file would end replication there. */
  readonly target?: true;
}

/**
 * Meaningful in recovery only; kept out of the main part of the file and out of
 * postgresql.auto.conf.
 */
const RECOVERY: Readonly<Record<string, Recovery>> = {
  archive_cleanup_command: { whose: 'user' },
  pause_at_recovery_target: { whose: 'regent' },
  primary_conninfo: { whose: 'regent' },
  primary_slot_name: { whose: 'regent' },
  promote_trigger_file: { whose: 'regent' },
  recovery_end_command: { whose: 'user' },
  recovery_min_apply_delay: { whose: 'user' },
  recovery_target: { whose: 'regent', target: true },
  recovery_target_action: { whose: 'regent' },
  recovery_target_inclusive: { whose: 'regent' },
  recovery_target_lsn: { whose: 'regent', target: true },
  recovery_target_name: { whose: 'regent', target: true },
  recovery_target_time: { whose: 'regent', target: true },
  recovery_target_timeline: { whose: 'regent' },
  recovery_target_xid: { whose: 'regent', target: true },
  restore_command: { whose: 'user' },
  standby_mode: { whose: 'regent' },
  trigger_file: { whose: 'regent' },
};

export const RECOVERY_GUCS: ReadonlySet<string> = new Set(Object.keys(RECOVERY));
export const RECOVERY_TARGETS: readonly string[] = Object.keys(RECOVERY).filter((name) => RECOVERY[name]?.target);

/** Whether a user may set it for recovery. PostgreSQL judges what the table does not have. */
export function isUserRecoveryGuc(name: string): boolean {
  const lower = name.toLowerCase();
  return Object.hasOwn(RECOVERY, lower) ? RECOVERY[lower]?.whose === 'user' : !lower.startsWith('recovery_target');
}

/** Words of the file format, and what says where the file itself lies: never a setting in it. */
export const NEVER_WRITTEN: ReadonlySet<string> = new Set(['include', 'include_dir', 'include_if_exists', 'config_file', 'data_directory']);

/** True for what goes on the command line. */
export function isControlled(name: string): boolean {
  return Object.hasOwn(CONTROLLED, name.toLowerCase());
}

/**
 * True for what only the dynamic configuration may set; the two wal_keep_* count as well, though
 * they stand in postgresql.conf.
 */
export function isClusterWide(name: string): boolean {
  return isControlled(name) || ['wal_keep_size', 'wal_keep_segments'].includes(name.toLowerCase());
}
