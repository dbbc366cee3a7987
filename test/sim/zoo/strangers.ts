/** Agents that mistake any server with a member's name for the member. */
import { at } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

export const strangerMutants: readonly Mutant[] = [
  {
    id: 'stranger-counted-on',
    broken: 'A name stays in the synchronous set, and /sync goes by what its walsenders confirm, while another server streams under it.',
    offends: ['S1', 'S5', 'S8', 'M9'],
    edits: [at('src/core/strangers.ts', 'isSuspect').returns('false')],
    verdicts: ['safety'],
    focus: under(['stranger', 'isolate'], { synchronous_mode: 'quorum' }, { everyMs: 6000 }),
  },
];
