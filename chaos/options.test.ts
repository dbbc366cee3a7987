import { describe, expect, it } from 'vitest';
import { parseChaosOptions } from './options.ts';

describe('the command line of a chaos run', () => {
  it('takes minutes, and a seed of its own where none is given', () => {
    const options = parseChaosOptions(['--minutes', '2']);
    expect(options).toMatchObject({ minutes: 2, mode: 'quorum', members: 3, ttlSeconds: 5, only: [], keep: false });
    expect(options?.seed).toSatisfy(Number.isInteger);
  });

  it('takes the rest as it is given', () => {
    const args = ['--minutes', '0.5', '--seed', '7', '--mode', 'off', '--members', '5', '--ttl', '30', '--only', 'kill.node', '--keep'];
    expect(parseChaosOptions(args)).toEqual({
      ...{ minutes: 0.5, seed: 7, mode: 'off', members: 5, ttlSeconds: 30, only: ['kill.node'], keep: true, small: false },
    });
  });

  it('shows its usage', () => {
    expect(parseChaosOptions(['--help'])).toBeNull();
  });

  it.each([
    [[], '--minutes is missing'],
    [['--minutes', '0'], '--minutes 0'],
    [['--minutes', '1', '--seed', 'x'], '--seed x'],
    [['--minutes', '1', '--mode', 'async'], '--mode async'],
    [['--minutes', '1', '--members', '2'], '--members 2'],
    [['--minutes', '1', '--ttl', '4'], '--ttl 4'],
    [['--minutes', '1', '--only', 'meteor'], '--only meteor'],
    [['--minutes', '1', '--what'], '--what'],
  ])('refuses %j', (args, word) => {
    expect(() => parseChaosOptions(args)).toThrow(
      expect.objectContaining({ code: 'CHAOS_OPTION', message: expect.stringContaining(word) }),
    );
  });
});
