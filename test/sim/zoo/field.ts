/**
 * Agents without one of the mends of issue 9 (docs/decisions/2026-11-28-*.md) that have no place
 * among the others.
 */
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const three = { nodes: ['a', 'b', 'c'] };
const quorum = { synchronous_mode: 'quorum' };

export const fieldMutants: readonly Mutant[] = [
  {
    id: 'inherited-key-believed',
    broken: 'A standby leads on a leader key that names it and that it did not take in this life, without asking anybody.',
    offends: ['S1', 'S9'],
    edits: [
      {
        file: 'src/core/inherited-key.ts',
        find: "if (c.m.keyTaken || c.m.keyInheritedSinceMs === null || c.view === null) return { kind: 'lead' };",
        replace: "if (c.m.keyTaken || c.o.nowMs >= 0 || c.view === null) return { kind: 'lead' };",
      },
    ],
    verdicts: ['safety'],
    focus: under(['restore-etcd'], quorum, { ...three, everyMs: 20_000, clients: busy }),
  },
  {
    id: 'paused-replay-left',
    broken: 'A paused replay counts as one that has more to come, and no candidate goes on with its own.',
    offends: ['S19'],
    edits: [
      {
        file: 'src/core/let-go.ts',
        find: 'if (c.o.pg.sql?.replayPaused !== true || since === null ||',
        replace: 'if (c.o.pg.sql?.replayPaused !== undefined || since === null ||',
      },
      {
        file: 'test/sim/facts.ts',
        find: 'replication.source === null && !(replayPaused && process.hasReceived);',
        replace: 'replication.source === null && (replayPaused || process !== null);',
      },
    ],
    verdicts: ['liveness'],
    focus: under([], quorum, { ...three, leftBroken: ['c'], leftHow: 'paused' }),
  },
  {
    id: 'stranger-forgotten',
    broken: 'A stranger is forgotten as soon as it is gone, and what it alone confirmed counts for the member whose name it bore.',
    offends: ['S1', 'S5', 'S8'],
    edits: [
      {
        file: 'src/core/strangers.ts',
        find: 'if (includes(listed, name) || c.o.nowMs - known.seenAtMs < SUSPECT_MS) suspects[name] = known;',
        replace: 'if (includes(listed, name) && c.o.nowMs < 0) suspects[name] = known;',
      },
    ],
    verdicts: ['safety'],
    focus: under(['stranger', 'freeze-postgres'], quorum, { nodes: ['a', 'b'], everyMs: 5000, clients: busy, lastingStreams: true }),
  },
  {
    id: 'rewind-given-up',
    broken: 'A rewind that failed three times is not tried again, though the cause may pass.',
    offends: ['S22'],
    edits: [
      {
        file: 'src/core/rules/mend.ts',
        find: "f.failed !== null && holdOffMs(f.c, 'rewind') > 0,",
        replace: "f.failed !== null && (holdOffMs(f.c, 'rewind') > 0 || f.failed.count >= TRIES),",
      },
    ],
    verdicts: ['liveness'],
    focus: under(['crash', 'isolate', 'cut-nodes'], { synchronous_mode: 'off' }, { ...three, everyMs: 3000 }),
  },
  {
    id: 'let-go-by-file-only',
    broken: 'A standby whose disk takes nothing counts as attached to the former primary for ever, although nobody has let it in since.',
    offends: ['S19'],
    edits: [
      {
        file: 'src/core/let-go.ts',
        find: 'return c.o.nowMs - receiverGoneSinceMs >= TRIED_IN_VAIN_MS',
        replace: 'return c.o.nowMs < 0 && c.o.nowMs - receiverGoneSinceMs >= TRIED_IN_VAIN_MS',
      },
    ],
    verdicts: ['liveness'],
    focus: under([], quorum, { ...three, leftBroken: ['c'], leftHow: 'read-only' }),
  },
  {
    id: 'strayed-forgotten',
    broken: 'That a replica was opened for writes by hand is not known any more once its agent was started again.',
    offends: ['S1', 'S9', 'S22'],
    edits: [
      {
        file: 'src/core/remember.ts',
        find: '(before.strayed || pg.strayed === true)',
        replace: 'before.strayed',
      },
    ],
    verdicts: ['safety'],
    focus: under(['stray-and-restart'], quorum, { ...three, everyMs: 15_000, clients: busy }),
  },
];
