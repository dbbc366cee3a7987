/** Agents that misjudge a data directory which was copied, restored or opened by hand. */
import { at, rule } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const postgres = 'test/sim/postgres.ts';
/** No operator makes a new copy of what the agent does not mend. */
const nobodyCopies = at('test/sim/mend.ts', 'ASKS_FOR_COPY').is('/^$/');
const removal = at('test/sim/settings.ts', 'postgresql.removeDataDirectoryOnRewindFailure').is('false');

export const copyMutants: readonly Mutant[] = [
  {
    id: 'backup-taken-for-crash',
    broken: 'A restored base backup is taken for a primary that crashed, and rewound.',
    offends: ['S1', 'S9', 'S10', 'S22'],
    edits: [
      at('test/sim/facts.ts', 'factsOf').without('if (process === null && readable && server.backup !== null) $'),
      at('test/sim/postgres/rewind.ts', 'refuse').without('if (server.backup !== null) throw $'),
      at(postgres, 'SimPostgres.rewind').replacing('isContained($$)', 'server.backup === null && isContained(server, target)'),
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
      at('src/core/race/votes.ts', 'hasVote').without('peer.restored !== true'),
      at('src/core/race/facts.ts', 'isRestoredVoter').returns('false'),
    ],
    verdicts: ['safety'],
    focus: under(['restore-backup', 'crash', 'isolate'], { synchronous_mode: 'quorum' }, { everyMs: 1200 }),
  },
  {
    id: 'copied-disk-recovered',
    broken:
      'A copied disk whose WAL ends within the leader’s history is given to pg_rewind, whose crash recovery writes a record of its own into it.',
    offends: ['S9', 'S22'],
    edits: [at(postgres, 'SimPostgres.rewind').replacing('isContained($$)', 'false'), nobodyCopies, removal],
    verdicts: ['liveness'],
    focus: under(['copy-disk'], { synchronous_mode: 'off' }),
  },
  {
    id: 'promotion-by-hand-unseen',
    broken:
      'A promotion by hand is not known before a checkpoint on its timeline, neither by the agent when its node is down nor by pg_rewind.',
    offends: ['S9', 'S22'],
    edits: [
      at('src/core/divergence.ts', 'stoppedPosition').replacing('Math.max(control.timeline, $)', 'control.timeline'),
      at(postgres, 'SimPostgres.rewind').without('if (hidesTimeline(server)) $'),
      nobodyCopies,
      removal,
    ],
    verdicts: ['liveness'],
    focus: under(['promote-by-hand']),
  },
  {
    id: 'superseded-takes-key-in-pause',
    broken: 'In a pause a primary takes the free leader key although by /sync another has led since.',
    offends: ['S1', 'S3'],
    edits: [rule('paused.primary-unlocked').when('(c) => c.isPrimary && c.unlocked && goesOnWithoutKey(c) === null')],
    verdicts: ['safety'],
    focus: under(['promote-by-hand', 'pause', 'crash'], { synchronous_mode: 'quorum' }),
  },
];
