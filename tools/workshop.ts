/** The commands of `regent` that only a checkout has: its tests, its simulator, its benchmarks. */
import type { Commands } from '../src/main.ts';

export const WORKSHOP_COMMANDS: Commands = {
  bench: {
    summary: 'what a client sees of a failover, beside Patroni: regent bench failover',
    load: async () => (await import('../bench/main.ts')).benchMain,
  },
  test: {
    summary: 'type check, lint, unit and integration tests',
    load: async () => (await import('./suite/main.ts')).testMain,
  },
  sim: {
    summary: 'simulate clusters of real agents under faults: regent sim --minutes 10',
    load: async () => (await import('./sim/main.ts')).simMain,
  },
};
