/** Broken promises of voters, broken take-overs, and broken vouching. */
import { at, rule } from './edit.ts';
import { busy, under } from './focus.ts';
import type { Mutant } from './mutant.ts';

const takeOver = 'src/core/quorum/take-over.ts';
const vouching = 'src/core/quorum/vouching.ts';
const inForce = 'src/core/quorum/fence-mark.ts';
const context = 'src/core/context.ts';
const beats = 'src/agent/beats.ts';
const ownWord = 'src/agent/own-word.ts';
const leaderKey = 'src/adapters/etcd/leader-key.ts';

const quorum = { synchronous_mode: 'quorum', suspect_after: 1000, failover_fence: 'quorum' };
const three = { nodes: ['a', 'b', 'c'], clients: busy, everyMs: 8000, relays: false };
const five = { ...three, nodes: ['a', 'b', 'c', 'd', 'e'] };

/** The race for a key that nobody holds counts votes as before. */
const votesNotCounted = rule('race.enough-votes').when('(f) => f.c.otherLeader !== null || f.votes >= f.needed');

/** Positions and promises are told while WAL may still come. */
const toldWhileMoving = (condition: string) => at(ownWord, 'fenceOf').without(condition);

export const quorumMutants: readonly Mutant[] = [
  {
    id: 'promise-while-receiving',
    broken: 'A voter promises to take no more WAL first, and takes its walreceiver away after that.',
    offends: ['S1', 'S4', 'S7', 'M12'],
    edits: [
      rule('take-over.let-go').when("(f) => f.hasPromised && (sql(f)?.primaryConninfo ?? '') !== ''"),
      rule('take-over.not-final').when('(f) => f.hasPromised && sql(f)?.receiver !== null'),
      toldWhileMoving("sql.primaryConninfo === ''"),
      toldWhileMoving('sql.receiver === null'),
    ],
    verdicts: ['safety'],
    focus: under(['stumble', 'crash', 'isolate'], quorum, three),
  },
  {
    id: 'promise-while-replaying',
    broken: 'A voter that has not replayed yet what is on its own disk promises, and its position counts.',
    offends: ['S1', 'S4', 'S7', 'M11'],
    edits: [
      rule('take-over.not-final').when('(f) => sql(f)?.receiver !== null'),
      toldWhileMoving('sql.replaying !== true'),
      at(takeOver, 'factsOf').without('!mayStillConfirm(peer)'),
      votesNotCounted,
    ],
    verdicts: ['safety'],
    focus: under(['restart-promised-witness'], quorum, { ...three, everyMs: 20_000, slowness: 3 }),
  },
  {
    id: 'promise-not-durable',
    broken: 'A promise is kept in memory: an agent that is started again does not know of it.',
    offends: ['S4', 'S7', 'M10'],
    edits: [at('test/sim/machine.ts', 'Machine.#tearDown').beginning('this.server.fence = null;')],
    verdicts: ['safety'],
    focus: under(['restart-promised'], quorum, three),
  },
  {
    id: 'promise-unread',
    broken: 'A voter whose PostgreSQL is down does not look for what it has promised, and is started to stream from its leader.',
    offends: ['S4', 'S7', 'M10'],
    edits: [at(context, 'isFenced').beginning('if (sql === null) return false;')],
    verdicts: ['safety', 'crash'],
    focus: under(['restart-promised'], quorum, three),
  },
  {
    id: 'promise-over-when-heard',
    broken: 'A voter takes its promise back when it hears the leader again, though /sync was not written anew.',
    offends: ['S4', 'S7'],
    edits: [at(context, 'contextOf').replacing('isFenced(pg, view)', 'isFenced(pg, view) && o.links.knocks !== null')],
    verdicts: ['safety', 'crash'],
    focus: under(['stumble', 'slow-take-over'], quorum, three),
  },
  {
    id: 'promise-streams-when-heard',
    broken: 'A voter streams again from the leader that it has promised to leave as soon as it hears it.',
    offends: ['S4', 'S7'],
    edits: [
      at(context, 'wantedSource').replacing('c.fenced', '(c.fenced && c.o.links.knocks !== null)'),
      at(takeOver, 'takeOverVerdict').replacing("seen.suspicion.verdict === 'heard' && !c.fenced", "seen.suspicion.verdict === 'heard'"),
    ],
    verdicts: ['safety', 'crash'],
    focus: under(['stumble', 'slow-take-over'], quorum, three),
  },
  {
    id: 'own-promise-not-made',
    broken: 'A candidate counts its own promise without having made it.',
    offends: ['S1', 'S4', 'S7', 'M10'],
    edits: [
      rule('take-over.promise').dropped(),
      at(takeOver, 'factsOf').replacing('c.fenced ? [c.me, ...promised] : promised', '[c.me, ...promised]'),
    ],
    verdicts: ['safety', 'crash'],
    focus: under(['crash', 'stumble'], quorum, three),
  },
  {
    id: 'own-promise-counted-twice',
    broken: 'A candidate counts its own promise twice.',
    offends: ['S1', 'S4', 'S7', 'M10'],
    edits: [
      at(takeOver, 'factsOf').replacing('distinct(c.fenced ? $ : promised)', '(c.fenced ? [c.me, c.me, ...promised] : promised)'),
      votesNotCounted,
    ],
    verdicts: ['safety'],
    focus: under(['crash', 'stumble', 'slow-take-over'], quorum, three),
  },
  {
    id: 'promises-over-two-sets',
    broken: 'A promise counts by the leader’s term alone: it may have been made for another revision of /sync.',
    offends: ['S1', 'S4', 'S7', 'M9'],
    edits: [at(takeOver, 'promisedFor').returns("peer.fence?.split('/')[0] === fence.term")],
    verdicts: ['safety'],
    focus: under(['missed-twice'], { ...quorum, suspect_after: 300 }, { ...three, everyMs: 15_000 }),
  },
  {
    id: 'promise-outlives-set',
    broken: 'A voter keeps its promise although the leader has written /sync anew.',
    offends: ['S19', 'S22'],
    edits: [at(inForce, 'holds').replacing('fenceText(now) === fenceText(mark)', 'now.term === mark.term')],
    verdicts: ['liveness'],
    focus: under(['stumble', 'slow-take-over'], quorum, three),
  },
  {
    id: 'non-voter-counted',
    broken: 'The promise of a member that is no voter counts.',
    offends: ['S1', 'S4', 'S7', 'M10'],
    edits: [
      at(takeOver, 'factsOf').replacing('includes(fence.voters, name)', 'name !== c.me'),
      at(takeOver, 'takeOverVerdict').without('!seen.isVoter'),
      votesNotCounted,
    ],
    verdicts: ['safety'],
    focus: under(['crash', 'stumble', 'cut-nodes'], quorum, { ...five, tags: { a: { nosync: true }, b: { nosync: true } } }),
  },
  {
    id: 'too-few-promises',
    broken: 'A candidate takes the lead by one promise less than it needs.',
    offends: ['S1', 'S4', 'S7', 'M10'],
    edits: [rule('take-over.too-few-promises').when('({ promised, fence }) => promised.length < fence.needed - 1'), votesNotCounted],
    verdicts: ['safety'],
    focus: under(['crash', 'stumble'], quorum, three),
  },
  {
    id: 'take-over-set-not-compared',
    broken: 'The transaction of a take-over does not compare /sync.',
    offends: ['S4', 'S7', 'S8', 'M9', 'M26'],
    edits: [
      at(leaderKey, 'takeLead').replacing(
        "[keys.revisionIs(LEADER, term), keys.revisionIs('sync', expected.modRevision)]",
        '[keys.revisionIs(LEADER, term)]',
      ),
    ],
    verdicts: ['safety'],
    focus: under(['slow-take-over'], quorum, three),
  },
  {
    id: 'take-over-term-not-compared',
    broken: 'The transaction of a take-over does not compare the leader key.',
    offends: ['S2', 'S3', 'S4', 'S7', 'M26'],
    edits: [
      at(leaderKey, 'takeLead').replacing(
        "[keys.revisionIs(LEADER, term), keys.revisionIs('sync', expected.modRevision)]",
        "[keys.revisionIs('sync', expected.modRevision)]",
      ),
    ],
    verdicts: ['safety'],
    focus: under(['late-take-over'], { ...quorum, ttl: 3, retry_timeout: 1 }, { ...three, everyMs: 20_000 }),
  },
  {
    id: 'suspicion-by-hearsay',
    broken: 'A voter misses the leader because another says that it does.',
    offends: ['S4'],
    edits: [
      at('src/core/quorum/suspicion.ts', 'watched').beginning(
        `const said = c.otherLeader === null ? null : quorumFence(c.view, c.o.settings.dynamic);
         if (said !== null && [...(c.o.peers?.values() ?? [])].some((peer) => peer.missesTerm === said.term || peer.fence === said.term + '/' + said.sync))
           return { fence: said, isVoter: includes(said.voters, c.me), suspicion: { id: 'leader.silent', verdict: 'missed', because: '' } };`,
      ),
      at('src/agent/observe.ts', 'askPeers').replacing('if (!needed && missed === null) return null', 'void 0'),
    ],
    verdicts: ['safety'],
    focus: under(['cut-nodes'], quorum, three),
  },
  {
    id: 'vouched-although-promised',
    broken: 'A voter that has promised to leave the leader vouches for it.',
    offends: ['S2', 'S4', 'S21'],
    edits: [
      at(vouching, 'mayVouch').without('fence !== undefined'),
      at(vouching, 'mayVouch').replacing("sql.primaryConninfo !== ''", 'true'),
    ],
    verdicts: ['safety'],
    focus: under(['vouch-and-miss'], { ...quorum, suspect_after: 500 }, three),
  },
  {
    id: 'vouching-from-answer',
    broken: 'That voters vouch counts from their answer instead of from the question.',
    offends: ['S2', 'S4', 'S7', 'S21', 'M7'],
    edits: [at(beats, 'Beats.#answered').beginning('sentAtMs = this.#ports.clock.bootMs();')],
    verdicts: ['safety'],
    focus: under(
      ['vouch-and-die'],
      { ...quorum, ttl: 3, retry_timeout: 1, suspect_after: 300 },
      { ...three, delayMs: [20, 60], everyMs: 15_000 },
    ),
  },
  {
    id: 'vouching-by-too-few',
    broken: 'One voter is enough to vouch, however many a commit waits for.',
    offends: ['S2', 'S3', 'S4', 'S21'],
    edits: [at(vouching, 'vouchedSince').replacing('latest[count - 1]', 'latest[0]')],
    verdicts: ['safety'],
    focus: under(['vouch-and-miss', 'halves'], { ...quorum, ttl: 3, retry_timeout: 1, synchronous_node_count: 2 }, five),
  },
  {
    id: 'vouching-by-former-set',
    broken: 'A leader that has changed /sync goes on by the word of the voters before, until it reads it again.',
    offends: ['S2', 'S3', 'S21'],
    edits: [at(vouching, 'setsWritten').returns('[]')],
    verdicts: ['safety'],
    focus: under(['change-sync-and-vanish'], { ...quorum, ttl: 3, retry_timeout: 1, suspect_after: 300 }, { ...three, everyMs: 20_000 }),
  },
  {
    id: 'vouching-forgotten',
    broken: 'An agent that is started again does not consider what the one before may have vouched for.',
    offends: ['S2', 'S3', 'S4', 'S21'],
    edits: [at(vouching, 'boundUntilMs').returns('vouched?.untilMs ?? Number.NEGATIVE_INFINITY')],
    verdicts: ['safety'],
    focus: under(
      ['vouch-and-forget'],
      { ...quorum, ttl: 3, retry_timeout: 1, suspect_after: 300 },
      { ...three, delayMs: [20, 60], everyMs: 15_000 },
    ),
  },
  {
    id: 'vouching-ignored-by-promise',
    broken: 'A voter that has vouched for a leader promises to leave it all the same.',
    offends: ['S2', 'S4', 'S21'],
    edits: [rule('take-over.vouched').dropped()],
    verdicts: ['safety'],
    focus: under(['vouch-and-miss'], { ...quorum, suspect_after: 500 }, three),
  },
  {
    id: 'vouching-ignored-by-race',
    broken: 'A voter that has vouched for a leader races for its key, and gives others its vote.',
    offends: ['S2', 'S3', 'S21'],
    edits: [
      rule('race.vouched').dropped(),
      rule('race.others-vouch').dropped(),
      at('src/core/let-go.ts', 'letGo').without('if (confirms && isBound(c)) return []'),
      at('src/core/let-go.ts', 'isLetGo').without('isBound(c)'),
      at(ownWord, 'ownWord').without('c !== null && isBound(c)'),
    ],
    verdicts: ['safety'],
    focus: under(['cut-etcd'], { ...quorum, ttl: 3, retry_timeout: 1 }, three),
  },
  {
    id: 'cascade-from-former-leader',
    broken: 'A standby streams from the member that it replicates from, although that one led and was replaced.',
    offends: ['S7', 'S1'],
    edits: [at('src/core/upstream.ts', 'mayBeLeftBehind').returns('false')],
    verdicts: ['safety'],
    focus: under(
      ['vouch-and-forget', 'isolate'],
      { ...quorum, ttl: 20, loop_wait: 5, retry_timeout: 5, suspect_after: 300 },
      { ...three, tags: { a: { replicatefrom: 'b' }, c: { replicatefrom: 'b' } }, everyMs: 15_000 },
    ),
  },
];
