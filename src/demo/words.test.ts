import { describe, expect, it } from 'vitest';
import { changes, type Views } from './chronicle.ts';
import { parsePasswd } from './identity.ts';
import { lacksStandbys, parseNode, parsePools } from './observe.ts';
import { defaultDirectory } from './place.ts';
import { planDemo } from './plan.ts';
import { Progress } from './progress.ts';
import { processTable, suggestions, welcome } from './words.ts';

const stats = { username: 'admin', password: 'admin' };
const plan = planDemo({ directory: '/demo', nodes: 3, basePort: 5000, overrides: {}, stats });

describe('what a newcomer reads', () => {
  it('has the three addresses, a psql line, and commands that fit the cluster at hand', () => {
    const text = welcome({ plan, stats, leader: 'patroni2', took: '4.6 s' });
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

  it('suggests no switchover where there is one node', () => {
    const lonely = planDemo({ directory: '/demo', nodes: 1, basePort: 5000, overrides: {}, stats });
    expect(suggestions({ plan: lonely, stats, leader: 'patroni1', took: '' }).join()).not.toContain('switchover');
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
  const leader = { state: 'running', isLeader: true, timeline: 1 };
  const replica = { state: 'streaming', isLeader: false, timeline: 1 };
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
  });
});

describe('observing', () => {
  it('reads a member’s state', () => {
    expect(parseNode('{"state":"running","role":"primary","timeline":3}', true)).toEqual({ state: 'running', isLeader: true, timeline: 3 });
    expect(parseNode('{"state":"running","role":"primary","replication_state":"streaming"}', false)).toMatchObject({
      state: 'streaming',
      isLeader: false,
    });
    expect(parseNode('<html>', false)).toEqual({ state: 'starting', isLeader: false, timeline: null });
  });

  it('recognizes a time when no standby confirms commits yet', () => {
    const cluster = (role: string) => JSON.stringify({ members: [{ role: 'leader' }, { role }] });
    expect(lacksStandbys(cluster('replica'), '{"synchronous_mode": "quorum"}')).toBe(true);
    expect(lacksStandbys(cluster('quorum_standby'), '{"synchronous_mode": "quorum"}')).toBe(false);
    expect(lacksStandbys(cluster('sync_standby'), '{"synchronous_mode": true}')).toBe(false);
    expect(lacksStandbys(cluster('replica'), '{"synchronous_mode": false}')).toBe(false);
    expect(lacksStandbys(cluster('replica'), '{}')).toBe(false);
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
