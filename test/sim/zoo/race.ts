/** Broken rules of who may be promoted. */
import type { ClientOptions } from '../plan.ts';
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const quorum = { synchronous_mode: 'quorum' };
const candidates = 'src/core/candidates.ts';
const comparison = 'src/core/comparison.ts';

/** And one client keeps its session with a. */
const stubborn: ClientOptions = { ...busy, stubborn: 'a' };
/**
 * A primary that goes on under neither agent nor guard, while a standby of it does not hear from
 * etcd that another leads.
 */
const zombies = under(['zombie-leader'], quorum, { nodes: ['a', 'b', 'c'], clients: stubborn, everyMs: 12_000 });

export const raceMutants: readonly Mutant[] = [
  {
    id: 'votes-ignored',
    broken: 'In quorum mode a standby takes the key without counting votes.',
    offends: ['S1', 'S8', 'M10'],
    edits: [{ file: candidates, find: 'if (votes >= quorum) return yes(', replace: 'if (votes >= -1) return yes(' }],
    verdicts: ['safety'],
    focus: under(['cut-nodes', 'crash', 'isolate'], quorum),
  },
  {
    id: 'receiving-votes-count',
    broken: 'The vote of a standby that still receives from the former primary counts.',
    offends: ['S1', 'S7', 'M12'],
    edits: [
      {
        file: candidates,
        find: '(peer.receiving || peer.attached || peer.replaying)',
        replace: 'peer.replaying',
      },
    ],
    verdicts: ['safety'],
    focus: zombies,
  },
  {
    id: 'replaying-votes-count',
    broken: 'The vote of a standby that has not replayed yet what is on its own disk counts.',
    offends: ['S1', 'S7', 'M11'],
    edits: [
      {
        file: candidates,
        find: '(peer.receiving || peer.attached || peer.replaying)',
        replace: '(peer.receiving || peer.attached)',
      },
    ],
    verdicts: ['safety'],
    focus: under(['lose-witness'], quorum, { nodes: ['a', 'b', 'c'], clients: stubborn, everyMs: 20_000, slowness: 3 }),
  },
  {
    id: 'receiver-kept',
    broken: 'In quorum mode a standby without a leader goes on receiving from the former primary, and says that it does not.',
    offends: ['S1', 'S7', 'M12'],
    edits: [
      {
        file: 'src/core/let-go.ts',
        find: 'if (!(quorum && confirms) && !isLeftBehind(c)) return [];',
        replace: 'if (c.me !== null) return [];',
      },
      {
        file: candidates,
        find: '(peer.receiving || peer.attached || peer.replaying)',
        replace: 'peer.replaying',
      },
    ],
    verdicts: ['safety'],
    focus: zombies,
  },
  {
    id: 'sync-key-ignored',
    broken: 'In mode on, a standby that is not in /sync takes the key.',
    offends: ['S1', 'S8'],
    edits: [
      {
        file: candidates,
        find: "if (dynamic.synchronousMode === 'on' && voters !== null && !includes(voters, me)) {",
        replace: "if (dynamic.synchronousMode === 'off' && voters !== null && !includes(voters, me)) {",
      },
    ],
    verdicts: ['safety'],
    focus: under(['cut-nodes', 'crash', 'isolate'], { synchronous_mode: 'on' }),
  },
  {
    id: 'ahead-ignored',
    broken: 'A standby takes the key although another is ahead of it.',
    offends: ['S1', 'S8', 'M10'],
    edits: [
      {
        file: candidates,
        find: "if (outcome.kind === 'beaten') return no(outcome.because);",
        replace: "if (outcome.kind === 'beaten' && peer.state !== 'running') return no(outcome.because);",
      },
      {
        file: candidates,
        find: "if (outcome.kind !== 'behind' || voters === null ||",
        replace: "if (outcome.kind === 'silent' || voters === null ||",
      },
    ],
    verdicts: ['safety'],
    focus: under(['crash', 'kill-postgres', 'isolate', 'cut-nodes'], quorum, { nodes: ['a', 'b', 'c', 'd', 'e'] }),
  },
  {
    id: 'timelines-not-compared',
    broken: 'Positions are compared without regard to the timelines they are on.',
    offends: ['S1', 'S3', 'S9', 'M17'],
    edits: [
      {
        file: comparison,
        find: 'if (peer.timeline !== null && own.timeline !== null && peer.timeline < own.timeline)\n',
        replace: 'if (c.me === peer.name && own.timeline !== null && peer.timeline !== null)\n',
      },
      {
        file: comparison,
        find: 'const laterTimeline = peer.timeline !== null && own.timeline !== null && peer.timeline > own.timeline;',
        replace: 'const laterTimeline = peer.timeline === 0;',
      },
      {
        file: candidates,
        find: 'const strict = dynamic.checkTimeline || waits;',
        replace: 'const strict = dynamic.checkTimeline || (waits && false);',
      },
      { file: candidates, find: 'if (hasDiverged(c, view)) return no(DIVERGED);\n  const tooFar', replace: 'const tooFar' },
    ],
    verdicts: ['safety', 'liveness'],
    focus: under(['crash', 'kill-postgres', 'isolate', 'cut-nodes', 'kill-while-promoting'], quorum),
  },
  {
    id: 'second-timeline-of-one-number',
    broken: 'A node that does not know the last leader’s timeline promotes to a second one of its number, and in a race the two are one.',
    offends: ['S1', 'S3', 'S9', 'S22', 'M13'],
    edits: [
      {
        file: candidates,
        find: 'const strict = dynamic.checkTimeline || waits;',
        replace: 'const strict = dynamic.checkTimeline || (waits && false);',
      },
      {
        file: 'src/core/comparison.ts',
        find: 'peer.beginning !== undefined && peer.beginning !== beginning;',
        replace: 'peer.beginning !== undefined && beginning.length < 0;',
      },
      {
        file: 'src/core/comparison.ts',
        find: 'told.timeline === timeline && told.beginning !== beginning;',
        replace: 'told.timeline === timeline && beginning.length < 0;',
      },
    ],
    verdicts: ['safety', 'liveness'],
    focus: under(['leave-twin'], { ...quorum, ttl: 3, retry_timeout: 1 }, { nodes: ['a', 'b', 'c'], clients: stubborn, everyMs: 20_000 }),
  },
  {
    id: 'diverged-may-lead',
    broken: 'A node whose WAL left the cluster’s history takes part in the race.',
    offends: ['S1', 'S9', 'M17'],
    edits: [
      {
        file: 'src/core/divergence.ts',
        find: 'return left !== undefined && lsn !== null && lsn > left.switchLsn;',
        replace: 'return left !== undefined && lsn !== null && lsn < 0n;',
      },
    ],
    verdicts: ['safety', 'liveness'],
    focus: under(['crash', 'kill-postgres', 'isolate', 'cut-nodes'], { synchronous_mode: 'off' }),
  },
  {
    id: 'lag-ignored-in-race',
    broken: 'A standby takes the key however far it is behind the last leader (maximum_lag_on_failover).',
    offends: ['S1', 'M1'],
    edits: [
      {
        file: candidates,
        find: 'const tooFar = lag > c.o.settings.dynamic.maximumLagOnFailoverBytes;',
        replace: 'const tooFar = lag < 0;',
      },
    ],
    verdicts: ['safety'],
    focus: under(['cut-nodes', 'crash', 'freeze-postgres'], { synchronous_mode: 'off', maximum_lag_on_failover: 1000 }),
  },
  {
    id: 'lagging-candidate',
    broken: 'A switchover goes to a member however far it is behind: neither the leader looks nor the candidate.',
    offends: ['S1', 'M16'],
    edits: [
      { file: candidates, find: 'if (lag > dynamic.maximumLagOnFailoverBytes) return', replace: 'if (lag < 0) return' },
      { file: candidates, find: 'const tooFar = wish.leader === null ? null : tooFarBehind(c, view);', replace: 'const tooFar = null;' },
    ],
    verdicts: ['safety'],
    focus: under(
      ['cut-nodes', 'switchover'],
      { synchronous_mode: 'off', maximum_lag_on_failover: 1000 },
      { tags: { c: { replicatefrom: 'b' } } },
    ),
  },
  {
    id: 'nofailover-ignored',
    broken: 'A node tagged nofailover takes the key.',
    offends: ['S13'],
    edits: [
      {
        file: candidates,
        find: "if (!mayLead(local.tags)) return no('this node is tagged nofailover');\n",
        replace: '',
      },
      {
        file: 'src/core/rules/primary.ts',
        find: 'when: (c) => c.unlocked && !mayLead(c.o.settings.local.tags),',
        replace: 'when: (c) => c.unlocked && c.me === mayLead.name,',
      },
    ],
    verdicts: ['safety'],
    focus: under(['crash', 'kill-postgres', 'isolate'], {}, { tags: { b: { nofailover: true }, c: { failover_priority: 0 } } }),
  },
];
