/** Broken order of steps between /sync and synchronous_standby_names. */
import { at, rule } from './edit.ts';
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const quorum = { synchronous_mode: 'quorum' };
const sync = 'src/core/sync.ts';

export const syncMutants: readonly Mutant[] = [
  {
    id: 'set-changed-before-published',
    broken: 'PostgreSQL waits for the new synchronous set before /sync covers it.',
    offends: ['S5', 'S6', 'S8', 'M9'],
    edits: [at(sync, 'quorumStep').without('if (!covered) return $')],
    verdicts: ['safety'],
  },
  {
    id: 'set-shrunk-before-published',
    broken: 'In mode on, PostgreSQL no longer waits for a standby that /sync still lists.',
    offends: ['S5', 'S6', 'S8', 'M9'],
    edits: [
      at(sync, 'priorityStep').replacing(
        'kept.length < listed.length',
        'kept.length < listed.length && picked.join() === waitedFor.join()',
      ),
    ],
    verdicts: ['safety'],
  },
  {
    id: 'published-before-caught-up',
    broken: 'In mode on, /sync lists a standby as soon as PostgreSQL waits for it, caught up or not.',
    offends: ['S1', 'S5', 'S8', 'M9'],
    edits: [
      at(sync, 'priorityStep').without('if (caughtUp === null || caughtUp.length === 0) return $'),
      at(sync, 'priorityStep').replacing('caughtUp.map($)', 'picked'),
    ],
    verdicts: ['safety'],
    focus: under(['crash', 'isolate', 'freeze-postgres'], { synchronous_mode: 'on' }),
  },
  {
    id: 'caught-up-ignored',
    broken: 'In quorum mode /sync is relaxed before the new confirmers have what was acknowledged under the old setting.',
    offends: ['S1', 'S5', 'S8', 'M9'],
    edits: [at(sync, 'quorumStep').without('if (realCount > 0 && (caughtUp === null || caughtUp.length < realCount)) $')],
    verdicts: ['safety'],
    focus: under(['crash', 'cut-nodes', 'freeze-postgres'], quorum, {
      nodes: ['a', 'b', 'c', 'd'],
      everyMs: 1000,
      clients: busy,
      lastingStreams: true,
    }),
  },
  {
    id: 'sync-left-standing',
    broken: 'A primary that opens, or is restarted, after synchronous mode was switched off leaves /sync as it was.',
    offends: ['S8', 'M9'],
    edits: [at(sync, 'takeover').replacing("sync === null ? null : { kind: 'delete-sync', expected: sync, term: termOf(c) }", 'null')],
    verdicts: ['safety'],
    focus: under(['switch-sync-off-and-on'], quorum, { nodes: ['a', 'b', 'c'], clients: busy, everyMs: 20_000 }),
  },
  {
    id: 'takeover-not-written',
    broken: 'A candidate promotes while /sync still names the leader before it.',
    offends: ['S1', 'S8', 'M9'],
    edits: [rule('standby.promote').replacing('effect ? [effect] : []', '[]')],
    verdicts: ['safety'],
    focus: under(['crash', 'kill-postgres', 'isolate'], { synchronous_mode: 'on' }),
  },
  {
    id: 'promoted-without-names',
    broken: 'A candidate opens for writes without the synchronous names that /sync promises.',
    offends: ['S1', 'S6', 'S8', 'M9'],
    edits: [at('src/agent/jobs/promote.ts', 'promote').replacing('pg.setSyncNames($$)', 'Promise.resolve()')],
    verdicts: ['safety'],
    focus: under(['crash', 'kill-postgres', 'isolate'], quorum),
  },
  {
    id: 'unobeyed-names-counted-on',
    broken: 'Names count as soon as PostgreSQL shows them, though its checkpointer has not taken them up and commits do not wait.',
    offends: ['S1', 'S5', 'S6', 'S8', 'M9'],
    edits: [at('src/core/remember.ts', 'syncNamesSet').without('if (!obeysSyncNames) return $')],
    verdicts: ['safety'],
    focus: under(['switch-sync-on-unheeded'], quorum, { nodes: ['a', 'b', 'c'], clients: busy, everyMs: 20_000 }),
  },
  {
    id: 'takeover-asks-for-nobody',
    broken: 'In quorum mode a new leader waits for nobody until its standbys have connected.',
    offends: ['S1', 'S6', 'S8', 'M9'],
    edits: [at(sync, 'takeover').replacing("formatSyncNames({ method: 'quorum', count, names: others })", 'nobody')],
    verdicts: ['safety'],
  },
];
