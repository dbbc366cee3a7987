/** Agents of a standby cluster that take writes. */
import { at, rule } from './edit.ts';
import { nothingMends, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

/** A cluster that follows the other site at times, and at the end. */
const sites = { nodes: ['a', 'b', 'c'], outside: { first: false, everyMs: 500, ends: true } };

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
  {
    id: 'lead-not-yielded',
    broken:
      'The leader of a standby cluster whose data nothing mends keeps the lead, although another member could follow the server outside.',
    offends: ['S22'],
    edits: [rule('standby-leader.yields').dropped(), rule('stopped.standby-leader-yields').dropped()],
    verdicts: ['liveness'],
    focus: under(
      ['outside-copy', 'outlive-outside'],
      { synchronous_mode: 'off', failover_fence: 'lease', postgresql: nothingMends },
      { ...sites, everyMs: 8000 },
    ),
  },
];
