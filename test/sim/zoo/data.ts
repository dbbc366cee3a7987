/** Broken rules about data directories, histories, operators and the initialize key. */
import { at, rule } from './edit.ts';
import { nothingMends, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const divergence = 'src/core/divergence.ts';

export const dataMutants: readonly Mutant[] = [
  {
    id: 'rewind-skipped-on-equal-numbers',
    broken: 'Equal timeline numbers are taken for equal history.',
    offends: ['S9', 'S22', 'M13'],
    edits: [at(divergence, 'compareHistories').beginning("if (local.timeline === source.timeline) return 'prefix';")],
    verdicts: ['safety', 'liveness'],
    // Two timelines of one number are told apart by what they begin with; what was written by hand
    // on the leader's own is not.
    focus: under(['crash', 'isolate', 'kill-postgres', 'open-by-hand'], { synchronous_mode: 'off' }),
  },
  {
    id: 'history-not-compared',
    broken: 'A node follows the leader without asking whether its own history is a prefix.',
    offends: ['S9', 'S22', 'M13', 'M15'],
    edits: [at(divergence, 'compareHistories').replacing('within && source.hasOurEnd !== false', 'true')],
    verdicts: ['safety', 'liveness'],
  },
  {
    id: 'twins-not-told-apart',
    broken: 'What the WAL of two timelines of one number begins with is not compared.',
    offends: ['S9', 'S22', 'M13'],
    edits: [at(divergence, 'isAnotherTimeline').returns('false')],
    verdicts: ['safety', 'liveness'],
    focus: under(['leave-twin'], { synchronous_mode: 'off', ttl: 3, retry_timeout: 1 }, { nodes: ['a', 'b', 'c'], everyMs: 15_000 }),
  },
  {
    id: 'reinit-unseen-leader',
    broken: 'A data directory is removed although the leader it is to be cloned from does not answer.',
    offends: ['S12', 'S19', 'M21'],
    edits: [
      at('src/agent/jobs/clone.ts', 'seen').replacing(
        'await ports.pg.sourceHistory($$)',
        '{ systemIdentifier: initialize, inRecovery: view.sync?.leader !== source.name }',
      ),
    ],
    verdicts: ['safety', 'liveness'],
    focus: under(['reinitialize', 'crash', 'isolate', 'lose-disk']),
  },
  {
    id: 'reinit-only-copy',
    broken: 'The operator’s reinitialize is carried out whoever leads, and be it this node.',
    offends: ['S12'],
    edits: [
      rule('request.reinitialize').when('(c) => !(c.view !== null && isOfAnotherCluster(c.o.pg, c.view))'),
      rule('request.reinitialize').replacing(
        'cloneSource(c, $)',
        "cloneSource(c) ?? { source: { name: c.me, host: c.me, port: 5432 }, sourceRole: 'leader', fromLeader: true }",
      ),
    ],
    verdicts: ['safety', 'crash', 'liveness'],
    focus: under(['reinitialize', 'crash', 'kill-postgres']),
  },
  {
    id: 'half-a-rewind-kept',
    broken: 'A rewind that was interrupted half-way is not repeated.',
    offends: ['S10', 'S22', 'M15', 'M21'],
    edits: [rule('stopped.rewind-again').dropped()],
    verdicts: ['safety', 'liveness'],
    focus: under(['crash', 'isolate', 'kill-postgres', 'cut-nodes']),
  },
  {
    id: 'bootstrapped-twice',
    broken: 'A node without data makes a new cluster although one was initialized.',
    offends: ['S1', 'S2', 'S12', 'S17'],
    edits: [
      rule('data.bootstrap').replacing('c.view?.initialize === null', 'c.view !== null'),
      at('src/adapters/etcd/store.ts', 'memberCalls.raceInitialize').is(
        "(leaseId, call) => keys.overwrite('initialize', '', leaseId, call).then(() => true)",
      ),
    ],
    verdicts: ['safety', 'crash', 'liveness'],
    focus: under(['lose-disk', 'crash'], { ttl: 3, retry_timeout: 1 }, { nodes: ['a', 'b', 'c'], everyMs: 1000 }),
  },
  {
    id: 'mark-not-compared',
    broken: 'Who lost the right to make the cluster during initdb publishes what it made all the same.',
    offends: ['S1', 'S12', 'S17'],
    edits: [
      at('src/adapters/etcd/initialize-key.ts', 'publishInitialize').replacing('[keys.leaseIs($$), $]', '[]'),
      at('src/agent/jobs/bootstrap.ts', 'bootstrap').replacing("initialize === ''", 'true'),
    ],
    verdicts: ['safety', 'crash', 'liveness'],
    focus: under(['freeze-agent', 'cut-etcd'], { ttl: 3, loop_wait: 1, retry_timeout: 1 }, { fromMs: 0, everyMs: 700, slowness: 3 }),
  },
  {
    id: 'initialize-not-compared',
    broken: 'A data directory of another cluster is used as if it were this one’s.',
    offends: ['S1', 'S17', 'M27'],
    edits: [at('src/core/context.ts', 'isOfAnotherCluster').returns('false')],
    verdicts: ['safety', 'crash', 'liveness'],
    focus: under(['foreign-disk']),
  },
  {
    id: 'pause-ignored',
    broken: 'A paused cluster is looked after as if it were not.',
    offends: ['S13'],
    edits: [at('src/core/context.ts', 'contextOf.paused').is('false')],
    verdicts: ['safety', 'liveness'],
    focus: under(['pause', 'crash', 'kill-postgres']),
  },
  {
    id: 'slots-dropped-early',
    broken: 'The slot of a member that is gone is dropped at once, and where it was is forgotten.',
    offends: ['S14', 'S22'],
    edits: [
      at('src/core/slots/wanted.ts', 'collect.fresh').is('false'),
      at('src/core/housekeeping.ts', 'statusValue').replacing('c.o.settings.dynamic.useSlots ? Object.keys(c.m.slotSeenAtMs) : []', '[]'),
    ],
    verdicts: ['safety', 'liveness'],
    focus: under(['crash'], { postgresql: { use_slots: true } }, { walKeepBytes: 20_000 }),
  },
  {
    id: 'leader-not-followed',
    broken: 'A standby keeps the source it has when another leads.',
    offends: ['S22'],
    edits: [
      at('src/core/context.ts', 'pointsAt').without("now['host'] === host"),
      at('src/core/context.ts', 'pointsAt').without("now['port'] === port"),
    ],
    verdicts: ['safety', 'liveness'],
  },
  {
    id: 'crashed-primary-not-compared',
    broken: 'Without pg_rewind nobody looks whether a crashed primary has any WAL of its own: its operator is to make a new copy.',
    offends: ['S22', 'M15'],
    edits: [rule('mend.compare').dropped()],
    verdicts: ['liveness'],
    focus: under(['crash'], { synchronous_mode: 'off', postgresql: nothingMends }, { nodes: ['a', 'b', 'c'], everyMs: 15_000 }),
  },
];
