/**
 * GET /metrics in Prometheus' text format: Patroni's names first, so that its dashboards and alerts
 * keep working, then our own.
 */
import { type ClusterView, failoverPriority, type PostgresState } from '../core/cluster.ts';
import { fenceInForce } from '../core/quorum/in-force.ts';
import type { Settings } from '../core/settings.ts';
import { replicationState, servedRole } from '../dialect/member-record.ts';
import { shownPostgresState, syncStanding } from '../dialect/status-body.ts';
import { momentOf, readTypedTime } from '../dialect/typed-time.ts';
import { type AgentStatus, type Counts, noCounts } from '../ports/agent-status.ts';

type Value = number | bigint | boolean | string | null;

interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly value: Value;
  readonly note?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** In the order of their codes. */
const STATES: readonly (readonly [PostgresState, string])[] = [
  ['initializing new cluster', 'initdb'],
  ['initdb failed', 'initdb_failed'],
  ['running custom bootstrap script', 'custom_bootstrap'],
  ['custom bootstrap failed', 'custom_bootstrap_failed'],
  ['creating replica', 'creating_replica'],
  ['running', 'running'],
  ['starting', 'starting'],
  ['starting after custom bootstrap', 'bootstrap_starting'],
  ['start failed', 'start_failed'],
  ['restarting', 'restarting'],
  ['restart failed', 'restart_failed'],
  ['stopping', 'stopping'],
  ['stopped', 'stopped'],
  ['stop failed', 'stop_failed'],
  ['crashed', 'crashed'],
];

export function metricsText(status: AgentStatus, view: ClusterView | null, settings: Settings): string {
  const common = { scope: status.scope, name: status.name };
  const metrics = [
    ...serverMetrics(status, view, settings),
    ...clusterMetrics(status, settings),
    ...ownMetrics(status),
    ...quorumMetrics(status, view, settings),
  ];
  return metrics
    .map((metric) => {
      const lines = [`# HELP ${metric.name} ${metric.help}`];
      if (metric.note !== undefined) lines.push(`# ${metric.note}`);
      lines.push(
        `# TYPE ${metric.name} ${metric.type}`,
        `${metric.name}${labels({ ...common, ...metric.labels })} ${printed(metric.value)}`,
      );
      return `${lines.join('\n')}\n`;
    })
    .join('');
}

function serverMetrics(status: AgentStatus, view: ClusterView | null, settings: Settings): Metric[] {
  const { sql } = status;
  const role = servedRole(status, settings);
  const standby = sql?.inRecovery ? sql : null;
  const standing = syncStanding(status, view, settings);
  const replication = sql === null ? null : replicationState(sql);
  return [
    gauge(
      'patroni_version',
      'Version of Patroni that this agent is compatible with, two digits for each part.',
      paddedVersion(status.version),
    ),
    gauge('patroni_postgres_running', 'Whether PostgreSQL runs and answers.', shownPostgresState(status) === 'running'),
    gauge('patroni_postmaster_start_time', 'When PostgreSQL was started, epoch seconds.', epochSeconds(sql?.postmasterStartTime)),
    gauge('patroni_primary', 'Whether this node is the primary.', role === 'primary'),
    counter('patroni_xlog_location', 'WAL position of the primary in bytes, 0 on a standby.', sql?.inRecovery ? 0 : (sql?.flushLsn ?? 0)),
    gauge('patroni_standby_leader', 'Whether this node leads a standby cluster.', role === 'standby_leader'),
    gauge('patroni_replica', 'Whether this node is a replica.', role === 'replica'),
    gauge('patroni_sync_standby', 'Whether this node is a synchronous standby.', standing === 'sync_standby'),
    gauge('patroni_quorum_standby', 'Whether this node is a quorum standby.', standing === 'quorum_standby'),
    counter('patroni_xlog_received_location', 'WAL received, in bytes, 0 on the primary.', standby?.receiveLsn ?? standby?.replayLsn ?? 0),
    counter('patroni_xlog_replayed_location', 'WAL replayed, in bytes, 0 on the primary.', standby?.replayLsn ?? 0),
    gauge(
      'patroni_xlog_replayed_timestamp',
      'Commit time of the last replayed transaction, epoch seconds.',
      epochSeconds(standby?.replayedTimestamp),
    ),
    gauge('patroni_xlog_paused', 'Whether replay is paused.', standby?.replayPaused ?? false),
    gauge('patroni_postgres_streaming', 'Whether this standby streams.', replication === 'streaming'),
    gauge('patroni_postgres_in_archive_recovery', 'Whether this standby replays from an archive.', replication === 'in archive recovery'),
    gauge('patroni_postgres_server_version', 'Version of PostgreSQL, 0 when it does not run.', sql?.serverVersion ?? 0),
  ];
}

function clusterMetrics(status: AgentStatus, settings: Settings): Metric[] {
  return [
    gauge('patroni_cluster_unlocked', 'Whether no leader of the cluster is known.', status.clusterUnlocked),
    gauge(
      'patroni_failsafe_mode_is_active',
      'Whether failsafe mode keeps this leader running, or this member has agreed to that of another.',
      status.failsafeMode?.isActive ?? false,
    ),
    gauge('patroni_failsafe_mode_enabled', 'Whether failsafe mode is on.', settings.dynamic.failsafeMode),
    gauge(
      'patroni_failsafe_member',
      'Whether a leader that cannot reach etcd would ask this node, and whether this node may lead.',
      settings.dynamic.failsafeMode && (status.failsafeMode?.isMember ?? false),
    ),
    gauge('patroni_postgres_timeline', 'Timeline of this node.', status.sql?.timeline ?? 0),
    gauge('patroni_dcs_last_seen', 'Last successful read of etcd, epoch seconds.', Math.floor(status.dcsLastSeen)),
    gauge('patroni_pending_restart', 'Whether a changed setting needs a restart of PostgreSQL.', status.pendingRestart),
    gauge('patroni_is_paused', 'Whether automatic failover is off.', status.paused),
    {
      ...gauge('patroni_postgres_state', 'What PostgreSQL is doing, as a code.', stateCode(shownPostgresState(status))),
      note: `Values: ${STATES.map(([, label], code) => `${code}=${label}`).join(', ')}`,
    },
    gauge('patroni_failover_priority', 'Priority of this node in a failover, 0 for never.', failoverPriority(status.tags)),
  ];
}

function ownMetrics(status: AgentStatus): Metric[] {
  return [
    counter('regent_rounds_total', 'Rounds of the loop so far.', status.rounds),
    gauge('regent_last_round_age_seconds', 'Time since the last finished round.', (status.nowMs - status.lastRoundAtMs) / 1000),
    { ...gauge('regent_last_rule', 'The rule that decided the last round, in a label.', 1), labels: { rule: status.rule } },
    gauge('regent_leader', 'Whether this node holds the leader key on a valid lease.', status.isLeader),
    gauge(
      'regent_lease_remaining_seconds',
      'How long this node may still lead on its lease.',
      Math.max(0, status.leaseRemainingMs ?? 0) / 1000,
    ),
    gauge('regent_job_running', 'Whether a long job (clone, restart, promotion …) runs.', status.jobLabel !== null),
    gauge('regent_watchdog_failed', 'Whether a required watchdog cannot be used.', status.watchdogFailed),
    gauge(
      'regent_promotion_impossible',
      'Whether a problem with its disk keeps this standby from being promoted.',
      Boolean(status.promotionTrouble),
    ),
    gauge('regent_locked_out', 'Whether PostgreSQL refuses new connections of the agent; /patroni says why.', Boolean(status.lockedOut)),
    gauge(
      'regent_chores_failing',
      'Tasks of the agent (slots, files, keys …) that currently fail; /patroni says why.',
      Object.keys(status.failing ?? {}).length,
    ),
    ...countMetrics(status.counts ?? noCounts),
    ...guardMetrics(status),
    gauge('regent_resident_memory_bytes', 'Memory that the agent uses.', process.memoryUsage.rss()),
  ];
}

function quorumMetrics({ quorum }: AgentStatus, view: ClusterView | null, { dynamic }: Settings): Metric[] {
  const fence = view === null ? null : fenceInForce(view, dynamic);
  const named = fence === null ? {} : { fence: fence.kind, ...(fence.kind === 'lease' ? { rule: fence.answer.id } : {}) };
  const about =
    'What a failover waits for, in a label: quorum (promises of voters) or lease, and why it is the lease; 0: etcd does not answer.';
  return [
    { ...gauge('regent_failover_fence', about, fence !== null), labels: named },
    gauge('regent_vouched', 'Whether voters keep this leader going while etcd does not answer.', (quorum?.vouchedForBy.length ?? 0) > 0),
    gauge('regent_leader_missed', 'Whether this member misses the leader, by its own evidence.', Boolean(quorum?.missesLeader)),
    gauge('regent_promised', 'Whether this voter has promised to take no more WAL from the leader.', Boolean(quorum?.promisedAgainst)),
  ];
}

function countMetrics(counts: Counts): Metric[] {
  return [
    counter('regent_role_changes_total', 'Changes of this node’s role.', counts.roleChanges),
    counter('regent_promotions_total', 'Promotions of this node.', counts.promotions),
    counter('regent_promotion_failures_total', 'Promotions of this node that failed.', counts.promotionFailures),
    counter('regent_demotions_total', 'Demotions of this node.', counts.demotions),
    counter('regent_leader_changes_total', 'Leader changes that this node has seen.', counts.leaderChanges),
    counter('regent_failovers_total', 'Leader changes that no operator had requested.', counts.failovers),
    counter('regent_etcd_failures_total', 'Rounds in which etcd could not be read.', counts.etcdFailures),
    counter('regent_round_failures_total', 'Rounds that ended with an error.', counts.roundFailures),
    counter('regent_rewinds_total', 'Successful runs of pg_rewind.', counts.rewinds),
    counter('regent_rewind_failures_total', 'Failed runs of pg_rewind.', counts.rewindFailures),
    counter('regent_clones_total', 'Times this node was cloned.', counts.clones),
    counter('regent_clone_failures_total', 'Clones of this node that failed.', counts.cloneFailures),
    counter('regent_start_failures_total', 'Starts and restarts of PostgreSQL that failed.', counts.startFailures),
    counter('regent_guard_losses_total', 'How often the guard was missing and was started again.', counts.guardLosses),
  ];
}

function guardMetrics({ guard, build, version }: AgentStatus): Metric[] {
  return [
    gauge('regent_guard_healthy', 'Whether the guard confirms its orders; a leader without a guard steps down.', guard?.healthy ?? false),
    gauge('regent_guard_armed', 'Whether the guard has a deadline at which it stops PostgreSQL.', guard?.state === 'armed'),
    gauge(
      'regent_guard_tethered',
      'Whether PostgreSQL ends at once when the guard and its agent are killed together.',
      guard?.tethered ?? false,
    ),
    gauge(
      'regent_guard_strikes_in_seconds',
      'Time until the guard stops PostgreSQL unless the lease is renewed; 0 without a deadline.',
      (guard?.strikesInMs ?? 0) / 1000,
    ),
    { ...gauge('regent_build_info', 'Version and the commit it was built from, in a label.', 1), labels: { version: build ?? version } },
  ];
}

function gauge(name: string, help: string, value: Value): Metric {
  return { name, type: 'gauge', help, value };
}

function counter(name: string, help: string, value: Value): Metric {
  return { name, type: 'counter', help, value };
}

function printed(value: Value): string {
  return typeof value === 'boolean' ? String(Number(value)) : String(value ?? 0);
}

function labels(pairs: Readonly<Record<string, string>>): string {
  const escaped = (value: string) => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `{${Object.entries(pairs)
    .map(([key, value]) => `${key}="${escaped(value)}"`)
    .join(',')}}`;
}

function paddedVersion(version: string): string {
  return version
    .split('.')
    .map((part) => part.replace(/[^0-9].*$/, '').padStart(2, '0'))
    .join('');
}

/** The agent writes `YYYY-MM-DD HH:MM:SS.ffffff+00:00`. */
function epochSeconds(text: string | null | undefined): number {
  const time = text ? readTypedTime(text, { year: 1970, month: 1, day: 1 }) : null;
  return time === null ? 0 : momentOf(time).epochMs / 1000;
}

function stateCode(state: PostgresState): number {
  return STATES.findIndex(([known]) => known === state);
}
