/** The output of `health`, for people and for programs. */

import { stringifyDefault } from '../../support/big-json.ts';
import type { JsonObject } from '../../support/json.ts';
import { UNAVAILABLE } from '../availability.ts';
import { EXIT_CODES, type HealthReport, type Problem, verdictOf } from '../health/report.ts';
import { titleOf } from './members.ts';
import { renderTable } from './table.ts';

export function healthPretty(report: HealthReport, problems: readonly Problem[]): string {
  const blocks = [etcdBlock(report), haproxyBlock(report), verdictBlock(problems)].filter((block) => block !== '');
  return [...(report.dcsError === null ? [memberBlock(report)] : []), ...blocks].join('\n');
}

export function healthJson(report: HealthReport, problems: readonly Problem[]): string {
  const verdict = verdictOf(problems);
  const body: JsonObject = {
    status: verdict,
    code: EXIT_CODES[verdict],
    scope: report.cluster,
    leader: report.leader,
    pause: report.paused,
    standby_cluster: report.standbyCluster,
    ...report.fence?.told,
    members: report.members.map((member) => ({
      name: member.name,
      host: member.host,
      role: member.role,
      state: member.state,
      timeline: member.timeline,
      lag_bytes: member.lagBytes,
      lag_seconds: member.lagSeconds,
      replay_backlog_bytes: member.replayBacklogBytes,
      source_trouble: member.sourceTrouble,
      standby_cluster_refused: member.refused,
      clients_wait: member.clientsWait,
      missing_logical_slots: [...member.missingLogicalSlots],
      promotion_trouble: member.promotionTrouble,
      strangers: [...member.strangers],
      locked_out: member.lockedOut,
      unexplained: member.unexplained,
      failing: [...member.failing],
      because: member.because,
      dcs: member.dcs,
      untethered: member.untethered,
      pending_restart: member.pendingRestart,
      reachable: member.unreachable === null,
    })),
    etcd: report.etcd.map((member) => ({
      endpoint: member.endpoint,
      healthy: member.healthy,
      version: member.version,
      leader: member.isLeader,
      error: member.error,
    })),
    haproxy: report.haproxy && {
      url: report.haproxy.url,
      skipped: report.haproxy.skipped,
      proxies: report.haproxy.proxies.map((proxy) => ({
        name: proxy.name,
        status: proxy.status,
        servers_up: [...proxy.serversUp],
        servers_down: [...proxy.serversDown],
      })),
    },
    problems: problems.map((problem) => ({ level: problem.level, message: problem.message })),
  };
  return stringifyDefault(body);
}

const HAPROXY_SETTINGS =
  ' Give the address of its statistics page: --haproxy-url, REGENT_HAPROXY_URL, or ctl.haproxy_url in the configuration. Use --no-haproxy if there is no HAProxy.';

function memberBlock(report: HealthReport): string {
  const right = 'right' as const;
  const columns = [
    { name: 'Member' },
    { name: 'Host' },
    { name: 'Role' },
    { name: 'State' },
    { name: 'TL', align: right },
    { name: 'Lag in bytes', align: right },
    { name: 'Lag in seconds', align: right },
  ];
  const rows = report.members.map((member) => {
    const number = (value: number | null) => (value === null ? (member.name === report.leader ? '' : 'unknown') : String(value));
    const role = member.role.split('_').map((word) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`);
    const timeline = member.timeline === null ? '' : String(member.timeline);
    const state = member.unreachable === null || member.state === UNAVAILABLE ? member.state : `${member.state} (no answer)`;
    return [member.name, member.host, role.join(' '), state, timeline, number(member.lagBytes), number(member.lagSeconds)];
  });
  const table = renderTable(columns, rows, titleOf({ ...report, group: null }));
  const notes = report.members
    .filter(({ untethered }) => untethered)
    .map(
      ({ name }) =>
        ` The PostgreSQL of ${name} was not started by its agent: until its next start it would outlive agent and guard if both were killed`,
    );
  if (report.paused) notes.push(' Maintenance mode: on');
  if (report.standbyCluster !== null) notes.push(` ${report.standbyCluster}`);
  // What its death would cost is no longer a question then.
  const isThere = report.members.some(({ name, state }) => name === report.leader && state !== UNAVAILABLE);
  if (isThere) notes.push(...(report.fence?.lines ?? []).map((line) => ` ${line}`));
  return [table, ...notes].join('\n');
}

function etcdBlock(report: HealthReport): string {
  const rows = report.etcd.map((member) => [
    member.endpoint,
    member.healthy ? 'healthy' : 'unhealthy',
    member.isLeader === null ? '' : member.isLeader ? 'Leader' : 'Follower',
    member.version ?? '',
  ]);
  return rows.length === 0
    ? ''
    : renderTable([{ name: 'Endpoint' }, { name: 'Health' }, { name: 'Role' }, { name: 'Version' }], rows, ' etcd ');
}

function haproxyBlock({ haproxy }: HealthReport): string {
  if (haproxy === null) return '';
  if (haproxy.skipped !== null) {
    const what = `nothing to see at ${haproxy.url} (${haproxy.skipped})`;
    return haproxy.isGuess
      ? ` HAProxy: not looked at. No address is configured, and there is ${what}.\n${HAPROXY_SETTINGS}`
      : ` HAProxy: ${what}`;
  }
  const rows = haproxy.proxies.map((proxy) => [proxy.name, proxy.status, proxy.serversUp.join(', '), proxy.serversDown.join(', ')]);
  return renderTable([{ name: 'Proxy' }, { name: 'Status' }, { name: 'Up' }, { name: 'Down' }], rows, ' HAProxy ');
}

function verdictBlock(problems: readonly Problem[]): string {
  const lines = problems.map((problem) => `  ${problem.level}: ${problem.message}`);
  return [` Health: ${verdictOf(problems).toUpperCase()}`, ...lines].join('\n');
}
