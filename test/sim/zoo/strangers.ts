/** Agents that take whoever bears a member's name for the member. */
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

export const strangerMutants: readonly Mutant[] = [
  {
    id: 'stranger-counted-on',
    broken: 'A name stays in the synchronous set, and /sync goes by what its walsenders confirm, while another server streams under it.',
    offends: ['S1', 'S5', 'S8', 'M9'],
    edits: [
      {
        file: 'src/core/strangers.ts',
        find: 'return Object.keys(c.m.strangers.suspects).some((other) => sameName(other, name));',
        replace: 'return c.o.nowMs < 0 && Object.keys(c.m.strangers.suspects).some((other) => sameName(other, name));',
      },
    ],
    verdicts: ['safety'],
    focus: under(['stranger', 'isolate'], { synchronous_mode: 'quorum' }, { everyMs: 6000 }),
  },
];
