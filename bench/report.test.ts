import { describe, expect, it } from 'vitest';
import type { Figures } from './figures.ts';
import { reportTable } from './report.ts';

const outage = (gapMs: number, lost = 0) => ({ gapMs, failedWrites: 1, failedConnects: 2, lost });
const memory = (mib: number) => ({ rssBytes: mib * 1024 ** 2, pssBytes: (mib / 2) * 1024 ** 2 });

const cost = (cpuMsPerSecond: number[]) => ({ leader: 1, cpuMsPerSecond, agents: [memory(50)], helpers: [memory(8)] });

const figures: Figures = {
  starts: [
    { system: 'regent', tookMs: 7000 },
    { system: 'patroni', tookMs: 22_040 },
  ],
  events: [
    { column: 'regent', event: 'switchover', ...outage(1500) },
    { column: 'regent-router', event: 'switchover', ...outage(90) },
    { column: 'regent-router', event: 'switchover', ...outage(70) },
    { column: 'patroni', event: 'switchover', ...outage(4000, 3) },
  ],
  idle: [
    { system: 'regent', withChecks: true, synchronous: false, cost: cost([1, 3, 2]) },
    { system: 'regent', withChecks: false, synchronous: true, cost: cost([4, 9, 6]) },
  ],
  checks: [
    { system: 'regent', cost: { perSecond: 20, cpuMs: 0.25 } },
    { system: 'regent', cost: { perSecond: 20, cpuMs: 0.35 } },
  ],
  failures: [],
};

describe('the report', () => {
  it('is a table with a column a system, and a row for what was measured', () => {
    expect(reportTable(figures, { regent: 'Regent 1', patroni: 'Patroni 3' })).toBe(
      [
        '| median (range)                      | Regent 1, with router | Regent 1         | Patroni 3 |',
        '| ----------------------------------- | --------------------- | ---------------- | --------- |',
        '| switchover: outage, s               | 0.08 (0.07–0.09)      | 1.50             | 4.00      |',
        '| … failed writes                     | 1 (1–1)               | 1                | 1         |',
        '| … failed connections                | 2 (2–2)               | 2                | 2         |',
        '| … acknowledged writes lost          | 0 (0–0)               | 0                | 3         |',
        '| nothing to three streaming nodes, s | –                     | 7.0              | 22.0      |',
        '| … one check, 20 a second, ms of CPU | –                     | 0.30 (0.25–0.35) | –         |',
        "| … with HAProxy's checks             | –                     | 2.0 (1.0–3.0)    | –         |",
        '| … synchronous: the leader           | –                     | 9.0              | –         |',
        '| … synchronous: another member       | –                     | 5.0 (4.0–6.0)    | –         |',
        '| … resident memory (RSS), MiB        | –                     | 50.0             | –         |',
        '| … its share of it (PSS), MiB        | –                     | 25.0             | –         |',
        '| … its guard (PSS), MiB              | –                     | 4.0              | –         |',
      ].join('\n'),
    );
  });

  it('has no column for a system that is not there', () => {
    expect(reportTable({ ...figures, events: [] }, { regent: 'Regent 1' }).split('\n')[0]).toMatch(
      /^\| median \(range\) +\| Regent 1 +\|$/,
    );
  });
});
