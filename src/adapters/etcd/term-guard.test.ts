import { describe, expect, it } from 'vitest';
import { TermGuard } from './term-guard.ts';
import { manualClock, recordingLog } from './testing.ts';

const header = (term: number, revision = 10, cluster = '1') => ({
  cluster_id: cluster,
  raft_term: String(term),
  revision: String(revision),
});

function make() {
  const clock = manualClock();
  const log = recordingLog();
  return { guard: new TermGuard(clock, log), clock, log };
}

describe('TermGuard', () => {
  it('keeps out answers of a lower term than one seen', () => {
    const { guard } = make();
    expect(guard.admit(header(5), true, 0n)).toBe(true);
    expect(guard.admit(header(4), true, 10n)).toBe(false);
    expect(guard.admit(header(4), false, 10n)).toBe(false);
    expect(guard.admit(header(5), false, 10n)).toBe(true);
    expect(guard.isStale(header(4))).toBe(true);
    expect(guard.isStale(header(6))).toBe(false);
  });

  it('does not believe the term of a member that spoke for itself only', () => {
    const { guard } = make();
    guard.admit(header(5), true, 0n);
    expect(guard.admit(header(900), false, 10n)).toBe(true);
    expect(guard.admit(header(5), true, 10n)).toBe(true);
  });

  it('remembers the highest revision', () => {
    const { guard } = make();
    guard.admit(header(5, 12), true, 0n);
    guard.admit(header(5, 11), true, 0n);
    guard.admit(header(5, 99), false, 0n);
    expect(guard.revision).toBe(12n);
  });

  it('starts again with another cluster', () => {
    const { guard, log } = make();
    guard.admit(header(5, 100), true, 0n);
    expect(guard.admit(header(9, 100, '2'), false, 100n)).toBe(false);
    expect(guard.admit(header(2, 7, '2'), true, 100n)).toBe(true);
    expect([guard.revision, guard.generation]).toEqual([7n, 1]);
    expect(guard.isStale(header(5, 100))).toBe(true);
    expect(log.lines.join()).toContain('cluster id changed');
  });

  it('accepts a rebuilt cluster of the same id, once the old one has been silent for long', () => {
    const { guard, clock } = make();
    guard.admit(header(5, 100), true, 0n);
    clock.advance(14_000);
    expect(guard.admit(header(2, 7), true, 100n)).toBe(false);
    clock.advance(2000);
    expect(guard.admit(header(2, 7), false, 100n)).toBe(false);
    expect(guard.admit(header(2, 7), true, 100n)).toBe(true);
    expect([guard.revision, guard.generation]).toEqual([7n, 1]);
  });

  it('notices a history that went back, and no other', () => {
    const { guard } = make();
    guard.admit(header(5, 100), true, 0n);
    expect(guard.admit(header(5, 90), true, 80n), 'asked before 100 was known').toBe(true);
    expect(guard.generation).toBe(0);
    expect(guard.admit(header(6, 90), true, 100n)).toBe(true);
    expect([guard.revision, guard.generation]).toEqual([90n, 1]);
  });
});
