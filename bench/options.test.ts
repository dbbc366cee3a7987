import { describe, expect, it } from 'vitest';
import { parseBenchOptions, SCENARIOS, SYSTEMS } from './options.ts';

describe('the command line of the benchmark', () => {
  it('measures everything three times unless told otherwise', () => {
    expect(parseBenchOptions([])).toEqual({ runs: 3, idleSeconds: 60, systems: SYSTEMS, scenarios: SCENARIOS, jsonFile: null });
  });

  it('is quick, or as long as asked for', () => {
    expect(parseBenchOptions(['--quick'])).toMatchObject({ runs: 1, idleSeconds: 30 });
    expect(parseBenchOptions(['--quick', '--runs', '5'])).toMatchObject({ runs: 5, idleSeconds: 30 });
  });

  it('measures what is named, once each', () => {
    const options = parseBenchOptions([
      '--only',
      'patroni',
      '--scenario',
      'node',
      '--scenario',
      'idle',
      '--scenario',
      'node',
      '--json',
      'f',
    ]);
    expect(options).toMatchObject({ systems: ['patroni'], scenarios: ['node', 'idle'], jsonFile: 'f' });
  });

  it('leaves failovers out where idling is asked for', () => {
    expect(parseBenchOptions(['--runs', '2'], 'idle')).toMatchObject({ runs: 2, scenarios: ['idle', 'checks', 'sync-idle'] });
    expect(() => parseBenchOptions(['--scenario', 'node'], 'idle')).toThrow(expect.objectContaining({ code: 'BENCH_OPTION' }));
  });

  it.each([
    [['--runs', '0'], '--runs 0'],
    [['--runs', '1e2'], '--runs 1e2'],
    [['--only', 'stolon'], '--only stolon'],
    [['--scenario', 'meteor'], '--scenario meteor'],
    [['--what'], '--what'],
    [['extra'], 'extra'],
  ])('refuses %j', (args, word) => {
    expect(() => parseBenchOptions(args)).toThrow(
      expect.objectContaining({ code: 'BENCH_OPTION', message: expect.stringContaining(word) }),
    );
  });
});
