import { describe, expect, it } from 'vitest';
import { changes, type Views } from './chronicle.ts';
import { parsePasswd } from './identity.ts';
import { missingBehind, parseNode, parsePools, writesGoTo } from './observe.ts';
import { defaultDirectory } from './place.ts';
import { planDemo } from './plan.ts';
import { Progress } from './progress.ts';
import { processTable, suggestions, welcome } from './words.ts';

const stats = { username: 'admin', password: 'admin' };
const plan = planDemo({ directory: '/demo', nodes: 3, basePort: 5000, overrides: {}, stats });

describe('what a newcomer reads', () => {
  it('has the three addresses, a psql line, and commands that fit the cluster at hand', () => {
    const text = welcome({ plan, stats, head: { name: 'patroni2', isStandby: false }, took: '4.6 s' });
    for (const words of [
      'localhost:5000',
      'localhost:5001',
      'http://localhost:7000/stats',
      'PGPASSWORD=postgres psql -h localhost -p 5000 -U postgres',
    ]) {
      expect(text).toContain(words);
    }
    expect(text).toContain('kill patroni2 --dir /demo');
    expect(text).toContain('--candidate patroni1');
  });

  it('says of a standby cluster that it takes no writes, and how it gets them', () => {
    const text = welcome({ plan, stats, head: { name: 'patroni2', isStandby: true }, took: '4.6 s' });
    expect(text).toContain('localhost:5000   nobody: this is a standby cluster\n');
    expect(text).toContain('psql -h localhost -p 5001');
    expect(text).toMatch(/regentctl -c \S+ promote-cluster/);
  });

  it('suggests no switchover where there is one node', () => {
    const lonely = planDemo({ directory: '/demo', nodes: 1, basePort: 5000, overrides: {}, stats });
    expect(suggestions({ plan: lonely, stats, head: { name: 'patroni1', isStandby: false }, took: '' }).join()).not.toContain('switchover');
  });

  it('shows every process with its ports', () => {
    const entry = {
      name: 'patroni1',
      kind: 'agent' as const,
      identity: null,
      startedAt: null,
      wanted: 'killed' as const,
      restarts: 0,
      ended: null,
    };
    expect(processTable(plan, { supervisor: null, processes: [entry] }, 0)).toBe('  patroni1  -  killed  PostgreSQL 5433, REST 8008');
  });
});

describe('the chronicle', () => {
  const leader = { state: 'running', isLeader: true, isStandbyLeader: false, timeline: 1 };
  const replica = { state: 'streaming', isLeader: false, isStandbyLeader: false, timeline: 1 };
  const before: Views = new Map([
    ['a', leader],
    ['b', replica],
  ]);

  it('tells a failover and a return, and nothing when nothing happens', () => {
    expect(changes(before, before, 'a')).toEqual([]);
    const lost: Views = new Map([
      ['a', null],
      ['b', replica],
    ]);
    expect(changes(before, lost, 'a')).toEqual(['a does not answer any more']);
    const failedOver: Views = new Map([
      ['a', null],
      ['b', { ...leader, timeline: 2 }],
    ]);
    expect(changes(lost, failedOver, 'a')).toEqual(['b is the leader, timeline 2']);
    const back: Views = new Map([
      ['a', { ...replica, timeline: 2 }],
      ['b', { ...leader, timeline: 2 }],
    ]);
    expect(changes(failedOver, back, 'b')).toEqual(['a is streaming (back)']);
    const follows: Views = new Map([['b', { ...leader, state: 'streaming', isStandbyLeader: true, timeline: 2 }]]);
    expect(changes(back, follows, 'b')).toEqual(['b is the standby leader, timeline 2']);
    expect(changes(follows, follows, 'b')).toEqual([]);
  });
});

describe('observing', () => {
  it('reads a member’s state', () => {
    expect(parseNode('{"state":"running","role":"primary","timeline":3}', true)).toEqual({
      ...{ state: 'running', isLeader: true, isStandbyLeader: false, timeline: 3 },
    });
    expect(parseNode('{"state":"running","role":"standby_leader"}', false)).toMatchObject({ isLeader: true, isStandbyLeader: true });
    expect(parseNode('{"state":"running","role":"primary","replication_state":"streaming"}', false)).toMatchObject({
      state: 'streaming',
      isLeader: false,
    });
    expect(parseNode('<html>', false)).toMatchObject({ state: 'starting', isLeader: false, timeline: null });
  });

  it('recognizes a time when no standby confirms commits yet, or /sync is still what it was before a restart', () => {
    const [sync, strict, off] = ['{"synchronous_mode": "quorum"}', '{"synchronous_mode": true}', '{"synchronous_mode": false}'];
    const missing = (role: string, config: string, rule?: string) =>
      missingBehind({
        cluster: JSON.stringify({ members: [{ role: 'leader' }, { role }] }),
        config,
        status: JSON.stringify({ regent: { failover_fence: rule ? { fence: 'lease', rule } : { fence: 'quorum' } } }),
      });
    const waiting = 'streaming; waiting for synchronous replication';
    expect([missing('replica', sync), missing('quorum_standby', sync, 'lease.no-voter')]).toEqual([waiting, waiting]);
    expect([missing('quorum_standby', sync), missing('sync_standby', strict, 'lease.by-setting')]).toEqual([null, null]);
    expect([missing('replica', off), missing('replica', '{}')]).toEqual([null, null]);
    expect(missing('replica', '{"synchronous_mode": "quorum", "standby_cluster": {"host": "elsewhere"}}')).toBeNull();
  });

  it('waits for replicas that have not followed their leader to its timeline', () => {
    const members = (timeline: number) => [
      { name: 'a', role: 'leader', timeline: 2 },
      { name: 'b', role: 'replica', timeline },
    ];
    const missing = (timeline: number) =>
      missingBehind({ cluster: JSON.stringify({ members: members(timeline) }), config: '{}', status: '{}' });
    expect([missing(1), missing(2)]).toEqual(['b not yet on timeline 2', null]);
  });

  it('expects writes at the leader alone, and nowhere in a standby cluster', () => {
    const goes = (write: string[], isStandby: boolean) => writesGoTo({ write, read: [] }, { name: 'a', isStandby, node: plan.nodes[0]! });
    expect([goes(['a'], false), goes(['a', 'b'], false), goes([], false)]).toEqual([true, false, false]);
    expect([goes([], true), goes(['a'], true)]).toEqual([true, false]);
  });

  it('reads HAProxy’s pools', () => {
    const csv =
      '# pxname,svname,qcur,status\npostgres_primary,patroni1,0,UP\npostgres_primary,patroni2,0,DOWN\npostgres_primary,BACKEND,0,UP\npostgres_replicas,patroni2,0,UP 1/2\n';
    expect(parsePools(csv)).toEqual({ write: ['patroni1'], read: ['patroni2'] });
    expect(parsePools('')).toEqual({ write: [], read: [] });
  });
});

describe('who and where', () => {
  it('never becomes root', () => {
    expect(parsePasswd('postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n')).toEqual({
      name: 'postgres',
      uid: 101,
      gid: 104,
      home: '/var/lib/postgresql',
    });
    expect(parsePasswd('root:x:0:0:root:/root:/bin/bash')).toBeNull();
    expect(parsePasswd('')).toBeNull();
  });

  it('has a default directory that later commands find again', () => {
    const nobody = () => null;
    expect(defaultDirectory({}, 0, nobody)).toBe('/var/lib/regent-demo');
    expect(defaultDirectory({ XDG_STATE_HOME: '/state' }, 1000, nobody)).toBe('/state/regent-demo');
    expect(defaultDirectory({ XDG_STATE_HOME: 'relative' }, 1000, () => 101)).toMatch(/\.local\/state\/regent-demo$/);
    expect(defaultDirectory({ XDG_STATE_HOME: '/state' }, 1000, () => 1000)).toBe('/var/lib/regent-demo');
  });
});

describe('progress', () => {
  function record(isTerminal: boolean) {
    let clock = 0;
    const written: string[] = [];
    const progress = new Progress({ write: (text) => void written.push(text), isTerminal, columns: () => 40 }, () => clock);
    return { progress, written, pass: (ms: number) => (clock += ms) };
  }

  it('writes plain lines when something changes, and now and then', () => {
    const { progress, written, pass } = record(false);
    progress.begin('etcd');
    progress.waitingFor('waiting for etcd3');
    pass(200);
    progress.waitingFor('waiting for etcd3');
    expect(written).toEqual(['  etcd 0.0 s waiting for etcd3\n']);
    pass(6000);
    progress.waitingFor('waiting for etcd3');
    expect(written[1]).toBe('  etcd 6.2 s waiting for etcd3\n');
    progress.done('etcd: 3 members agree');
    expect(written[2]).toBe('✓ etcd: 3 members agree (6.2 s)\n');
  });

  it('rewrites one line of a terminal, never wider than it', () => {
    const { progress, written } = record(true);
    progress.begin('leader');
    progress.waitingFor('patroni1 initializing new cluster · patroni2 starting');
    progress.end();
    expect(written.every((text) => text.startsWith('\r\u001b[K') && !text.includes('\n'))).toBe(true);
    expect(Math.max(...written.map((text) => text.length))).toBeLessThan(40 + '\r\u001b[K'.length);
  });
});
