import { describe, expect, it } from 'vitest';
import { type Ack, isCalm, outageOf } from './outage.ts';

const at = (...times: number[]): Ack[] => times.map((atMs, id) => [id, atMs, 5432]);

describe('the outage that a client sees', () => {
  it('is the longest time between two acknowledgements, counted from the last before the event', () => {
    expect(outageOf(at(0, 90, 100, 350, 360, 700), [], 120, 600).gapMs).toBe(250);
    expect(outageOf(at(0, 100, 110, 420), [], 100, 500).gapMs).toBe(310);
  });

  it('does not count what came before the event or after the end', () => {
    expect(outageOf(at(0, 900, 905, 910, 5000), [], 901, 1000).gapMs).toBe(5);
  });

  it('counts the failures within', () => {
    const outage = outageOf(
      at(0, 100, 200),
      [
        [5, 'write'],
        [20, 'write'],
        [30, 'connect'],
        [40, 'connect'],
        [300, 'connect'],
      ],
      10,
      250,
    );
    expect(outage).toEqual({ gapMs: 100, failedWrites: 1, failedConnects: 2 });
  });

  it('is not made up where the client was not writing', () => {
    expect(() => outageOf(at(100, 110), [], 50, 200)).toThrow('not writing');
    expect(() => outageOf(at(10, 20), [], 50, 200)).toThrow('not writing');
  });
});

describe('calm', () => {
  const steady = at(...Array.from({ length: 300 }, (_, i) => i * 10));

  it('holds while writes are acknowledged and nothing fails', () => {
    expect(isCalm(steady, [[900, 'write']], 2995, 2000)).toBe(true);
    expect(isCalm(steady, [[1000, 'write']], 2995, 2000)).toBe(false);
  });

  it('ends with a pause, also with one that still lasts', () => {
    expect(isCalm([...at(0, 900), ...steady.slice(150)], [], 2995, 2000)).toBe(false);
    expect(isCalm(steady, [], 3600, 2000)).toBe(false);
    expect(isCalm([], [], 3600, 2000)).toBe(false);
  });
});
