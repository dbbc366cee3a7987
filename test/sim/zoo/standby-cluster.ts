/** Agents of a standby cluster that take writes. */
import { at, rule } from './edit.ts';
import { under } from './focus.ts';
import type { Mutant } from './mutant.ts';

export const standbyClusterMutants: readonly Mutant[] = [
  {
    id: 'standby-cluster-not-demoted',
    broken: 'A primary goes on although its cluster follows a server outside.',
    offends: ['S26'],
    edits: [rule('standby-cluster.demote').dropped(), rule('standby-cluster.demote-now').dropped()],
    verdicts: ['safety'],
    focus: under(['standby-cluster'], {}, { everyMs: 70_000, untilMs: 208_000 }),
  },
  {
    id: 'standby-leader-promoted',
    broken: 'The standby leader is promoted as if it led a cluster of its own.',
    offends: ['S26'],
    edits: [
      at('src/core/context.ts', 'isStandbyLeader').returns('false'),
      at('src/agent/jobs/start.ts', 'refuseInStandbyCluster').returns('undefined'),
      at('src/core/invariants.ts', 'checkDecision').replacing('c.paused || !c.followsRemote || !effects.some(startsWritable)', 'true'),
    ],
    verdicts: ['safety'],
    focus: under(['standby-cluster', 'crash']),
  },
];
