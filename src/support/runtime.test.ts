import { describe, expect, it } from 'vitest';
import { optimizeOnceBusy } from './runtime.ts';

function process() {
  const flags: string[] = [];
  let [ms, cpuUs] = [1000, 900_000];
  const look = optimizeOnceBusy({ cpuUs: () => cpuUs, nowMs: () => ms }, (flag) => flags.push(flag));
  const run = (forMs: number, cpuMs: number) => {
    ms += forMs;
    cpuUs += cpuMs * 1000;
    look();
  };
  return { flags, run };
}

describe('an optimizing compiler that is off at first', () => {
  it('stays off while little is done, however long', () => {
    const { flags, run } = process();
    for (let round = 0; round < 1000; round++) run(10_000, 900);
    expect(flags).toEqual(['--no-opt']);
  });

  it('is not turned on by a short burst', () => {
    const { flags, run } = process();
    for (let round = 0; round < 9; round++) run(100, 100);
    run(9100, 0);
    expect(flags).toEqual(['--no-opt']);
  });

  it('is turned on once by lasting work, also after a long rest', () => {
    const { flags, run } = process();
    run(3_600_000, 100);
    for (let round = 0; round < 5; round++) run(10_000, 1000);
    expect(flags).toEqual(['--no-opt', '--opt']);
  });
});
