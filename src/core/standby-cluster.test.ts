/** Cases of a cluster that follows a server outside of it. */
import { describe, expect, it } from 'vitest';
import { lsn, member, memory, observation, peer, peers, pg, type Scene, settings, view, walsender } from '../../test/support/build.ts';
import { FOREIGN_ID, onRemoteSlot, standbyClusters } from '../../test/support/random-standby-clusters.ts';
import type { ClusterView, HistoryEntry } from './cluster.ts';
import { comparedWith, contextOf } from './context.ts';
import { decide } from './decide.ts';
import type { Memory } from './model.ts';
import type { PostgresFacts, SourceHistory } from './postgres-facts.ts';
import type { DynamicSettings } from './settings.ts';

const [one, twoWithSlot, archive, itself] = standbyClusters;
const followed = (over: Partial<DynamicSettings> = {}) => settings('a', { dynamic: { standbyCluster: one!, ...over } });
const remote: SourceHistory = {
  name: '10.9.9.9:5432',
  systemIdentifier: '7301234567890123456',
  timeline: 1,
  lsn: lsn(2000),
  history: [],
  inRecovery: false,
  hasOurEnd: true,
};
const fromOutside = { pid: 3, status: 'streaming', latestEndLsn: lsn(1000), senderHost: '10.9.9.9', senderPort: 5432 };
const led = view({ leaderName: 'a' });
const play = (scene: Scene, m: Partial<Memory> = {}) => decide(observation({ settings: followed(), view: led, ...scene }), memory(m));
const role = (decision: ReturnType<typeof decide>) =>
  decision.effects.flatMap((effect) =>
    effect.kind === 'apply-config' ? [effect.role] : effect.kind === 'start-job' && effect.job.kind === 'start' ? [effect.job.role] : [],
  )[0];

describe('a primary that reads the setting', () => {
  it('stops in good order, and keeps its key', () => {
    const { rule, effects } = play({ pg: pg.primary() });
    expect(rule).toBe('standby-cluster.demote');
    expect(effects).toEqual([{ kind: 'start-job', job: { kind: 'demote-cluster' } }]);
  });

  it.each([
    ['when etcd is silent and its lease is good', { view: null, key: { leaseId: 'lease-a', stepDownAtMs: 33_000 } }, 'start-job'],
    ['at once when another leads', { view: view({ leaderName: 'b' }) }, 'demote-now'],
    ['at once when nobody leads', { view: view() }, 'demote-now'],
    [
      'at once when a start as a primary is under way',
      { pg: pg.starting(), job: { job: { kind: 'promote', syncNames: null }, startedAtMs: 1 } },
      'cancel-job',
    ],
  ] as [string, Scene, string][])('%s', (_, scene, kind) => {
    expect(play({ pg: pg.primary(), ...scene }).effects[0]?.kind).toBe(kind);
  });

  it('is left alone in a pause', () => {
    expect(play({ pg: pg.primary(), settings: followed({ pause: true }) }).rule).toBe('paused.primary');
  });

  it('is stopped at once after a stop in good order has failed', () => {
    const failures = { 'demote-cluster': { count: 1, lastAtMs: 9_900, message: 'no' } };
    expect(play({ pg: pg.primary() }, { failures }).rule).toBe('standby-cluster.demote-now');
  });
});

describe('the former primary that is down', () => {
  it('comes back as the standby leader where its WAL is a prefix of the server outside', () => {
    const decision = play({ pg: pg.stopped(), source: remote });
    expect([decision.rule, role(decision)]).toMatchObject(['stopped.standby-leader', { leads: true, source: { host: '10.9.9.9' } }]);
  });

  it('is rewound from that server where it is not', () => {
    const { rule, effects } = play({
      pg: pg.stopped(),
      source: { ...remote, timeline: 2, history: [{ timeline: 1, switchLsn: lsn(950), reason: '' }] },
    });
    expect(rule).toBe('mend.rewind');
    expect(effects).toMatchObject([{ job: { kind: 'rewind', source: { host: '10.9.9.9' } } }]);
  });

  it('follows nobody until that can be told', () => {
    const decision = play({ pg: pg.stopped() }, { endedAt: { timeline: 1, checkpointLsn: lsn(1000), open: false } });
    expect([decision.rule, role(decision)]).toEqual(['stopped.remote-unknown', { kind: 'standby', source: null }]);
  });

  it('says so where that server is a standby itself, and follows it where that has its WAL', () => {
    const ended = { endedAt: { timeline: 1, checkpointLsn: lsn(1000), open: false } };
    const waits = play({ pg: pg.stopped(), source: { ...remote, inRecovery: true, hasOurEnd: false } }, ended);
    expect([waits.rule, waits.because]).toEqual(['stopped.remote-unknown', expect.stringContaining('10.9.9.9:5432 is a standby itself')]);
    const alone = play({ pg: pg.standby(), source: { ...remote, inRecovery: true, hasOurEnd: false } }, ended);
    expect([alone.rule, alone.because]).toEqual(['standby-leader.waits', expect.stringContaining('10.9.9.9:5432 is a standby itself')]);
    expect(play({ pg: pg.stopped(), source: { ...remote, inRecovery: true } }, ended).rule).toBe('stopped.standby-leader');
  });

  it('reads an archive at once where there is nothing else', () => {
    const decision = play({ pg: pg.stopped(), settings: followed({ standbyCluster: archive! }) });
    expect([decision.rule, role(decision)]).toEqual(['stopped.standby-leader', { kind: 'standby', source: null, leads: true }]);
  });

  it('as a replica is rewound from there too, and follows the leader after it', () => {
    const diverged = { ...remote, timeline: 2, history: [{ timeline: 1, switchLsn: lsn(950), reason: '' }] };
    const members = [member('a'), member('b', { role: 'standby_leader' }), member('c')];
    const { effects } = play({ view: { ...view({ leaderName: 'b' }), members }, pg: pg.stopped(), source: diverged });
    expect(effects).toMatchObject([{ job: { kind: 'rewind', source: { host: '10.9.9.9' }, follow: { name: 'b' } } }]);
  });
});

describe('the server outside', () => {
  const sync = { leader: 'b', quorum: 0, standbys: ['a', 'c'], modRevision: '8' };
  const asks = (around: Partial<ClusterView>, own: Partial<PostgresFacts> = {}) => {
    const o = observation({ settings: followed(), view: { ...view({ leaderName: 'b' }), ...around }, pg: { ...pg.stopped(), ...own } });
    return comparedWith(contextOf(o, memory()))?.host ?? null;
  };

  it('is not asked, so that nothing is rewound away on which /sync still counts', () => {
    expect(asks({ sync })).toBeNull();
    expect(asks({ sync: { ...sync, leader: 'a', standbys: ['c'] } })).toBeNull();
  });

  it('is asked once /sync does not count on this node, by its leader, and when a rewind was interrupted', () => {
    const outside = '10.9.9.9';
    expect([asks({ sync: null }), asks({ sync: { ...sync, standbys: ['c'] } })]).toEqual([outside, outside]);
    expect([asks({ ...led, sync }), asks({ sync }, { dataDir: 'incomplete' })]).toEqual([outside, outside]);
  });
});

describe('the standby leader', () => {
  it('says who it is, and follows the server outside', () => {
    const decision = play({ pg: pg.standby() });
    expect(decision.because).toBe('no action. I am (a), the standby leader with the lock');
    expect(decision.memory.role).toBe('standby_leader');
    expect(role(decision)).toMatchObject({ source: { host: '10.9.9.9', port: 5432 } });
  });

  it('keeps the keys, and takes /sync away once its WAL comes from outside', () => {
    const sync = { leader: 'a', quorum: 0, standbys: ['b'], modRevision: '8' };
    const kinds = (receiver: object | null) =>
      play({ view: { ...led, sync }, pg: pg.standby({ receiver: receiver as never }) }).effects.map(({ kind }) => kind);
    expect(kinds(null)).not.toContain('delete-sync');
    expect(kinds(fromOutside)).toContain('delete-sync');
    // It has just taken the key of that member, and does not follow the server outside yet.
    expect(kinds({ ...fromOutside, senderHost: 'b' })).not.toContain('delete-sync');
    expect(kinds(null)).toContain('write-status');
  });

  it('takes from /history, once its WAL comes from outside, what the server outside disproves', () => {
    const lines = [1, 2].map((timeline) => ({ timeline, switchLsn: lsn(400 * timeline), reason: 'x', timestamp: 't', newLeader: 'b' }));
    const receiver = fromOutside as never;
    const written = (timeline: number, localHistory: HistoryEntry[], streams = true) => {
      const standby = pg.standby({ timeline, ...(streams && { receiver }) });
      const { effects } = play({ view: { ...led, history: lines }, pg: { ...standby, localHistory } });
      return effects.flatMap((effect) => (effect.kind === 'write-history' ? [effect.value] : []))[0];
    };
    const first = { timeline: 1, switchLsn: lsn(400), reason: 'of the file' };
    expect(written(1, [])).toEqual([]);
    expect(written(2, [first])).toEqual([[1, lsn(400), 'x', 't', 'b']]);
    expect(written(2, [{ ...first, switchLsn: lsn(500) }])).toEqual([]);
    expect(written(3, [first, { timeline: 2, switchLsn: lsn(800), reason: '' }])).toBeUndefined();
    expect([written(1, [], false), written(2, [])]).toEqual([undefined, undefined]);
  });

  it('is not told to reinit, which would be refused, where the WAL it needs is gone outside', () => {
    const { rule, because } = play({ pg: { ...pg.standby(), walGone: true }, source: remote });
    expect([rule, because]).toEqual([
      'standby-leader.wal-gone',
      expect.stringContaining("edit-config demo -s 'standby_cluster.restore_command="),
    ]);
    expect(because).not.toContain('reinit');
  });

  it('stays what it was while etcd is silent', () => {
    expect(play({ pg: pg.standby(), view: null }, { role: 'standby_leader' }).memory.role).toBe('standby_leader');
  });

  it('leaves the slot at the server outside to its successor once its lease is over, and streams on', () => {
    const scene = { pg: onRemoteSlot, settings: followed({ standbyCluster: twoWithSlot! }), view: null };
    const cut = play(scene);
    expect([cut.rule, role(cut)]).toMatchObject([
      'fence.free-remote-slot',
      { leads: true, source: { host: '10.9.9.1', remote: { slot: null } } },
    ]);
    expect(play({ ...scene, pg: { ...onRemoteSlot, sql: { ...onRemoteSlot.sql!, primarySlotName: '' } } }).rule).toBe(
      'fence.wait-for-etcd',
    );
    expect(play({ ...scene, key: { leaseId: 'lease-a', stepDownAtMs: 33_000 } }).rule).toBe('fence.wait-for-etcd');
  });

  it('takes that slot again when it leads', () => {
    const slotOf = (primarySlotName: string) => {
      const standby = { ...onRemoteSlot, sql: { ...onRemoteSlot.sql!, primarySlotName } };
      return role(play({ pg: standby, settings: followed({ standbyCluster: twoWithSlot! }) }));
    };
    expect(slotOf('')).toMatchObject({ source: { remote: { slot: 'dc2' } } });
    expect(slotOf('dc2')).toBeUndefined();
  });

  it('gives its key to whom an operator names, and does not stop for that', () => {
    const failover = { leader: 'a', candidate: 'b', scheduledAt: null, scheduledAtMs: null, modRevision: '9' };
    const { rule, effects } = play({ view: { ...led, failover }, pg: pg.standby(), peers: peers(peer('b')) });
    expect([rule, effects.map(({ kind }) => kind)]).toEqual(['switchover.hand-over', ['release-leader']]);
  });

  it('is promoted where it stands when the setting is gone', () => {
    const { rule, effects } = play({ pg: pg.standby(), settings: settings('a') });
    expect([rule, effects.at(-1)]).toMatchObject(['standby.promote', { job: { kind: 'promote' } }]);
  });
});

describe('a server outside that is another cluster’s', () => {
  const foreign: SourceHistory = { ...remote, systemIdentifier: FOREIGN_ID, timeline: 7 };
  const ended = { endedAt: { timeline: 1, checkpointLsn: lsn(1000), open: false } };
  const said = /10\.9\.9\.9:5432 is another cluster .*7409999999999999999.*: regentctl edit-config demo -s standby_cluster=null/;

  it.each([
    ['was a primary', pg.stopped(), ended, 'stopped.remote-unknown'],
    ['was a standby', pg.stopped({ state: 'shut down in recovery' }, { standbySignal: true }), {}, 'stopped.standby-leader'],
  ])('is not followed by the standby leader, which starts read-only (it %s)', (_, server, before, rule) => {
    const decision = play({ pg: server, source: foreign }, before);
    expect([decision.rule, role(decision)]).toMatchObject([rule, { kind: 'standby', source: null }]);
  });

  it.each([{}, ended])('is named by the one that runs, with what to do', (before) => {
    const decision = play({ pg: pg.standby(), source: foreign }, before);
    expect([decision.rule, decision.because]).toEqual(['standby-leader.wrong-remote', expect.stringMatching(said)]);
    expect(decision.because).not.toMatch(/empty|initialize/);
  });

  it('takes nothing from a replica: not its place in the race, and not its data', () => {
    const members = [member('a'), member('b', { role: 'standby_leader' }), member('c')];
    const around = { view: { ...view({ leaderName: 'b' }), members }, source: { ...foreign, timeline: 1 } };
    const alone = play({ ...around, pg: pg.standby() });
    expect([alone.rule, alone.memory.strayed]).toEqual(['standby.follow', false]);
    const down = play({ ...around, pg: pg.stopped() }, ended);
    expect([down.rule, down.because, down.memory.strayed]).toEqual(['stopped.remote-unknown', expect.stringMatching(said), false]);
    const half = play({ ...around, pg: { ...pg.stopped(), dataDir: 'incomplete', incompleteWork: 'rewind' } });
    expect([half.rule, half.because, half.effects]).toEqual(['mend.other-cluster', expect.stringMatching(said), []]);
  });
});

it('a member of the same cluster is no server outside: nobody follows it, and that is said', () => {
  const settings = followed({ standbyCluster: itself! });
  const alone = play({ settings, pg: pg.standby({ primaryConninfo: 'host=b port=5432' }) });
  expect([alone.rule, alone.because, role(alone)]).toMatchObject([
    'standby-leader.wrong-remote',
    expect.stringContaining('b:5432 is no other cluster: b is a member of this one'),
    { source: null },
  ]);
});

it('an empty member of an empty cluster copies from the server outside', () => {
  const { effects, because } = play({ view: { ...view(), initialize: null }, pg: pg.none });
  expect(because).toBe('trying to bootstrap a new standby leader');
  expect(effects).toMatchObject([{ kind: 'race-initialize' }, { job: { kind: 'bootstrap-standby', source: { host: '10.9.9.9' } } }]);
});

it('a member with the data of a standby makes them the cluster’s', () => {
  expect(play({ view: { ...view(), initialize: null }, pg: pg.standby() }).rule).toBe('data.adopt-standby');
});

it('what /history says is of another time, once nothing has to be confirmed by the members any more', () => {
  const history = [{ timeline: 1, switchLsn: lsn(950), reason: 'x' }];
  expect(play({ view: { ...view(), history }, pg: pg.standby(), peers: peers(peer('b')) }).rule).toBe('race.healthiest');
  const sync = { leader: 'b', quorum: 0, standbys: ['a'], modRevision: '7' };
  const kept = play({ view: { ...view(), history, sync }, pg: pg.standby(), peers: peers(peer('b')) });
  expect(kept.rule).toBe('race.diverged');
});

it('nobody is asked to confirm anything', () => {
  const sync = { leader: 'a', quorum: 0, standbys: ['b'], modRevision: '8' };
  const { effects } = play({
    view: { ...led, sync },
    pg: pg.primary({ replication: [walsender('b')] }),
    settings: followed({ pause: true }),
  });
  expect(effects.map(({ kind }) => kind)).not.toContain('set-sync-names');
});
