import { expect, test } from 'vitest';
import { parseLsn } from '../../core/units.ts';
import { DiskTrial } from './disk-trial.ts';

const [earlier, later] = [parseLsn('0/3000148'), parseLsn('0/3000200')];

function trial() {
  let now = 0;
  const open: Array<{ readonly resolve: () => void; readonly reject: (error: Error) => void }> = [];
  const one = new DiskTrial({ monotonicMs: () => now }, () => new Promise((resolve, reject) => open.push({ resolve, reject })));
  const at = (ms: number, lsn = earlier) => {
    now = ms;
    return one.look('/data', lsn);
  };
  return { at, open };
}

test('a write that ends is followed by another after two seconds', async () => {
  const { at, open } = trial();
  expect(at(0)).toBeNull();
  open[0]?.resolve();
  await Promise.resolve();
  expect([at(1999), open.length]).toEqual([null, 1]);
  expect([at(2000), open.length]).toEqual([null, 2]);
});

test('one that does not end is told, and no other is begun', async () => {
  const { at, open } = trial();
  at(0);
  expect(at(2000)).toBe(2000);
  expect(at(7000)).toBe(7000);
  expect(open).toHaveLength(1);
  open[0]?.resolve();
  await Promise.resolve();
  expect([at(7100), open.length]).toEqual([null, 2]);
});

test('WAL that is flushed meanwhile shows that the disk works', () => {
  const { at } = trial();
  at(0);
  expect(at(3000, later)).toBe(0);
  expect(at(5000, later)).toBe(2000);
});

test('a disk that reports an error does not hang', async () => {
  const { at, open } = trial();
  at(0);
  open[0]?.reject(new Error('ENOSPC'));
  await Promise.resolve();
  await Promise.resolve();
  expect([at(2000), open.length]).toEqual([null, 2]);
});
