import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cpuMs, memoryOf } from './idle.ts';

describe('what a process costs', () => {
  it('is user and system time, whatever its name', () => {
    expect(cpuMs('77 (a) b (c) S 1 77 77 0 -1 4194560 9 0 0 0 12 5 900 900 20 0 11 0 4242 0 0')).toBe(170);
    expect(() => cpuMs('nonsense')).toThrow();
  });

  it('grows as this process works', () => {
    const own = () => cpuMs(readFileSync('/proc/self/stat', 'utf8'));
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
