/** Broken order of steps between /sync and synchronous_standby_names. */
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const quorum = { synchronous_mode: 'quorum' };
const sync = 'src/core/sync.ts';

export const syncMutants: readonly Mutant[] = [
  {
    id: 'set-changed-before-published',
    broken: 'PostgreSQL waits for the new synchronous set before /sync covers it.',
    offends: ['S5', 'S6', 'S8', 'M9'],
    edits: [
      {
        file: sync,
        find: "if (!covered) return writeSync(c, safeQuorum, safeVoters, 'making the election careful enough for the old and the new synchronous set');\n",
        replace: '',
      },
    ],
    verdicts: ['safety'],
  },
  {
    id: 'set-shrunk-before-published',
    broken: 'In mode on, PostgreSQL no longer waits for a standby that /sync still lists.',
    offends: ['S5', 'S6', 'S8', 'M9'],
    edits: [
      {
        file: sync,
        find: 'if (kept.length < listed.length) return',
        replace: 'if (kept.length < listed.length && picked.join() === waitedFor.join()) return',
      },
    ],
    verdicts: ['safety'],
  },
  {
    id: 'published-before-caught-up',
    broken: 'In mode on, /sync lists a standby as soon as PostgreSQL waits for it, caught up or not.',
    offends: ['S1', 'S5', 'S8', 'M9'],
    edits: [
      {
        file: sync,
        find: "  if (caughtUp === null || caughtUp.length === 0)\n    return { effects: [], because: 'waiting for the new synchronous standby to catch up', waiting: true };\n  const now = union(\n    listed,\n    caughtUp.map((standby) => standby.name),\n  );",
        replace: '  void caughtUp;\n  const now = union(listed, picked);',
      },
    ],
    verdicts: ['safety'],
    focus: under(['crash', 'isolate', 'freeze-postgres'], { synchronous_mode: 'on' }),
  },
  {
    id: 'quorum-relaxed-early',
    broken:
      'After a takeover the election counts on the setting in force before those who confirm under it have what was acknowledged before.',
    offends: ['S1', 'S5', 'S8', 'M9'],
    edits: [
      {
        file: sync,
        find: '(inForceHolds ? inForceCount : Math.min(inForceCount, trusted)) - doubtful',
        replace: '(inForceHolds || trusted >= 0 ? inForceCount : 0) - doubtful',
      },
    ],
    verdicts: ['safety'],
    focus: under(['configure', 'freeze-postgres', 'kill-postgres'], quorum, {
      nodes: ['a', 'b', 'c', 'd'],
      everyMs: 800,
      clients: busy,
      lastingStreams: true,
    }),
  },
  {
    id: 'caught-up-ignored',
    broken: 'In quorum mode /sync is relaxed before the new confirmers have what was acknowledged under the old setting.',
    offends: ['S1', 'S5', 'S8', 'M9'],
    edits: [
      {
        file: sync,
        find: 'if (realCount > 0 && (caughtUp === null || caughtUp.length < realCount)) {',
        replace: 'if (realCount > 0 && caughtUp !== null && caughtUp.length < 0) {',
      },
    ],
    verdicts: ['safety'],
    focus: under(['crash', 'cut-nodes', 'freeze-postgres'], quorum, {
      nodes: ['a', 'b', 'c', 'd'],
      everyMs: 1000,
      clients: busy,
      lastingStreams: true,
    }),
  },
  {
    id: 'takeover-not-written',
    broken: 'A candidate promotes while /sync still names the leader before it.',
    offends: ['S1', 'S8', 'M9'],
    edits: [
      {
        file: 'src/core/rules/standby.ts',
        find: 'return { effects: [...dropped, ...(effect ? [effect] : []), {',
        replace: 'return { effects: [...dropped, ...(effect ? [] : []), {',
      },
    ],
    verdicts: ['safety'],
    focus: under(['crash', 'kill-postgres', 'isolate'], { synchronous_mode: 'on' }),
  },
  {
    id: 'promoted-without-names',
    broken: 'A candidate opens for writes without the synchronous names that /sync promises.',
    offends: ['S1', 'S6', 'S8', 'M9'],
    edits: [{ file: 'src/agent/jobs/promote.ts', find: 'await pg.setSyncNames(syncNames, bounded)', replace: 'await Promise.resolve()' }],
    verdicts: ['safety'],
    focus: under(['crash', 'kill-postgres', 'isolate'], quorum),
  },
  {
    id: 'takeover-asks-for-nobody',
    broken: 'In quorum mode a new leader waits for nobody until its standbys have connected.',
    offends: ['S1', 'S6', 'S8', 'M9'],
    edits: [
      {
        file: sync,
        find: "const names = others.length === 0 ? nobody : formatSyncNames({ method: 'quorum', count, names: others });",
        replace: "const names = others.length === 0 || count > 0 ? nobody : formatSyncNames({ method: 'quorum', count, names: others });",
      },
    ],
    verdicts: ['safety'],
  },
];
