/**
 * Settings after every source has been merged and checked: what the agent works with.
 * Sources, precedence and parsing belong to config/; meaning and relations belong here.
 *
 * `LocalSettings` come from the YAML file and the environment and change by reload only.
 * `DynamicSettings` come from the `config` key in etcd (first value: bootstrap.dcs) and change for
 * the whole cluster at once.
 */

import type { JsonObject } from '../support/json.ts';
import type { Tags } from './cluster.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string | null;
  /**
   * libpq's own keywords: sslmode, sslcert, sslkey, sslpassword, sslrootcert, sslcrl, sslcrldir,
   * gssencmode, channel_binding, sslnegotiation.
   */
  readonly options: Readonly<Record<string, string>>;
}

export interface EtcdSettings {
  /** `http://host:port`, in order of preference. At least one. */
  readonly endpoints: readonly string[];
  readonly username: string | null;
  readonly password: string | null;
  readonly cacert: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  /** false: keep to the configured endpoints (use_proxies), no member discovery. */
  readonly discover: boolean;
  /** SRV domain to resolve, if configured. */
  readonly srv: string | null;
  readonly srvSuffix: string | null;
}

export interface RestSettings {
  readonly listenHost: string;
  readonly listenPort: number;
  /** host:port published in the member key. */
  readonly connectAddress: string;
  readonly authentication: { readonly username: string; readonly password: string } | null;
  readonly certfile: string | null;
  readonly keyfile: string | null;
  readonly keyfilePassword: string | null;
  readonly cafile: string | null;
  readonly ciphers: string | null;
  readonly verifyClient: 'none' | 'optional' | 'required';
  readonly allowlist: readonly string[];
  readonly allowlistIncludeMembers: boolean;
  readonly httpExtraHeaders: Readonly<Record<string, string>>;
  readonly httpsExtraHeaders: Readonly<Record<string, string>>;
  readonly serverTokens: 'original' | 'minimal' | 'productonly';
}

export interface CtlSettings {
  readonly insecure: boolean;
  readonly cacert: string | null;
  readonly certfile: string | null;
  readonly keyfile: string | null;
  readonly keyfilePassword: string | null;
  readonly authentication: { readonly username: string; readonly password: string } | null;
}

export type Callbacks = Readonly<Partial<Record<'on_start' | 'on_stop' | 'on_restart' | 'on_reload' | 'on_role_change', string>>>;

export interface PostgresSettings {
  /** One or more addresses, or '*'. */
  readonly listenAddresses: string;
  readonly port: number;
  readonly connectHost: string;
  readonly connectPort: number;
  readonly proxyAddress: string | null;
  readonly dataDir: string;
  readonly configDir: string;
  /** Of the configuration file and of the one it includes: `postgresql`. */
  readonly configBaseName: string;
  /** '' means PATH. */
  readonly binDir: string;
  readonly binNames: Readonly<Record<string, string>>;
  readonly pgpass: string;
  readonly database: string;
  /** Kerberos service name of the servers that are connected to; null: libpq's own. */
  readonly krbsrvname: string | null;
  readonly superuser: Credentials;
  readonly replication: Credentials;
  readonly rewind: Credentials;
  /** GUCs of the local file. Controlled ones (cluster-wide) are already dropped. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly pgHba: readonly string[] | null;
  readonly pgIdent: readonly string[] | null;
  readonly customConf: string | null;
  readonly recoveryConf: Readonly<Record<string, string>>;
  readonly createReplicaMethods: readonly string[];
  /** Per custom method, its map. */
  readonly methodOptions: Readonly<Record<string, JsonObject>>;
  /** pg_basebackup options: bare flags as `{name: true}`. */
  readonly basebackup: readonly BinaryOption[];
  readonly callbacks: Callbacks;
  readonly prePromote: string | null;
  readonly beforeStop: string | null;
  readonly pgCtlTimeoutSeconds: number;
  readonly usePgRewind: boolean;
  readonly rewindOptions: readonly BinaryOption[];
  readonly removeDataDirectoryOnRewindFailure: boolean;
  readonly removeDataDirectoryOnDivergedTimelines: boolean;
  readonly useUnixSocket: boolean;
  readonly useUnixSocketRepl: boolean;
}

/** As the names of settings have them: `parameters_primary`. */
export const ROLE_NAMES = ['primary', 'replica', 'standby_leader'] as const;
export type RoleName = (typeof ROLE_NAMES)[number];

/** What may differ from role to role. */
export type RoleSettings = Pick<PostgresSettings, 'parameters' | 'recoveryConf' | 'pgHba' | 'pgIdent'>;

export interface BinaryOption {
  readonly name: string;
  /** null: a bare flag. */
  readonly value: string | null;
}

export interface BootstrapSettings {
  readonly dcs: JsonObject;
  readonly method: string;
  readonly initdb: readonly BinaryOption[];
  readonly postBootstrap: string | null;
  readonly pgHba: readonly string[];
  /** The `bootstrap.<method>` map of a custom method. */
  readonly methodOptions: JsonObject | null;
}

export interface WatchdogSettings {
  readonly mode: 'off' | 'automatic' | 'required';
  readonly device: string;
  readonly safetyMarginSeconds: number;
}

export type LogLevel = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL';

export interface LogSettings {
  readonly type: 'plain' | 'json';
  readonly level: LogLevel;
  readonly format: string;
  readonly dateformat: string | null;
  readonly dir: string | null;
  readonly fileNum: number;
  readonly fileSizeBytes: number;
  readonly mode: number | null;
  readonly staticFields: Readonly<Record<string, string>>;
  readonly deduplicateHeartbeatLogs: boolean;
  /** Levels of parts of the agent, by the names that Patroni gives its loggers. */
  readonly loggers: Readonly<Record<string, LogLevel>>;
  /** Where the stack of an unexpected error goes. */
  readonly tracebackLevel: 'DEBUG' | 'ERROR';
  /** Lines that may wait to be written. */
  readonly maxQueueSize: number;
}

export interface LocalSettings {
  readonly scope: string;
  readonly name: string;
  readonly namespace: string;
  readonly etcd: EtcdSettings;
  readonly restapi: RestSettings;
  readonly ctl: CtlSettings;
  readonly postgresql: PostgresSettings;
  /** Null: this node makes no new cluster. */
  readonly bootstrap: BootstrapSettings | null;
  /** Why it makes none, and what to write so that it does; null or missing: nothing to say. */
  readonly bootstrapRefusal?: string | null;
  readonly watchdog: WatchdogSettings;
  readonly tags: Tags;
  readonly log: LogSettings;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** This cluster follows a server outside of it: no node of it takes writes. */
export interface StandbyClusterSettings {
  /** Where that server is, or may be; the one that takes writes is meant. []: archive only. */
  readonly endpoints: readonly Endpoint[];
  /** The slot that the standby leader uses there; null: none. */
  readonly primarySlotName: string | null;
  /** For every member, in place of its own; null: its own. */
  readonly restoreCommand: string | null;
  readonly archiveCleanupCommand: string | null;
  /** For the standby leader. */
  readonly recoveryMinApplyDelay: string | null;
  /** In place of `postgresql.create_replica_methods`; []: pg_basebackup. */
  readonly createReplicaMethods: readonly string[];
}

export interface DynamicSettings {
  readonly ttlSeconds: number;
  readonly loopWaitSeconds: number;
  readonly retryTimeoutSeconds: number;
  readonly maximumLagOnFailoverBytes: number;
  readonly maximumLagOnSyncnodeBytes: number;
  readonly maxTimelinesHistory: number;
  readonly checkTimeline: boolean;
  readonly primaryStartTimeoutSeconds: number;
  readonly primaryStopTimeoutSeconds: number;
  /** How long a race waits for a former primary that still writes; 0: not at all. */
  readonly primaryRaceBackoffSeconds: number;
  readonly synchronousMode: 'off' | 'on' | 'quorum';
  readonly synchronousModeStrict: boolean;
  readonly synchronousNodeCount: number;
  readonly failsafeMode: boolean;
  /** What a failover waits for where the synchronous set allows both (core/quorum/in-force.ts). */
  readonly failoverFence: 'quorum' | 'lease';
  /** Without synchronous mode: no lease is waited for where the kernel says that nobody listens. */
  readonly failoverOnRefusal: boolean;
  /** So long without a beat, and a voter looks whether the leader is still there. */
  readonly suspectAfterMs: number;
  /** A leader whose PostgreSQL has not answered for so long hands over, if another can lead. */
  readonly unresponsiveAfterSeconds: number;
  readonly pause: boolean;
  /**
   * Null: a cluster of its own. Otherwise nothing here has to be confirmed before it counts:
   * synchronous modes, failsafe mode and failover on refusal are off, whatever is configured.
   */
  readonly standbyCluster: StandbyClusterSettings | null;
  readonly memberSlotsTtlSeconds: number;
  /** End the walsenders of servers that stream under a member's name without being it. */
  readonly terminateStrangers: boolean;
  /** Permanent slots by name, without those of another type of cluster (`cluster_type`). */
  readonly slots: Readonly<Record<string, PermanentSlot>>;
  /** Those others; in a standby cluster the logical ones as well. */
  readonly slotsElsewhere: Readonly<Record<string, PermanentSlot>>;
  readonly ignoreSlots: readonly JsonObject[];
  readonly useSlots: boolean;
  /** The `postgresql` map of the config key, as written; config/ merges it with the local one. */
  readonly postgresql: JsonObject;
  /** The whole object as last accepted. */
  readonly raw: JsonObject;
}

/** A slot that every node has that may lead, for a consumer that is no member. */
export type PermanentSlot =
  | { readonly type: 'physical' }
  | { readonly type: 'logical'; readonly database: string; readonly plugin: string };

/** The two together, with the GUCs that PostgreSQL must run with. */
export interface Settings {
  readonly local: LocalSettings;
  readonly dynamic: DynamicSettings;
  /**
   * `local.postgresql` overlaid on the dynamic `postgresql` map (local wins, except for what is
   * cluster-wide).
   */
  readonly postgresql: PostgresSettings;
  /**
   * Cluster-wide GUCs, passed on the postmaster's command line and changed in etcd only. They are
   * cluster_name, wal_level, hot_standby, max_connections, max_wal_senders,
   * max_prepared_transactions, max_locks_per_transaction, track_commit_timestamp,
   * max_replication_slots, max_worker_processes, wal_log_hints, listen_addresses, port.
   */
  readonly controlledParameters: Readonly<Record<string, string>>;
  /** All other GUCs (dynamic, then local); they go to postgresql.conf. */
  readonly parameters: Readonly<Record<string, string>>;
  /**
   * What is set for one role only, laid over what holds for all; see `settingsFor`. Absent: nothing
   * is.
   */
  readonly byRole?: Readonly<Record<RoleName, RoleSettings>>;
}

/** Lease margins, one place for all: see docs/SPEC.md, "who may be writable when". */
export interface LeaseMargins {
  /** From the moment a confirmed renewal was sent until the agent itself steps down. */
  readonly stepDownMs: number;
  /**
   * … until the guard stops PostgreSQL without asking. Later than stepDownMs, earlier than the
   * lease's end.
   */
  readonly guardMs: number;
}

/**
 * The lease ends no earlier than ttl after the renewal was sent. The guard needs time to kill
 * before that, the agent time to stop PostgreSQL in good order before the guard.
 */
export function leaseMargins(ttlSeconds: number): LeaseMargins {
  const ttlMs = ttlSeconds * 1000;
  const marginMs = Math.min(3000, Math.max(400, ttlMs / 10));
  return { stepDownMs: ttlMs - 2 * marginMs, guardMs: ttlMs - marginMs };
}

/**
 * What voters that vouch for a leader are worth (core/quorum/vouching.ts): a lease of three
 * seconds, the shortest that there is.
 */
export const VOUCH_SECONDS = 3;
export const VOUCH_MS = VOUCH_SECONDS * 1000;

/**
 * A primary is not told that a synchronous standby is gone, and every commit waits until it looks.
 */
const SYNC_ROUND_MS = 2000;

/** How often the loop runs when nothing happens: often enough to renew three times within a ttl. */
export function roundIntervalMs(dynamic: DynamicSettings, leads: boolean): number {
  const regularMs = Math.min(dynamic.loopWaitSeconds * 1000, Math.floor((dynamic.ttlSeconds * 1000) / 3));
  return leads && dynamic.synchronousMode !== 'off' ? Math.min(regularMs, SYNC_ROUND_MS) : regularMs;
}

/**
 * How long PostgreSQL may take to answer a round: the rounds must come often enough to renew the
 * lease although it hangs.
 */
export function observeTimeoutMs(dynamic: DynamicSettings): number {
  return Math.max(300, Math.min(2000, dynamic.ttlSeconds * 200));
}

/**
 * The device's timeout that follows from the settings: ttl less the safety margin, or half the ttl
 * for a margin of -1. Null when it would leave no room for a whole round of the loop: the watchdog
 * then cannot be used.
 */
export function watchdogTimeoutSeconds(ttlSeconds: number, loopWaitSeconds: number, safetyMarginSeconds: number): number | null {
  const timeout = safetyMarginSeconds === -1 ? Math.floor(ttlSeconds / 2) : ttlSeconds - safetyMarginSeconds;
  return timeout >= 1 && timeout - loopWaitSeconds >= 0 ? timeout : null;
}
