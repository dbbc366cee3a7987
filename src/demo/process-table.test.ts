import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { killNode, waitGone } from './kill.ts';
import { identify, isAlive, nodeProcesses, type ProcessRow, type ProcessTable, parseStat } from './process-table.ts';

const row = (pid: number, parent: number, overlay: Partial<ProcessRow> = {}): ProcessRow => ({
  pid,
  parent,
  startTicks: 1000 + pid,
  state: 'S',
  name: 'node',
  ...overlay,
});

function fakeTable(
  rows: readonly ProcessRow[],
  cwds: Record<number, string> = {},
  environments: Record<number, string[]> = {},
): ProcessTable {
  return {
    rows: () => [...rows],
    row: (pid) => rows.find((one) => one.pid === pid) ?? null,
    cwd: (pid) => cwds[pid] ?? null,
    environment: (pid) => environments[pid] ?? [],
    bootId: () => 'boot',
  };
}

const agentOf = (pid: number) => ({ pid, startTicks: 1000 + pid, bootId: 'boot' });
const marks = { dataDir: '/demo/patroni1/data', environmentEntry: 'MARK=/demo/patroni1', agent: agentOf(10) };
const pids = (table: ProcessTable, overlay: Partial<typeof marks> = {}) =>
  nodeProcesses({ ...marks, ...overlay }, table)
    .map((one) => one.pid)
    .sort((one, other) => one - other);

describe('parseStat', () => {
  it('reads names that hold blanks and parentheses', () => {
    const line = '42 (a (b) c) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1';
    expect(parseStat(line)).toEqual({ pid: 42, parent: 7, state: 'S', startTicks: 98765, name: 'a (b) c' });
    expect(parseStat('')).toBeNull();
    expect(parseStat('42 (cut')).toBeNull();
  });
});

describe('nodeProcesses', () => {
  it('takes the agent with all its descendants', () => {
    const table = fakeTable([row(1, 0), row(5, 1), row(10, 5), row(11, 10), row(12, 11), row(20, 5)]);
    expect(pids(table)).toEqual([10, 11, 12]);
  });

  it('takes an orphaned postmaster with its children, by its data directory', () => {
    const table = fakeTable([row(1, 0), row(30, 1, { name: 'postgres' }), row(31, 30, { name: 'postgres' })], {
      30: '/demo/patroni1/data',
    });
    expect(pids(table)).toEqual([30, 31]);
  });

  it('takes a process that carries the mark, though no other process of the node lives', () => {
    const table = fakeTable([row(1, 0), row(40, 1)], {}, { 40: ['A=1', 'MARK=/demo/patroni1'] });
    expect(pids(table)).toEqual([40]);
  });

  it('leaves all other processes alone', () => {
    const strangers = fakeTable(
      [
        row(1, 0),
        // A shell that stands in the directory, another node's PostgreSQL, a mark that only begins
        // alike, a pid that was used again.
        row(50, 1, { name: 'bash' }),
        row(51, 1, { name: 'postgres' }),
        row(52, 1),
        row(10, 1, { startTicks: 5 }),
      ],
      { 50: '/demo/patroni1/data', 51: '/demo/patroni11/data' },
      { 52: ['MARK=/demo/patroni11'] },
    );
    expect(pids(strangers)).toEqual([]);
  });

  it('counts no dead process', () => {
    expect(pids(fakeTable([row(10, 1, { state: 'Z' })]))).toEqual([]);
  });
});

describe('killNode', () => {
  it('ends a marked process and what it has started, and nothing else', async () => {
    const mark = `DEMO_TEST_MARK=${process.pid}-${Date.now()}`;
    const [name, value] = mark.split('=') as [string, string];
    const start = (environment: Record<string, string>) =>
      spawn('sh', ['-c', 'sleep 60 & echo ready; wait'], {
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'pipe', 'ignore'],
        detached: true,
      });
    const ours = start({ [name]: value });
    const other = start({});
    await Promise.all([once(ours.stdout, 'data'), once(other.stdout, 'data')]);
    const otherIdentity = identify(other.pid!)!;
    try {
      expect(await killNode({ dataDir: '/nowhere/data', environmentEntry: mark, agent: null })).toBe(2);
      expect(identify(ours.pid!)).toBeNull();
      expect(isAlive(otherIdentity)).toBe(true);
      expect(isAlive({ ...otherIdentity, startTicks: otherIdentity.startTicks - 1 })).toBe(false);
    } finally {
      process.kill(-other.pid!, 'SIGKILL');
    }
    expect(await waitGone([otherIdentity], 5000)).toBe(true);
  });
});
