import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cpuMs, cpuOf, memoryOf } from './idle.ts';

describe('what a process costs', () => {
  it('is what its threads spent on a CPU', () => {
    expect(cpuMs('12500000 900 17\n')).toBe(12.5);
    expect(() => cpuMs('nonsense')).toThrow();
  });

  it('grows as this process works', () => {
    const own = () => cpuOf(process.pid);
    const before = own();
    const end = process.cpuUsage().user + 60_000;
    while (process.cpuUsage().user < end);
    expect(own() - before).toBeGreaterThanOrEqual(40);
  });

  it('is resident memory and a share of what is shared', () => {
    expect(
      memoryOf('5581-7ffc ---p 00000000 00:00 0 [rollup]\nRss:                 900 kB\nPss:                 400 kB\nPss_Anon: 1 kB\n'),
    ).toEqual({
      rssBytes: 921_600,
      pssBytes: 409_600,
    });
    const { rssBytes, pssBytes } = memoryOf(readFileSync('/proc/self/smaps_rollup', 'utf8'));
    expect(pssBytes).toBeGreaterThan(0);
    expect(rssBytes).toBeGreaterThanOrEqual(pssBytes);
  });
});
