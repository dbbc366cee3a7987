/**
 * Agents that take a copied or restored data directory, or one that was opened by hand, for what it
 * is not.
 */
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const removal = {
  file: 'test/sim/settings.ts',
  find: 'removeDataDirectoryOnRewindFailure: true,',
  replace: 'removeDataDirectoryOnRewindFailure: false,',
};

export const copyMutants: readonly Mutant[] = [
  {
    id: 'backup-taken-for-crash',
    broken: 'A restored base backup is taken for a primary that crashed, and rewound.',
    offends: ['S1', 'S9', 'S10', 'S22'],
    edits: [
      {
        file: 'test/sim/facts.ts',
        find: 'if (process === null && readable && server.backup !== null)',
        replace: 'if (process === null && !readable && server.backup !== null)',
      },
      {
        file: 'test/sim/postgres/rewind.ts',
        find: "if (server.backup !== null) throw transient('REWIND_REFUSED'",
        replace: "if (server.backup === undefined) throw transient('REWIND_REFUSED'",
      },
      {
        file: 'test/sim/postgres.ts',
        find: 'if (isContained(server, target)) {',
        replace: 'if (server.backup === null && isContained(server, target)) {',
      },
      removal,
    ],
    verdicts: ['safety', 'liveness'],
    focus: under(['restore-backup', 'crash']),
  },
  {
    id: 'restored-votes',
    broken: 'A member on which a base backup was restored still counts for what it had confirmed before.',
    offends: ['S1', 'S8'],
    edits: [
      {
        file: 'src/core/race/votes.ts',
        find: 'isVoter(f, peer.name) && peer.restored !== true;',
        replace: 'isVoter(f, peer.name);',
      },
      {
        file: 'src/core/race/facts.ts',
        find: 'f.c.o.pg.restored === true &&',
        replace: 'f.c.o.pg.restored === null &&',
      },
    ],
    verdicts: ['safety'],
    focus: under(['restore-backup', 'crash', 'isolate'], { synchronous_mode: 'quorum' }, { everyMs: 1200 }),
  },
  {
    id: 'copied-disk-recovered',
    broken:
      'A copied disk whose WAL ends within the leader’s history is given to pg_rewind, whose crash recovery writes a record of its own into it.',
    offends: ['S9', 'S22'],
    edits: [
      {
        file: 'test/sim/postgres.ts',
        find: 'if (isContained(server, target)) {',
        replace: 'if (server.systemId === null && isContained(server, target)) {',
      },
      removal,
    ],
    verdicts: ['liveness'],
    focus: under(['copy-disk'], { synchronous_mode: 'off' }),
  },
  {
    id: 'promotion-by-hand-unseen',
    broken:
      'A promotion by hand is not known before a checkpoint on its timeline, neither by the agent when its node is down nor by pg_rewind.',
    offends: ['S9', 'S22'],
    edits: [
      {
        file: 'src/core/divergence.ts',
        find: 'timeline: Math.max(control.timeline, control.minRecoveryTimeline ?? 0),',
        replace: 'timeline: control.timeline,',
      },
      {
        file: 'test/sim/postgres.ts',
        find: 'if (hidesTimeline(server)) server.finishRecovery();',
        replace: 'if (server.systemId === null && hidesTimeline(server)) server.finishRecovery();',
      },
      { file: 'test/sim/mend.ts', find: ".endsWith('.leader-has-less')", replace: ".endsWith('.nobody-asks')" },
      removal,
    ],
    verdicts: ['liveness'],
    focus: under(['promote-by-hand']),
  },
];
