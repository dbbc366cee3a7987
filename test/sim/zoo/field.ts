/**
 * Agents without one of the mends of issue 9 (docs/decisions/2026-11-28-*.md) that have no place
 * among the others.
 */
import { at, rule } from './edit.ts';
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const three = { nodes: ['a', 'b', 'c'] };
const quorum = { synchronous_mode: 'quorum' };

export const fieldMutants: readonly Mutant[] = [
  {
    id: 'inherited-key-believed',
    broken: 'A standby leads on a leader key that names it and that it did not take in this life, without asking anybody.',
    offends: ['S1', 'S9'],
    edits: [at('src/core/inherited-key.ts', 'inheritedVerdict').returns("{ kind: 'lead' }")],
    verdicts: ['safety'],
    focus: under(['restore-etcd'], quorum, { ...three, everyMs: 20_000, clients: busy }),
  },
  {
    id: 'paused-replay-left',
    broken: 'A paused replay counts as one that has more to come, and no candidate goes on with its own.',
    offends: ['S19'],
    edits: [
      at('src/core/let-go.ts', 'resumeReplay').returns('[]'),
      at('test/sim/facts.ts', 'tellsReplaying').without('!(replayPaused && process.hasReceived)'),
    ],
    verdicts: ['liveness'],
    focus: under([], quorum, { ...three, leftBroken: ['c'], leftHow: 'paused' }),
  },
  {
    id: 'stranger-forgotten',
    broken: 'A stranger is forgotten as soon as it is gone, and what it alone confirmed counts for the member whose name it bore.',
    offends: ['S1', 'S5', 'S8'],
    edits: [at('src/core/strangers.ts', 'rememberStrangers').without('if (includes(listed, name) || $) $')],
    verdicts: ['safety'],
    focus: under(['stranger', 'freeze-postgres'], quorum, { nodes: ['a', 'b'], everyMs: 5000, clients: busy, lastingStreams: true }),
  },
  {
    id: 'rewind-given-up',
    broken: 'A rewind that failed three times is not tried again, though the cause may pass.',
    offends: ['S22'],
    edits: [rule('mend.rewind-later').replacing("holdOffMs(f.c, 'rewind') > 0", "holdOffMs(f.c, 'rewind') > 0 || f.failed.count >= TRIES")],
    verdicts: ['liveness'],
    focus: under(['crash', 'isolate', 'cut-nodes'], { synchronous_mode: 'off' }, { ...three, everyMs: 3000 }),
  },
  {
    id: 'let-go-by-file-only',
    broken: 'A standby whose disk takes nothing counts as attached to the former primary for ever, although nobody has let it in since.',
    offends: ['S19'],
    edits: [at('src/core/let-go.ts', 'isLetGo').returns('false')],
    verdicts: ['liveness'],
    focus: under([], quorum, { ...three, leftBroken: ['c'], leftHow: 'read-only' }),
  },
  {
    id: 'strayed-forgotten',
    broken: 'That a replica was opened for writes by hand is not known any more once its agent was started again.',
    offends: ['S1', 'S9', 'S22'],
    edits: [at('src/core/remember.ts', 'strayed').without('pg.strayed === true')],
    verdicts: ['safety'],
    focus: under(['stray-and-restart'], quorum, { ...three, everyMs: 15_000, clients: busy }),
  },
];
