/** Agents that take an etcd restored from an older backup, WAL written by hand or a paused replay for what they look like. */
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

export const historyMutants: readonly Mutant[] = [
  {
    id: 'old-key-trusted',
    broken: 'A node leads on a leader key that it did not take, without asking the others.',
    offends: ['S1', 'S8'],
    edits: [
      {
        file: 'src/core/inherited-key.ts',
        find: "if (c.m.keyTaken || c.m.keyInheritedSinceMs === null || c.view === null) return { kind: 'lead' };",
        replace: "if (c.m.keyTaken || c.view !== null || c.m.keyInheritedSinceMs === null) return { kind: 'lead' };",
      },
    ],
    verdicts: ['safety', 'liveness'],
    focus: under(['restore-etcd', 'switchover', 'crash'], { synchronous_mode: 'on' }, { nodes: ['a', 'b', 'c'], everyMs: 5000 }),
  },
  {
    id: 'ends-not-compared',
    broken: 'What a node wrote by itself on its leader’s timeline is not looked for in the leader’s WAL.',
    offends: ['S9', 'S22'],
    edits: [
      {
        file: 'src/core/divergence.ts',
        find: "  if (local.atRecordStart ? local.lsn >= source.lsn : local.lsn > source.lsn) return 'diverged';\n",
        replace: "  if (local.timeline === source.timeline) return 'prefix';\n",
      },
    ],
    verdicts: ['safety', 'liveness'],
    focus: under(['open-by-hand']),
  },
  {
    id: 'replay-stays-paused',
    broken: 'A candidate whose replay is paused waits for somebody to go on with it.',
    offends: ['S19'],
    edits: [
      {
        file: 'src/core/rules/running.ts',
        find: 'if (c.o.pg.sql?.replayPaused !== true || since === null',
        replace: 'if (c.o.pg.sql !== null || since === null',
      },
    ],
    verdicts: ['liveness'],
    focus: under(['pause-all-replay', 'crash', 'kill-postgres'], { synchronous_mode: 'quorum' }, { nodes: ['a', 'b', 'c'] }),
  },
];
