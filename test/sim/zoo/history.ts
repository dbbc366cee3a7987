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
    id: 'former-ends-not-compared',
    broken: 'What a node wrote by itself on a timeline that its leader has left since is not looked for in the leader’s WAL.',
    offends: ['S9', 'S22'],
    edits: [at('src/core/divergence.ts', 'compareHistories').without('source.hasOurEnd !== false')],
    verdicts: ['liveness'],
    focus: under(['pause', 'open-by-hand', 'failover']),
  },
];
