/**
 * Decides what is wrong with what was found. Critical: clients cannot write, or the next fault
 * stops them. Warning: an operator should look.
 */
import { sameName } from '../../core/cluster.ts';
import { isHeartbeat } from '../../core/heartbeat-line.ts';
import { memberComplaints } from '../../core/member-complaints.ts';
import { agreeing, plural } from '../../support/plural.ts';
import { UNAVAILABLE } from '../availability.ts';
import { lackedSlots } from '../slot-warnings.ts';
import type { HealthReport, Limits, MemberHealth, Problem } from './report.ts';

export function judge(report: HealthReport, limits: Limits): Problem[] {
  return [
    ...judgeEtcd(report),
    ...judgeCluster(report),
    ...report.members.flatMap((each) => judgeMember(report, each, limits)),
    ...judgeHaproxy(report),
  ];
}

const critical = (message: string): Problem => ({ level: 'critical', message });
const warning = (message: string): Problem => ({ level: 'warning', message });

function judgeEtcd({ dcsError, etcd }: HealthReport): Problem[] {
  const sick = etcd.filter((member) => !member.healthy);
  const problems = sick.map(({ endpoint, error }) => {
    const reason = error?.replace(`etcd ${endpoint}: `, '') ?? 'no reason given';
    return warning(`etcd ${endpoint} is not healthy: ${reason}`);
  });
  if (dcsError !== null) problems.unshift(critical(dcsError));
  else if (etcd.length > 0 && (etcd.length - sick.length) * 2 <= etcd.length) {
    problems.unshift(critical(`only ${etcd.length - sick.length} of ${etcd.length} etcd members are healthy: no majority`));
  }
  const alarms = [...new Set(etcd.flatMap(({ alarm }) => alarm ?? []))];
  if (alarms.length > 0) {
    problems.unshift(
      critical(
        `etcd takes no writes (alarm ${alarms.join(', ')}): no failover, switchover or change of settings is possible; "etcdctl alarm list" shows the member, ` +
          'then compact, defragment and run "etcdctl alarm disarm"',
      ),
    );
  }
  return problems;
}

const LEADERLESS_IN_PAUSE = ', and in maintenance mode nobody takes over; "regentctl failover --candidate NAME" or "regentctl resume"';

function judgeCluster(report: HealthReport): Problem[] {
  if (report.dcsError !== null) return [];
  if (report.members.length === 0) return [critical('the cluster has no members')];
  const problems: Problem[] = [];
  const leader = report.members.find((member) => member.name === report.leader);
  if (report.leader === null)
    problems.push(critical(`the cluster has no leader${report.paused ? LEADERLESS_IN_PAUSE : (report.hindrance ?? '')}`));
  else if (!leader) problems.push(critical(`the leader ${report.leader} is not among the members`));
  else if (leader.state === UNAVAILABLE) problems.push(critical(`the leader ${leader.unreachable ?? `${leader.name} is ${UNAVAILABLE}`}`));
  else if (leader.role === 'leader' && leader.state !== 'running')
    problems.push(
      critical(
        leader.state === 'unknown'
          ? `the PostgreSQL of the leader ${leader.name} does not answer its agent`
          : `the leader ${leader.name} is ${leader.state}`,
      ),
    );
  if (report.members.every((member) => member.unreachable !== null)) problems.push(critical('no member answers'));
  problems.push(...judgePrimaries(report));
  if (report.paused) problems.push(warning('maintenance mode is on: there is no automatic failover'));
  problems.push(...memberComplaints(report.members, report.synchronous).map(warning));
  problems.push(...judgeFence(report));
  const replicas = report.members.filter((member) => member !== leader);
  // Without a leader that answers, replicas have nothing to replicate, and it was said above.
  if (leader !== undefined && leader.state !== UNAVAILABLE && report.members.length > 1 && !replicas.some(replicates))
    problems.push(
      critical(
        `no replica is replicating: ${leader.role === 'standby_leader' ? 'nobody could take over from the standby leader' : 'the next fault of the leader stops all writes'}`,
      ),
    );
  if (report.synchronous !== 'off' && replicas.length > 0 && !replicas.some((member) => /^(sync|quorum)_standby$/.test(member.role))) {
    problems.push(warning('synchronous mode is on, and no standby is synchronous'));
  }
  return problems;
}

/** The voters are the standbys that commits wait for. One that is away is reported by itself. */
function judgeFence({ fence, members }: HealthReport): Problem[] {
  if (fence === null) return [];
  if (fence.missed !== null) return [warning(fence.missed)];
  const { voters = [], needed = 0 } = fence.promises ?? {};
  const away = voters.filter((voter) => members.find(({ name }) => sameName(name, voter))?.unreachable !== null);
  if (away.length === 0 || voters.length - away.length >= needed) return [];
  return [
    warning(
      `nobody could take over from the leader now: ${needed} of ${voters.join(', ')} would have to promise, and ${agreeing(away, 'does', 'do')} not answer`,
    ),
  ];
}

/** If there are two primaries, what clients write on one is missing on the other. */
function judgePrimaries({ leader, members }: HealthReport): Problem[] {
  const others = members.filter(({ role }) => role === 'primary').map(({ name }) => name);
  if (leader === null) return others.length > 1 ? [critical(`${others.join(', ')} all run as primaries, and none of them leads`)] : [];
  return others.map((name) =>
    critical(
      `${name} runs as a primary beside the leader ${leader}: what is written there is not in the cluster; keep clients away from it`,
    ),
  );
}

/** What is wrong with the member, and what its agent says it is waiting for. */
function judgeMember(report: HealthReport, member: MemberHealth, limits: Limits): Problem[] {
  const problems = findings(report, member, limits);
  const { because } = member;
  // A standby leader that waits for the server outside has nothing else to say of it.
  const idle = member.name === report.leader && because !== null && isHeartbeat(because);
  const told = because === null || idle || problems.some(({ message }) => message.includes(because));
  return isWell(report, member) || told ? problems : [...problems, warning(`${member.name} says: ${because}`)];
}

function isWell(report: HealthReport, member: MemberHealth): boolean {
  if (report.leader === null || member.unexplained !== null || member.lockedOut !== null) return false;
  return member.name === report.leader && member.role !== 'standby_leader'
    ? member.state === 'running'
    : replicates(member) && member.streams !== false;
}

function findings(report: HealthReport, member: MemberHealth, limits: Limits): Problem[] {
  // Its key is out of date then.
  if (member.state === UNAVAILABLE)
    return member.name === report.leader || member.unreachable === null ? [] : [warning(member.unreachable)];
  const problems: Problem[] = [];
  if (member.unreachable !== null) problems.push(warning(member.unreachable));
  if (member.dcs !== null) problems.push(warning(`${member.name} cannot reach etcd${member.dcs.replace(/^unreachable/, '')}`));
  if (member.pendingRestart) problems.push(warning(`${member.name} waits for a restart for changed parameters to take effect`));
  problems.push(...member.strangers.map((stranger) => critical(`${member.name}: ${stranger}`)));
  problems.push(...member.failing.map((chore) => warning(`${member.name}: ${chore}`)));
  if (member.lockedOut !== null)
    problems.push(critical(`the agent of ${member.name} is locked out of its PostgreSQL: ${member.lockedOut}`));
  if (member.unexplained !== null) problems.push(critical(`${member.name} is left as it is: ${member.unexplained}`));
  if (member.clientsWait !== null) problems.push(critical(`${member.name}: ${member.clientsWait}`));
  if (member.refused !== null) problems.push(warning(`${member.name} is ${member.refused}`));
  if (member.name === report.leader) {
    // It follows a server outside: what is wrong with that is all that this cluster can suffer
    // from.
    if (member.role === 'standby_leader' && member.sourceTrouble !== null)
      problems.push(warning(`${member.name}, the standby leader, is ${member.sourceTrouble}`));
    return problems;
  }
  if (member.role === 'primary') return problems;
  if (member.promotionTrouble !== null) problems.push(warning(`${member.name} cannot be promoted: ${member.promotionTrouble}`));
  if (member.missingLogicalSlots.length > 0) problems.push(warning(lackedSlots(member.name, member.missingLogicalSlots)));
  const leader = report.members.find((each) => each.name === report.leader);
  if (leader?.state === 'running' && member.sourceTrouble !== null) problems.push(warning(`${member.name} is ${member.sourceTrouble}`));
  else if (leader?.state === 'running' && member.streams === false && UP.has(member.state)) {
    problems.push(warning(`${member.name} is not streaming${member.state === 'running' ? '' : `: ${member.state}`}`));
  } else if (!replicates(member)) problems.push(warning(`${member.name} is not replicating: ${member.state}`));
  if (leader?.timeline != null && member.timeline !== null && member.timeline !== leader.timeline) {
    problems.push(warning(`${member.name} is on timeline ${member.timeline}, the leader on ${leader.timeline}`));
  }
  if (member.lagBytes !== null && member.lagBytes > limits.maxLagBytes) {
    problems.push(warning(`${member.name} is ${member.lagBytes} bytes behind (limit ${limits.maxLagBytes})`));
  }
  if (member.lagSeconds !== null && member.lagSeconds > limits.maxLagSeconds) {
    problems.push(warning(`${member.name} is ${plural(member.lagSeconds, 'second')} behind (limit ${limits.maxLagSeconds})`));
  }
  return problems;
}

const UP: ReadonlySet<string> = new Set(['running', 'in archive recovery']);

function replicates({ role, state, streams }: MemberHealth): boolean {
  if (role === 'primary') return false;
  return state === 'streaming' || state === 'in archive recovery' || (state === 'running' && streams !== false);
}

/**
 * A server that is down is not a fault by itself, because only the primary passes the checks of the
 * write pool. A pool without any server up is a fault, unless the cluster takes no writes: then a
 * pool that the standby leader itself stays out of is one for writes.
 */
function judgeHaproxy({ haproxy, leader, members }: HealthReport): Problem[] {
  if (haproxy !== null && haproxy.skipped !== null && !haproxy.isGuess)
    return [warning(`HAProxy could not be asked at ${haproxy.url}: ${haproxy.skipped}`)];
  const standbyLeader = members.find(({ name, role }) => name === leader && role === 'standby_leader')?.name;
  const isForWrites = (refusing: readonly string[]) => standbyLeader !== undefined && refusing.includes(standbyLeader);
  const empty = haproxy?.proxies.filter((proxy) => !/^(UP|OPEN)/.test(proxy.status) || proxy.serversUp.length === 0) ?? [];
  const faults = empty.filter(({ refusing }) => !isForWrites(refusing));
  return faults.map((proxy) => critical(`HAProxy cannot send clients anywhere through ${proxy.name}: no server is up`));
}
