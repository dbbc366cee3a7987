/** What a demo says to its user. */
import { styleText } from 'node:util';
import { lastLines, runCommand } from '../support/exec.ts';
import { ctlCommand, demoCommand } from './commands.ts';
import { SUPERUSER } from './node-config.ts';
import type { Head } from './observe.ts';
import type { DemoPlan } from './plan.ts';
import { isAlive } from './process-table.ts';
import { ctlEntry } from './program.ts';
import type { DemoState } from './state.ts';

const LIST_TIMEOUT_MS = 10_000;

/** regentctl's own table, without the newline at its end. */
export async function memberTable(plan: DemoPlan, entry: string): Promise<string> {
  const result = await runCommand(process.execPath, [ctlEntry(entry), '-c', plan.ctlFile, 'list'], {
    timeoutMs: LIST_TIMEOUT_MS,
    cwd: '/',
  });
  return result.code === 0 ? result.stdout.trimEnd() : `regentctl list: ${lastLines(result.stderr, 3) || `exit code ${result.code}`}`;
}

function bold(text: string): string {
  return process.stdout.isTTY ? styleText('bold', text) : text;
}

export function psqlLine(port: number): string {
  return `PGPASSWORD=${SUPERUSER.password} psql -h localhost -p ${port} -U ${SUPERUSER.username}`;
}

export function addresses(
  plan: DemoPlan,
  stats: { readonly username: string; readonly password: string },
  head: Pick<Head, 'isStandby'> | null,
): string {
  const { writePort, readPort, statsPort } = plan.haproxy;
  return [
    `  write   localhost:${writePort}   ${head?.isStandby ? 'nobody: this is a standby cluster' : 'the primary, whoever it is'}`,
    `  read    localhost:${readPort}   every healthy node in turn`,
    `  stats   http://localhost:${statsPort}/stats   (${stats.username} / ${stats.password})`,
  ].join('\n');
}

/** What `welcome` needs to know. */
export interface ReadyDemo {
  readonly plan: DemoPlan;
  readonly stats: { readonly username: string; readonly password: string };
  readonly head: Pick<Head, 'name' | 'isStandby'> | null;
  readonly took: string;
}

/** Commands worth a try, each with what it shows. */
export function suggestions({ plan, head }: ReadyDemo): ReadonlyArray<readonly [command: string, shows: string]> {
  const ctl = (words: string) => ctlCommand(words, plan.directory);
  const primary = head?.name ?? plan.nodes[0]!.name;
  const replica = plan.nodes.find((node) => node.name !== primary)?.name;
  const demo = (words: string) => demoCommand(words, plan.directory);
  return [
    [ctl('list'), 'who is what'],
    ...(head?.isStandby ? ([[ctl('promote-cluster'), 'make it a cluster of its own, which takes writes']] as const) : []),
    ...(replica === undefined ? [] : ([[ctl(`switchover --candidate ${replica} --force`), 'hand over in order']] as const)),
    [demo(`kill ${primary}`), 'kill -9 of a whole node; then list again'],
    [demo(`start ${primary}`), 'bring it back: it rejoins as a replica'],
    [demo(`logs ${primary}`), 'what it did, and why'],
    [demo('status'), 'every process, and the addresses again'],
  ];
}

export function welcome(ready: ReadyDemo): string {
  const { plan, stats, head, took } = ready;
  const table = suggestions(ready);
  const width = Math.max(...table.map(([command]) => command.length));
  return [
    '',
    bold(
      `${head === null ? 'Up' : 'Ready'} in ${took}: ${plan.nodes.length} PostgreSQL, ${plan.etcd.length} etcd and HAProxy, all on loopback, in ${plan.directory}`,
    ),
    '',
    addresses(plan, stats, head),
    '',
    `  ${bold(psqlLine(head?.isStandby ? plan.haproxy.readPort : plan.haproxy.writePort))}`,
    '',
    'What to try next:',
    ...table.map(([command, shows]) => `  ${command.padEnd(width)}   ${shows}`),
    '',
  ].join('\n');
}

/** Shown when the demo was paused when it was stopped. */
export function pausedNote(plan: DemoPlan): string {
  return [
    bold('This cluster is paused, as it was when it was stopped: until you resume it, nothing is started and no node leads.'),
    `  ${ctlCommand('resume', plan.directory)}`,
    '',
  ].join('\n');
}

function portsLine(plan: DemoPlan, name: string): string {
  const node = plan.nodes.find((one) => one.name === name);
  if (node) return `PostgreSQL ${node.postgresPort}, REST ${node.restPort}`;
  const member = plan.etcd.find((one) => one.name === name);
  if (member) return `clients ${member.clientPort}, peers ${member.peerPort}`;
  return name === 'haproxy' ? `${plan.haproxy.writePort}, ${plan.haproxy.readPort}, ${plan.haproxy.statsPort}` : '';
}

function uptime(startedAt: number | null, now: number): string {
  if (startedAt === null) return '';
  const seconds = Math.max(0, Math.round((now - startedAt) / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** One line a process: name, pid, condition, ports. */
export function processTable(plan: DemoPlan, state: DemoState, now: number): string {
  const rows = state.processes.map((entry) => {
    const alive = entry.identity !== null && isAlive(entry.identity);
    const condition = alive ? `up ${uptime(entry.startedAt, now)}` : entry.wanted === 'running' ? 'restarting' : entry.wanted;
    return [entry.name, alive ? String(entry.identity!.pid) : '-', condition, portsLine(plan, entry.name)];
  });
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd()).join('\n');
}
