/** The `config` key in etcd, and `bootstrap.dcs`. Keys and defaults: patroni-compat 2.2, 2.5. */
import { choice, flag, freeMap, mapList, section, whole } from './leaves.ts';
import { postgresDynamicOnly, postgresShared } from './schema-postgres.ts';

/** A year. */
export const TIMING_MAX = 31_536_000;

/**
 * No unit may be written, as Patroni would not read one. Without a minimum: too small a value is
 * raised (see timing.ts), not refused.
 */
const seconds = (doc: string, fallback: number, min?: number) =>
  whole({ doc, default: fallback }, { ...(min === undefined ? {} : { min }), max: TIMING_MAX, example: fallback });
const bytes = (doc: string, fallback: number, min: number) => whole({ doc, default: fallback }, { min, example: 1_048_576 });

/** Least values Regent works with; Patroni raises ttl below 20 and retry_timeout below 3. */
export const TIMING_MIN = { ttl: 3, loop_wait: 1, retry_timeout: 1 } as const;
export const TIMING_PATRONI_MIN = { ttl: 20, loop_wait: 1, retry_timeout: 3 } as const;

export const dynamicShape = {
  ttl: seconds('Seconds the leader key outlives its holder; 3 or more.', 30),
  loop_wait: seconds('Seconds between rounds when nothing happens; 1 or more.', 10),
  retry_timeout: seconds(
    'Seconds for which a failing etcd or PostgreSQL is retried before the node steps down.',
    10,
    TIMING_MIN.retry_timeout,
  ),
  maximum_lag_on_failover: bytes('Bytes a candidate may lag behind.', 1_048_576, 0),
  maximum_lag_on_syncnode: bytes('Bytes a synchronous standby may lag behind before another takes its place; 0 or less: any.', -1, -1),
  max_timelines_history: whole({ doc: 'Entries kept in the history; 0: all.', default: 0 }, { min: 0, example: 0 }),
  check_timeline: flag({ doc: 'A candidate must be on the newest timeline known.', default: false }),
  primary_start_timeout: seconds('Seconds a crashed primary may take to come back before another leads; 0: at once.', 300, 0),
  primary_stop_timeout: seconds('Seconds an orderly stop may take under synchronous mode; 0: any.', 0, 0),
  primary_race_backoff: whole({ doc: "Accepted for Patroni's sake; no effect.", default: 0 }, { min: 0, example: 0 }),
  synchronous_mode: choice({ doc: 'off, on (named standbys) or quorum (any of them).', default: 'off' }, {
    off: 'off',
    on: 'on',
    quorum: 'quorum',
    true: 'on',
    false: 'off',
    yes: 'on',
    no: 'off',
    '1': 'on',
    '0': 'off',
  } as const),
  synchronous_mode_strict: flag({ doc: 'Refuse writes rather than commit without a synchronous standby.', default: false }),
  synchronous_node_count: whole({ doc: 'Synchronous standbys wanted.', default: 1 }, { min: 0, max: 1000, example: 1 }),
  failsafe_mode: flag({ doc: 'Not supported yet: read, without effect.', default: false }),
  pause: flag({ doc: 'No automatic failover (maintenance).', default: false }),
  standby_cluster: freeMap({ doc: 'Not supported yet.' }),
  slots: freeMap({ doc: 'Replication slots that are kept, by name.' }),
  ignore_slots: mapList({ doc: 'Slots that are left alone.' }),
  member_slots_ttl: whole(
    { doc: 'Seconds the slot of an absent member is kept (`regentctl forget`: no longer).', default: 1800 },
    { min: 0, unit: 's', example: '30min' },
  ),
  terminate_strangers: flag({
    doc: 'End the walsender of a server that streams under a member’s name without being it, where the member’s slot proves that.',
    default: false,
  }),
  postgresql: section({ doc: 'PostgreSQL settings for all members.' }, { ...postgresShared, ...postgresDynamicOnly }),
};

/** Older names, most preferred first. */
export const DYNAMIC_ALIASES: Readonly<Record<string, string>> = {
  master_start_timeout: 'primary_start_timeout',
  master_stop_timeout: 'primary_stop_timeout',
  permanent_slots: 'slots',
  permanent_replication_slots: 'slots',
};
