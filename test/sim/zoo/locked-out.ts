/** Agents for which a new SQL connection is a condition of what they have promised. */
import { at } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const three = { nodes: ['a', 'b', 'c'] };

export const lockedOutMutants: readonly Mutant[] = [
  {
    id: 'promotion-needs-login',
    broken:
      'A node whose agent cannot open a new connection does not promote itself, although it holds the leader key and sees its server.',
    offends: ['S19'],
    edits: [
      at('src/agent/jobs/promote.ts', 'promote').before(
        'await pg.promote($$)',
        "if ((await pg.observe({ timeoutMs: 1000 })).lockedOut) throw new RegentError('LOCKED_OUT', '', { policy: 'transient' });",
      ),
    ],
    verdicts: ['liveness'],
    focus: under([], {}, { ...three, leftBroken: ['c'], leftHow: 'locked-out' }),
  },
  {
    id: 'blind-leader-gives-up',
    broken: 'A leader that cannot be logged in to after a restart of its agent gives the leader key up while its PostgreSQL takes writes.',
    offends: ['S2'],
    edits: [
      at('src/core/rules/starting.ts', 'blind.outcome').is(
        "{ chores, wakeInMs: 1000, effects: c.lockMine ? [{ kind: 'release-leader', optime: null }] : [] }",
      ),
    ],
    verdicts: ['safety'],
    focus: under(['lock-out'], {}, three),
  },
];
