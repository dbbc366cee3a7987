/**
 * Agents whose chores stand in each other's way, that lose callbacks, or run for what they cannot
 * do.
 */
import { at } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const agent = 'src/agent/agent.ts';
const three = { nodes: ['a', 'b', 'c'] };

export const choreMutants: readonly Mutant[] = [
  {
    id: 'failed-chore-ends-round',
    broken: 'A chore that fails ends the round, and the synchronous set comes after slots and files.',
    offends: ['S19'],
    edits: [
      at('src/agent/act.ts', 'doChores').replacing('hurried = true', 'return false'),
      at('src/core/housekeeping.ts', 'chores').moving("if (step !== null) add('sync', $)", {
        after: "if (leads && c.m.checkpointPending) add('checkpoint', $)",
      }),
    ],
    verdicts: ['liveness'],
    focus: under(['kill-agent'], { synchronous_mode: 'on' }, { ...three, leftBroken: ['c'], leftHow: 'hindered' }),
  },
  {
    id: 'callback-planned-is-told',
    broken: 'A callback counts as told although its script could not be started.',
    offends: ['S25'],
    edits: [
      at(agent, 'Agent.#announce').replacing('this.parts.pg.runCallback($$)', 'this.parts.pg.runCallback(action, role).catch(() => {})'),
    ],
    verdicts: ['liveness'],
    focus: under(['lose-scripts', 'crash', 'switchover'], {}, three),
  },
  {
    id: 'callback-forgotten',
    broken: 'That a callback has started is not remembered.',
    offends: ['S25'],
    edits: [at(agent, 'Agent.#announce').without("if (action !== 'on_reload') $")],
    verdicts: ['safety'],
    focus: under(['switchover'], {}, three),
  },
  {
    id: 'start-not-told',
    broken: 'A PostgreSQL that was started again in the same role is not told of.',
    offends: ['S25'],
    edits: [at('src/core/callbacks.ts', 'untold.started').is('false')],
    verdicts: ['liveness'],
    focus: under(['cut-etcd', 'stop-etcd', 'switchover'], {}, three),
  },
];
