import { describe, expect, it } from 'vitest';
import { parseSimOptions } from './options.ts';

describe('the command line of the simulator', () => {
  it('simulates a thousand seeds, or as many as fit', () => {
    expect(parseSimOptions([])).toMatchObject({ mode: 'seeds', from: 1, seeds: 1000, minutes: null, shrink: true });
    expect(parseSimOptions(['--minutes', '0.5'])).toMatchObject({ mode: 'seeds', seeds: null, minutes: 0.5 });
    expect(parseSimOptions(['--seeds', '7', '--from', '9', '--minutes', '2', '-j', '3', '--no-shrink'])).toEqual({
      mode: 'seeds',
      seeds: 7,
      from: 9,
      minutes: 2,
      jobs: 3,
      shrink: false,
    });
  });

  it('repeats one run', () => {
    expect(parseSimOptions(['--seed', '0'])).toMatchObject({ mode: 'one', seed: 0 });
    expect(parseSimOptions(['--plan', 'p.json'])).toMatchObject({ mode: 'plan', file: 'p.json' });
  });

  it('measures itself', () => expect(parseSimOptions(['--speed'])).toMatchObject({ mode: 'speed' }));

  it('shows the zoo, or some of it', () => {
    expect(parseSimOptions(['--zoo'])).toMatchObject({ mode: 'zoo', from: 1, seeds: 1000, only: [] });
    expect(parseSimOptions(['--zoo', 'one', 'two', '--seeds', '5'])).toMatchObject({ mode: 'zoo', seeds: 5, only: ['one', 'two'] });
  });

  it.each([
    [['--seeds', '0'], '--seeds 0'],
    [['--seeds', '1e3'], '--seeds 1e3'],
    [['--seed', '4294967296'], '--seed 4294967296'],
    [['--seed', '-1'], '--seed'],
    [['--minutes', '0'], '--minutes 0'],
    [['--minutes', 'ten'], '--minutes ten'],
    [['--jobs', '0'], '--jobs 0'],
    [['--seed', '1', '--zoo'], '--seed and --zoo'],
    [['--seed', '1', '--minutes', '3'], '--minutes'],
    [['--zoo', '--minutes', '3'], '--minutes'],
    [['--speed', '--zoo'], '--zoo and --speed'],
    [['--speed', '--seeds', '3'], '--seeds'],
    [['--hints'], '--hints'],
    [['extra'], 'extra'],
    [['--what'], '--what'],
  ])('refuses %j', (args, word) => {
    expect(() => parseSimOptions(args)).toThrow(expect.objectContaining({ code: 'SIM_OPTION', message: expect.stringContaining(word) }));
  });

  it('has help', () => expect(parseSimOptions(['-h'])).toBeNull());
});
