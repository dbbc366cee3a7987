/** The commands of `regent` that only a checkout has: its tests, simulator, benchmarks, chaos. */
import type { Commands } from '../src/main.ts';

export const WORKSHOP_COMMANDS: Commands = {
  bench: {
    summary: 'what a client sees of a failover, and what agents cost, beside Patroni: regent bench failover, idle',
    load: async () => (await import('../bench/main.ts')).benchMain,
  },
  chaos: {
    summary: 'hurt a real cluster at random under writing clients: regent chaos --minutes 10',
    load: async () => (await import('../chaos/main.ts')).chaosMain,
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
