/**
 * Agents that take an etcd restored from an older backup, WAL written by hand or a paused replay
 * for what they look like.
 */
import { at } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

export const historyMutants: readonly Mutant[] = [
  {
    id: 'ends-not-compared',
    broken: 'What a node wrote by itself on its leader’s timeline is not looked for in the leader’s WAL.',
    offends: ['S9', 'S22'],
    edits: [at('src/core/divergence.ts', 'compareEnds').returns("'prefix'")],
    verdicts: ['safety', 'liveness'],
    focus: under(['open-by-hand']),
  },
  {
    id: 'open-end-believed',
    broken: 'The last checkpoint of a crashed primary, which its control file names, is taken for the end of its WAL.',
    offends: ['S9', 'M15'],
    edits: [at('src/core/divergence.ts', 'compareHistories').without("if (local.open) return 'diverged'")],
    verdicts: ['safety'],
  },
  {
    id: 'no-checkpoint-after-promotion',
    broken: 'A leader that was promoted asks for no checkpoint, which pg_rewind waits for.',
    offends: ['S22', 'M15'],
    edits: [at('src/core/housekeeping.ts', 'chores').without('if (leads && c.m.checkpointPending) $')],
    verdicts: ['safety', 'liveness'],
    focus: under(['crash'], {}, { everyMs: 25_000 }),
  },
  {
    id: 'former-ends-not-compared',
    broken: 'What a node wrote by itself on a timeline that its leader has left since is not looked for in the leader’s WAL.',
    offends: ['S9', 'S22'],
    edits: [at('src/core/divergence.ts', 'compareHistories').without('source.hasOurEnd !== false')],
    verdicts: ['liveness'],
    focus: under(['pause', 'open-by-hand', 'failover']),
  },
];
