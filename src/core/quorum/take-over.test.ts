import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, type Scene, settings, view } from '../../../test/support/build.ts';
import { contextOf } from '../context.ts';
import { decide } from '../decide.ts';
import type { PeerFacts } from '../peer-facts.ts';
import type { ReceiverFacts, SqlFacts } from '../postgres-facts.ts';
import type { FenceMark } from './fence-mark.ts';
import { type Knocks, type LinkFacts, noLinks } from './link-facts.ts';
import { takeOverVerdict } from './take-over.ts';

const NOW_MS = 10_000;
const TERM = '5';
const FENCE = '5/8';
const MARK: FenceMark = { leader: 'b', term: TERM, sync: '8' };
const silent: Knocks = { agent: 'silent', postgres: 'silent', refusedTwice: false };
const receiver = { status: 'streaming', senderHost: 'b' } as ReceiverFacts;

interface Play {
  /** Voters beside the leader b; each commit is on all but `quorum` of them. */
  readonly standbys?: readonly string[];
  readonly quorum?: number;
  readonly mode?: 'on' | 'quorum';
  readonly mark?: FenceMark | 'unreadable' | null;
  readonly sql?: Partial<SqlFacts>;
  readonly peers?: readonly PeerFacts[] | null;
  readonly links?: Partial<LinkFacts>;
  readonly scene?: Scene;
}

/** Member a has missed b for two seconds, and streams from nobody any more. */
function round({
  standbys = ['a', 'c'],
  quorum = 1,
  mode = 'quorum',
  mark = null,
  sql = {},
  peers: answers = [],
  links = {},
  scene,
}: Play) {
  const members = ['a', 'b', 'c', 'd', 'e'].map((name) => member(name, { raw: { beats: 1 }, ...(name === 'b' && { role: 'primary' }) }));
  return observation({
    nowMs: NOW_MS,
    view: view({ leaderName: 'b', members, sync: { leader: 'b', quorum, standbys, modRevision: '8' } }),
    settings: settings('a', { dynamic: { synchronousMode: mode } }),
    pg: { ...pg.standby(sql), ...(mark !== null && { fence: mark }) },
    peers: answers && peers(...answers),
    links: { ...noLinks(-60_000), heard: { leader: 'b', atMs: NOW_MS - 2000, lost: false }, knocks: silent, ...links },
    ...scene,
  });
}
const verdict = (play: Play) => takeOverVerdict(contextOf(round(play), memory()));
const row = (play: Play) => verdict(play)?.id ?? null;

const misses = (name: string, over: Partial<PeerFacts> = {}) => peer(name, { missesTerm: TERM, attached: true, ...over });
const promised = (name: string, over: Partial<PeerFacts> = {}) => peer(name, { fence: FENCE, ...over });
const hears = (name: string) => peer(name, { attached: true, receiving: true });
const HEARD = { heard: { leader: 'b', atMs: NOW_MS - 10, lost: false }, knocks: null };

describe('each in its turn', () => {
  it('nothing while this node hears its leader and has promised nothing, or is no voter', () => {
    expect(row({ links: HEARD, peers: [promised('c')] })).toBeNull();
    expect(row({ standbys: ['c'], quorum: 0, peers: [promised('c')] })).toBeNull();
  });

  it('waits for a new /sync where it has promised and hears the leader again', () => {
    expect(verdict({ mark: MARK, links: HEARD, peers: [promised('c')] })).toMatchObject({ id: 'take-over.heard-again', verdict: 'wait' });
  });

  it('waits where primary_race_backoff is set, for one loop_wait, or on while WAL comes, but not once it has promised', () => {
    const backoff = (sinceMs: number, play: Play = {}, movedAtMs: number | null = null) => {
      const dynamic = { synchronousMode: 'quorum', primaryRaceBackoffSeconds: 45 } as const;
      const seen = round({
        sql: { receiver, primaryConninfo: 'host=b' },
        ...play,
        peers: [misses('c')],
        scene: { settings: settings('a', { dynamic }) },
      });
      const over = { streamed: true, missesLeaderSinceMs: sinceMs, walSeen: { lsn: lsn(1000), movedAtMs } };
      return takeOverVerdict(contextOf(seen, memory(over)))?.id;
    };
    expect(backoff(NOW_MS - 1000)).toBe('take-over.backoff');
    expect(backoff(NOW_MS - 10_000)).toBe('take-over.let-go');
    expect(backoff(NOW_MS - 10_000, {}, NOW_MS - 100)).toBe('take-over.backoff');
    expect(backoff(NOW_MS - 45_000, {}, NOW_MS - 100)).toBe('take-over.let-go');
    expect(backoff(NOW_MS - 1000, { mark: MARK, sql: {} })).toBe('take-over.too-few-promises');
    expect(row({ sql: { receiver, primaryConninfo: 'host=b' }, peers: [misses('c')] })).toBe('take-over.let-go');
  });

  it('does nothing while it has vouched, or its agent before may have', () => {
    const ready: Play = { peers: [promised('c')], mark: MARK };
    expect(row({ ...ready, links: { vouched: { leader: 'b', untilMs: NOW_MS + 1 } } })).toBe('take-over.vouched');
    expect(row({ ...ready, links: { vouched: { leader: 'b', untilMs: NOW_MS } } })).toBe('take-over.take');
    expect(row({ ...ready, links: { sinceMs: NOW_MS - 2999 } })).toBe('take-over.vouched');
    expect(row({ ...ready, links: { sinceMs: NOW_MS - 3000 } })).toBe('take-over.take');
  });

  it('asks the others first', () => {
    expect(verdict({ peers: null })).toMatchObject({ id: 'take-over.not-asked', verdict: 'wait a moment' });
  });

  it('lets go only when so many voters miss the leader that it could have no commit confirmed', () => {
    const streaming: Play = { sql: { primaryConninfo: 'host=b', receiver } };
    expect(verdict({ ...streaming, peers: [hears('c')] })).toMatchObject({ id: 'take-over.too-few-miss-it', verdict: 'wait' });
    expect(verdict({ ...streaming, peers: [misses('c')] })).toMatchObject({ id: 'take-over.let-go', verdict: 'let go' });
    expect(row({ ...streaming, peers: [promised('c')] })).toBe('take-over.let-go');
  });

  it('promises once nothing is left to receive or to replay', () => {
    const others = [misses('c')];
    expect(row({ peers: others, sql: { receiver } })).toBe('take-over.not-final');
    expect(row({ peers: others, sql: { replaying: true } })).toBe('take-over.not-final');
    expect(row({ peers: others, scene: { pg: pg.starting({ standbySignal: true }) } })).toBe('take-over.not-final');
    expect(verdict({ peers: others })).toMatchObject({ id: 'take-over.promise', verdict: 'promise' });
  });

  it('takes the lead with enough promises, its own among them', () => {
    expect(row({ mark: MARK, peers: [misses('c')] })).toBe('take-over.too-few-promises');
    const taken = verdict({ mark: MARK, peers: [promised('c')] });
    expect(taken).toMatchObject({ id: 'take-over.take', verdict: 'take' });
    expect(taken?.because).toMatch(/^no beat from b for 2\.0 s.*\(missed by a, c\); a, c take no more WAL from it; /);
  });

  it('leaves it to one that promised and is further, and to any where this node must not lead', () => {
    expect(row({ mark: MARK, peers: [promised('c', { lsn: lsn(1200) })] })).toBe('take-over.leave');
    const tagged = settings('a', { dynamic: { synchronousMode: 'quorum' }, local: { tags: { nofailover: true } } });
    expect(row({ mark: MARK, peers: [promised('c')], scene: { settings: tagged } })).toBe('take-over.leave');
  });
});

describe('what counts as a promise', () => {
  const three: Play = { standbys: ['a', 'c', 'd'], quorum: 1, mark: MARK };

  it('the same term and the same revision of /sync, never votes over two of them', () => {
    expect(row({ ...three, peers: [promised('c')] })).toBe('take-over.take');
    expect(row({ ...three, peers: [promised('c', { fence: '5/7' }), promised('d', { fence: '5/9' })] })).toBe('take-over.too-few-promises');
    expect(row({ ...three, peers: [promised('c', { fence: '4/8' }), promised('d', { fence: '6/8' })] })).toBe('take-over.too-few-promises');
  });

  it('an own promise for another revision of /sync, or another term, is none: it is given anew', () => {
    for (const mark of [
      { ...MARK, sync: '7' },
      { ...MARK, term: '4' },
      { ...MARK, leader: 'c' },
    ])
      expect(row({ ...three, mark, peers: [promised('c')] })).toBe('take-over.promise');
  });

  it('no position that may still move: of one that receives, replays or is still attached', () => {
    for (const moving of [{ receiving: true }, { replaying: true }, { attached: true }])
      expect(row({ ...three, peers: [promised('c', moving)] })).toBe('take-over.too-few-promises');
  });

  it('nobody who is no voter, however sure he is', () => {
    const all: Play = { standbys: ['a', 'c'], quorum: 1 };
    expect(row({ ...all, peers: [misses('d'), promised('e')] })).toBe('take-over.too-few-miss-it');
    expect(row({ ...all, mark: MARK, peers: [promised('d'), promised('e')] })).toBe('take-over.too-few-promises');
  });

  it('never the leader itself, not even where /sync names it among its own standbys', () => {
    expect(row({ standbys: ['a', 'b'], quorum: 1, peers: [misses('b')] })).toBe('take-over.too-few-miss-it');
    expect(row({ standbys: ['a', 'b'], quorum: 1, mark: MARK, peers: [promised('b')] })).toBe('take-over.too-few-promises');
  });

  it('a member that misses the leader of another term misses not this one', () => {
    expect(row({ peers: [misses('c', { missesTerm: '4' })] })).toBe('take-over.too-few-miss-it');
  });

  it('a voter that is further, and has not promised, has no part in the decision', () => {
    expect(row({ ...three, peers: [promised('c'), hears('d')].map((one) => ({ ...one, lsn: lsn(one.name === 'd' ? 5000 : 1000) })) })).toBe(
      'take-over.take',
    );
  });
});

describe('where one promise would be enough', () => {
  const on: Play = { mode: 'on', standbys: ['a', 'c'], quorum: 0 };

  it('another member that hears the leader keeps the peace, be it a voter or not', () => {
    expect(verdict({ ...on, peers: [hears('c')] })).toMatchObject({ id: 'take-over.others-hear-it', verdict: 'wait' });
    expect(verdict({ ...on, peers: [misses('c'), hears('d')] })?.because).toBe('d still hears b');
    expect(row({ ...on, peers: [misses('c'), misses('d')] })).toBe('take-over.promise');
    expect(row({ ...on, peers: [] })).toBe('take-over.promise');
  });

  it('what was promised is carried on with, whoever hears the leader then', () => {
    expect(row({ ...on, mark: MARK, peers: [hears('c')] })).toBe('take-over.take');
  });
});

describe('the rule asks for', () => {
  it('a promise that names leader, term and /sync as they are, and nothing beside it', () => {
    const { rule, effects } = decide(round({ peers: [misses('c')] }), memory());
    expect(rule).toBe('take-over.promise');
    expect(effects).toEqual([{ kind: 'mark-fence', mark: MARK }]);
  });

  it('the leader key and /sync in one step, on the condition that both are as they were judged', () => {
    const { rule, effects, memory: after } = decide(round({ mark: MARK, peers: [promised('c')] }), memory());
    expect(rule).toBe('take-over.take');
    expect(after.leadReason).toBe('failover: no beat from b for 2.0 s, and its PostgreSQL does not answer');
    expect(effects).toEqual([
      {
        kind: 'take-over',
        term: TERM,
        expected: { leader: 'b', quorum: 1, standbys: ['a', 'c'], modRevision: '8' },
        quorum: 1,
        standbys: ['b', 'c'],
      },
    ]);
  });

  it('files that name no source where it lets go, and none that name one again', () => {
    const { rule, effects } = decide(round({ peers: [misses('c')], sql: { primaryConninfo: 'host=b', receiver } }), memory());
    expect(rule).toBe('take-over.let-go');
    expect(effects.filter(({ kind }) => kind === 'apply-config')).toEqual([
      { kind: 'apply-config', role: { kind: 'standby', source: null }, only: 'role' },
    ]);
  });

  it('nothing in a pause', () => {
    const paused = settings('a', { dynamic: { synchronousMode: 'quorum', pause: true } });
    expect(decide(round({ mark: MARK, peers: [promised('c')], scene: { settings: paused } }), memory()).rule).not.toMatch(/^take-over/);
  });
});
