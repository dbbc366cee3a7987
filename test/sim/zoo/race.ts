/** Broken rules of who may be promoted. */
import type { ClientOptions } from '../plan.ts';
import { at, rule } from './edit.ts';
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const quorum = { synchronous_mode: 'quorum' };
/** Agents find out within a second that the key is free, and wait for two. */
const patient = { synchronous_mode: 'off', primary_race_backoff: 10, ttl: 5, loop_wait: 2, retry_timeout: 1 };
const entry = 'src/core/race/entry.ts';
const peers = 'src/core/race/peers.ts';
const positions = 'src/core/race/positions.ts';
const votes = 'src/core/race/votes.ts';
const facts = 'src/core/race/facts.ts';

/** The cluster’s timeline counts only where check_timeline is on, whatever /sync promises. */
const votersDoNotAsk = at(entry, 'needsClusterTimeline').returns('c.o.settings.dynamic.checkTimeline');

/** And one client keeps its session with a. */
const stubborn: ClientOptions = { ...busy, stubborn: 'a' };
/**
 * A primary that goes on without agent and guard, while a standby of it does not hear from etcd
 * that another leads.
 */
const zombies = under(['zombie-leader'], quorum, { nodes: ['a', 'b', 'c'], clients: stubborn, everyMs: 12_000 });

/** All places in line are given, and the last is not always the leader's. */
const inLine = { a: { failover_priority: 1 }, b: { failover_priority: 2 }, c: { failover_priority: 3 }, d: { failover_priority: 4 } };

export const raceMutants: readonly Mutant[] = [
  {
    id: 'priority-ignored',
    broken: 'A standby does not leave the key to another at the same position that has a higher failover_priority.',
    offends: ['S13'],
    edits: [rule('race.peer-priority').when('() => false')],
    verdicts: ['safety'],
    focus: under(['crash'], {}, { nodes: ['a', 'b', 'c', 'd'], tags: inLine, everyMs: 20_000 }),
  },
  {
    id: 'votes-ignored',
    broken: 'In quorum mode a standby takes the key without counting votes.',
    offends: ['S1', 'S8', 'M10'],
    edits: [rule('race.enough-votes').when('() => true')],
    verdicts: ['safety'],
    focus: under(['cut-nodes', 'crash', 'isolate'], quorum),
  },
  {
    id: 'receiving-votes-count',
    broken: 'The vote of a standby that still receives from the former primary counts.',
    offends: ['S1', 'S7', 'M12'],
    edits: [at(votes, 'mayStillConfirm').returns('peer.replaying === true')],
    verdicts: ['safety'],
    focus: zombies,
  },
  {
    id: 'replaying-votes-count',
    broken: 'The vote of a standby that has not replayed yet what is on its own disk counts.',
    offends: ['S1', 'S7', 'M11'],
    edits: [at(votes, 'mayStillConfirm').without('peer.replaying === true')],
    verdicts: ['safety'],
    focus: under(['lose-witness'], quorum, { nodes: ['a', 'b', 'c'], clients: stubborn, everyMs: 20_000, slowness: 3 }),
  },
  {
    id: 'receiver-kept',
    broken: 'In quorum mode a standby without a leader goes on receiving from the former primary, and says that it does not.',
    offends: ['S1', 'S7', 'M12'],
    edits: [at('src/core/let-go.ts', 'letGo').returns('[]'), at(votes, 'mayStillConfirm').returns('peer.replaying === true')],
    verdicts: ['safety'],
    focus: zombies,
  },
  {
    id: 'sync-key-ignored',
    broken: 'In mode on, a standby that is not in /sync takes the key.',
    offends: ['S1', 'S8'],
    edits: [at(facts, 'isOutsideSync').returns('false')],
    verdicts: ['safety'],
    focus: under(['cut-nodes', 'crash', 'isolate'], { synchronous_mode: 'on' }),
  },
  {
    id: 'ahead-ignored',
    broken: 'A standby takes the key although another is ahead of it.',
    offends: ['S1', 'S8', 'M10'],
    edits: [
      at('src/core/race/race.ts', 'raceVerdict').replacing(
        "answer.verdict === 'beats'",
        "answer.verdict === 'beats' && peer.state !== 'running'",
      ),
      at(votes, 'countVotes').replacing("comparison === 'behind'", "comparison !== 'passed over'"),
    ],
    verdicts: ['safety'],
    focus: under(['crash', 'kill-postgres', 'isolate', 'cut-nodes'], quorum, { nodes: ['a', 'b', 'c', 'd', 'e'] }),
  },
  {
    id: 'timelines-not-compared',
    broken: 'Positions are compared without regard to the timelines they are on.',
    offends: ['S1', 'S3', 'S9', 'M17'],
    edits: [
      at(peers, 'isOnEarlierTimeline').returns('false'),
      at(peers, 'isOnLaterTimeline').returns('false'),
      votersDoNotAsk,
      rule('race.diverged').when('(f) => f.own === null && hasDiverged(f)'),
    ],
    verdicts: ['safety', 'liveness'],
    focus: under(['crash', 'kill-postgres', 'isolate', 'cut-nodes', 'kill-while-promoting'], quorum),
  },
  {
    id: 'second-timeline-of-one-number',
    broken: 'A node that does not know the last leader’s timeline promotes to a second one of its number, and in a race the two are one.',
    offends: ['S1', 'S3', 'S9', 'S22', 'M13'],
    edits: [votersDoNotAsk, at(positions, 'isAnotherTimeline').returns('false'), at(positions, 'isTwin').returns('false')],
    verdicts: ['safety', 'liveness'],
    focus: under(['leave-twin'], { ...quorum, ttl: 3, retry_timeout: 1 }, { nodes: ['a', 'b', 'c'], clients: stubborn, everyMs: 20_000 }),
  },
  {
    id: 'diverged-may-lead',
    broken: 'A node whose WAL left the cluster’s history takes part in the race.',
    offends: ['S1', 'S9', 'M17'],
    edits: [at('src/core/divergence.ts', 'pastSwitchPoint').returns('false')],
    verdicts: ['safety', 'liveness'],
    focus: under(['crash', 'kill-postgres', 'isolate', 'cut-nodes'], { synchronous_mode: 'off' }),
  },
  {
    id: 'lag-ignored-in-race',
    broken: 'A standby takes the key however far it is behind the last leader (maximum_lag_on_failover).',
    offends: ['S1', 'M1'],
    edits: [at(facts, 'isTooFarBehind').returns('false')],
    verdicts: ['safety'],
    focus: under(['cut-nodes', 'crash', 'freeze-postgres'], { synchronous_mode: 'off', maximum_lag_on_failover: 1000 }),
  },
  {
    id: 'lagging-candidate',
    broken: 'A switchover goes to a member however far it is behind: neither the leader looks nor the candidate.',
    offends: ['S1', 'M16'],
    edits: [
      rule('successor.too-far-behind').dropped(),
      rule('race.too-far-behind').when("(f) => f.standsAs === 'member' && isTooFarBehind(f)"),
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
    edits: [rule('race.nofailover').dropped(), rule('primary.not-allowed').dropped()],
    verdicts: ['safety'],
    focus: under(['crash', 'kill-postgres', 'isolate'], {}, { tags: { b: { nofailover: true }, c: { failover_priority: 0 } } }),
  },
  {
    id: 'backoff-ignored',
    broken: 'A standby takes the free key at once although primary_race_backoff is set.',
    offends: ['S23'],
    edits: [rule('race.backoff').dropped()],
    verdicts: ['safety'],
    focus: under(['cut-etcd'], patient, { nodes: ['a', 'b', 'c'], everyMs: 20_000, old: [] }),
  },
  {
    id: 'backoff-without-end',
    broken: 'A standby waits for a former primary for longer than primary_race_backoff, and than WAL comes.',
    offends: ['S19'],
    edits: [
      at('src/core/race/backoff.ts', 'backsOff').replacing(
        'waitedMs < primaryRaceBackoffSeconds * 1000 && (waitedMs < loopMs || isMoving(c, loopMs))',
        'true',
      ),
    ],
    verdicts: ['liveness'],
    focus: under([], patient, { nodes: ['a', 'b', 'c'], leftBroken: ['a', 'b'], leftHow: 'off' }),
  },
];
