/** The figures as a table that reads well on a terminal and in Markdown. Pure. */

import { RATES, type Rate } from './checks.ts';
import { COLUMNS, type ColumnId, type EventFigure, type EventId, type Figures, type Summary, summarize } from './figures.ts';
import type { Memory } from './idle.ts';
import type { SystemId } from './options.ts';

export type Titles = Readonly<Partial<Record<SystemId, string>>>;

const MIB = 1024 ** 2;
const NOTHING = '–';

const EVENT_ROWS: ReadonlyArray<readonly [EventId, string]> = [
  ['switchover', 'switchover'],
  ['postmaster', "kill -9 of the primary's postmaster"],
  ['node', "kill -9 of the primary's node, ttl 30, loop_wait 10"],
  ['node-20', 'the same at ttl 20, loop_wait 1'],
  ['node-5', 'the same at ttl 5, loop_wait 1'],
  ['sync-switchover', 'synchronous: switchover'],
  ['sync-node', "synchronous: kill -9 of the primary's node"],
  ['sync-frozen', "synchronous: the primary's node stands still"],
  ['sync-agent', "synchronous: kill -9 of the primary's agent"],
  ['sync-etcd', 'synchronous: etcd stands still for a minute'],
];

const systemOf = (column: ColumnId): SystemId => (column === 'patroni' ? 'patroni' : 'regent');

/** `0.09 (0.08–0.11)`: median and range; the median alone of a single measurement. */
export function cell(summary: Summary | null, digits: number): string {
  if (summary === null) return NOTHING;
  const { median, least, most, count } = summary;
  const range = `${least.toFixed(digits)}–${most.toFixed(digits)}`;
  return count === 1 ? median.toFixed(digits) : `${median.toFixed(digits)} (${range})`;
}

export function table(rows: ReadonlyArray<readonly string[]>): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[], fill: string) =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width, fill)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head, ' '), line([], '-'), ...body.map((row) => line(row, ' '))].join('\n');
}

function eventRows(figures: Figures, columns: readonly ColumnId[]): string[][] {
  return EVENT_ROWS.flatMap(([event, title]) => {
    const of = (column: ColumnId) => figures.events.filter((one) => one.event === event && one.column === column);
    if (columns.every((column) => of(column).length === 0)) return [];
    const row = (label: string, digits: number, value: (figure: EventFigure) => number) => [
      label,
      ...columns.map((column) => cell(summarize(of(column).map(value)), digits)),
    ];
    return [
      row(`${title}: outage, s`, 2, (one) => one.gapMs / 1000),
      row('… failed writes', 0, (one) => one.failedWrites),
      row('… failed connections', 0, (one) => one.failedConnects),
      row('… acknowledged writes lost', 0, (one) => one.lost),
    ];
  });
}

/** What does not depend on the router is told once, in the column without it. */
function systemRows(figures: Figures, columns: readonly ColumnId[]): string[][] {
  const row = (label: string, digits: number, values: (system: SystemId) => readonly number[]) => {
    const cells = columns.map((column) => (column === 'regent-router' ? NOTHING : cell(summarize(values(systemOf(column))), digits)));
    return cells.every((one) => one === NOTHING) ? [] : [[label, ...cells]];
  };
  const idle = (system: SystemId, withChecks: boolean, synchronous = false) =>
    figures.idle
      .filter((one) => one.system === system && one.withChecks === withChecks && one.synchronous === synchronous)
      .map((one) => one.cost);
  const beating = (withChecks: boolean, leads: boolean) => (system: SystemId) =>
    idle(system, withChecks, true).flatMap((cost) => cost.cpuMsPerSecond.filter((_, index) => (index === cost.leader) === leads));
  const memory = (kind: 'agents' | 'helpers', field: keyof Memory) => (system: SystemId) =>
    idle(system, true).flatMap((cost) => cost[kind].map((one) => one[field] / MIB));
  const check = (perSecond: Rate) => (system: SystemId) =>
    figures.checks.filter((one) => one.system === system && one.cost.perSecond === perSecond).map((one) => one.cost.cpuMs);
  return [
    ...row('nothing to three streaming nodes, s', 1, (system) =>
      figures.starts.filter((one) => one.system === system).map((one) => one.tookMs / 1000),
    ),
    ...row('idle agent, ms of CPU a second', 1, (system) => idle(system, false).flatMap((cost) => cost.cpuMsPerSecond)),
    ...RATES.flatMap((rate) => row(`… one check, ${rate} a second, ms of CPU`, 2, check(rate))),
    ...row("… with HAProxy's checks", 1, (system) => idle(system, true).flatMap((cost) => cost.cpuMsPerSecond)),
    ...row('… synchronous: the leader', 1, beating(false, true)),
    ...row('… synchronous: another member', 1, beating(false, false)),
    ...row("… synchronous, with HAProxy's checks: the leader", 1, beating(true, true)),
    ...row("… synchronous, with HAProxy's checks: another member", 1, beating(true, false)),
    ...row('… resident memory (RSS), MiB', 1, memory('agents', 'rssBytes')),
    ...row('… its share of it (PSS), MiB', 1, memory('agents', 'pssBytes')),
    ...row('… its guard (PSS), MiB', 1, memory('helpers', 'pssBytes')),
  ];
}

function titleOf(column: ColumnId, titles: Titles): string {
  const title = titles[systemOf(column)] ?? column;
  return column === 'regent-router' ? `${title}, with router` : title;
}

/** Median and range of the repetitions; of idle figures, over the agents of one cluster. */
export function reportTable(figures: Figures, titles: Titles): string {
  const columns = COLUMNS.filter((column) => {
    if (titles[systemOf(column)] === undefined) return false;
    return column !== 'regent-router' || figures.events.some((one) => one.column === column);
  });
  const head = ['median (range)', ...columns.map((column) => titleOf(column, titles))];
  return table([head, ...eventRows(figures, columns), ...systemRows(figures, columns)]);
}
