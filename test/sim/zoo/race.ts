/** Broken rules of who may be promoted. */
import type { ClientOptions } from '../plan.ts';
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const quorum = { synchronous_mode: 'quorum' };
const entry = 'src/core/race/entry.ts';
const peers = 'src/core/race/peers.ts';
const positions = 'src/core/race/positions.ts';
const votes = 'src/core/race/votes.ts';
const facts = 'src/core/race/facts.ts';

/** Of a voter whose position may move after its answer. */
const STILL_CONFIRMS = 'peer.receiving === true || peer.attached === true || peer.replaying === true;';

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
    edits: [{ file: votes, find: '=> votes >= needed,', replace: '=> votes >= 0 && needed > 0,' }],
    verdicts: ['safety'],
    focus: under(['cut-nodes', 'crash', 'isolate'], quorum),
  },
  {
    id: 'receiving-votes-count',
    broken: 'The vote of a standby that still receives from the former primary counts.',
    offends: ['S1', 'S7', 'M12'],
    edits: [
      {
        file: votes,
        find: STILL_CONFIRMS,
        replace: 'peer.replaying === true;',
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
        file: votes,
        find: STILL_CONFIRMS,
        replace: 'peer.receiving === true || peer.attached === true;',
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
        file: votes,
        find: STILL_CONFIRMS,
        replace: 'peer.replaying === true;',
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
        file: facts,
        find: "synchronousMode === 'on' && f.voters !== null",
        replace: "synchronousMode === 'off' && f.voters !== null",
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
        file: 'src/core/race/race.ts',
        find: "if (answer.verdict === 'beats') return",
        replace: "if (answer.verdict === 'beats' && peer.state !== 'running') return",
      },
      {
        file: votes,
        find: "comparison === 'behind' && hasVote",
        replace: "comparison !== 'passed over' && hasVote",
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
        file: peers,
        find: 'own.timeline !== null && peer.timeline < own.timeline;',
        replace: 'own.timeline !== null && peer.timeline === 0;',
      },
      {
        file: peers,
        find: 'own.timeline !== null && peer.timeline > own.timeline;',
        replace: 'own.timeline !== null && peer.timeline === 0;',
      },
      {
        file: entry,
        find: 'dynamic.checkTimeline || voters?.some(',
        replace: 'dynamic.checkTimeline || voters?.slice(9).some(',
      },
      { file: entry, find: 'when: hasDiverged,', replace: 'when: (f) => f.own === null && hasDiverged(f),' },
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
        file: entry,
        find: 'dynamic.checkTimeline || voters?.some(',
        replace: 'dynamic.checkTimeline || voters?.slice(9).some(',
      },
      {
        file: positions,
        find: 'peer.timelineFingerprint !== undefined && peer.timelineFingerprint !== fingerprint;',
        replace: 'peer.timelineFingerprint !== undefined && fingerprint.length < 0;',
      },
      {
        file: positions,
        find: 'told.timeline === timeline && told.timelineFingerprint !== timelineFingerprint;',
        replace: 'told.timeline === timeline && timelineFingerprint.length < 0;',
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
        file: facts,
        find: 'ownLagBytes(f) > f.c.o.settings',
        replace: 'ownLagBytes(f) < -f.c.o.settings',
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
      { file: 'src/core/race/successors.ts', find: 'peerLagBytes(f) > f.dynamic', replace: 'peerLagBytes(f) < -f.dynamic' },
      { file: entry, find: 'when: isTooFarBehind,', replace: "when: (f) => f.standsAs === 'member' && isTooFarBehind(f)," },
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
        file: entry,
        find: "standsAs === 'member' && !mayLead(c.o.settings.local.tags)",
        replace: "standsAs === 'member' && c.me === mayLead.name",
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
