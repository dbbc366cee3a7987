import { afterEach, expect, it, vi } from 'vitest';
import { Meter, pace, span } from './meter.ts';
import { Tally } from './tally.ts';

afterEach(() => void vi.useRealTimers());

function collect(isTerminal: boolean) {
  const parts: string[] = [];
  const output = { write: (part: string) => void parts.push(part), isTerminal, columns: () => 40 };
  return { output, text: () => parts.join('') };
}

const outcome = { verdict: 'pass', message: '', hash: '', virtualMs: 1_800_000, events: 1, acknowledged: 2, tail: [] } as const;

it('rewrites one line on a terminal, and leaves it empty', () => {
  vi.useFakeTimers();
  const { output, text } = collect(true);
  const meter = new Meter(output, () => Date.now());
  meter.show(() => 'x'.repeat(100));
  vi.advanceTimersByTime(600);
  expect(text().split('\r').length).toBe(3);
  expect(text()).not.toContain('\n');
  expect(text()).not.toContain('x'.repeat(40));
  meter.end();
  expect(text().endsWith('\r\u001b[K')).toBe(true);
});

it('writes a line now and then elsewhere', () => {
  vi.useFakeTimers();
  const { output, text } = collect(false);
  const meter = new Meter(output, () => Date.now());
  meter.show(() => 'so far');
  vi.advanceTimersByTime(31_000);
  meter.end();
  expect(text()).toBe('so far\nso far\n');
});

it('tells time and pace', () => {
  expect([span(59_400), span(100_000), span(7_200_000)]).toEqual(['59 s', '2 min', '2.0 h']);
  const tally = new Tally();
  tally.add(outcome);
  expect(pace(tally, 30_000)).toBe('0.5 cluster-hours in 30 s, 1 a minute');
});

it('ends with the gravest failure, and knows each kind once', () => {
  const tally = new Tally();
  expect([tally.exitCode(false), tally.exitCode(true)]).toEqual([0, 130]);
  expect(tally.add({ ...outcome, verdict: 'liveness', invariant: 'S22' })).toBe(true);
  expect(tally.add({ ...outcome, verdict: 'liveness', invariant: 'S22' })).toBe(false);
  expect(tally.exitCode(true)).toBe(5);
  tally.add({ ...outcome, verdict: 'crash' });
  expect(tally.exitCode(false)).toBe(3);
  tally.add({ ...outcome, verdict: 'safety', invariant: 'S1' });
  expect(tally.exitCode(false)).toBe(4);
  expect(tally.kinds()).toBe('2 liveness (S22), 1 crash, 1 safety (S1)');
});
