/** What health says of a second primary, of no leader at all, and of WAL that is gone. */
import { beforeEach, expect, test } from 'vitest';
import { amend, ctl, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../../test/fixtures/ctl.ts';

const END = 67109864;
const env = {};
const members = tutorialMembers();
let etcd: MemoryEtcd;

beforeEach(() => {
  etcd = tutorialCluster('demo', members.urlOf);
  members.answer(({ member }) =>
    JSON.stringify(
      member === 'patroni1'
        ? { state: 'running', role: 'primary', timeline: 1, xlog: { location: END } }
        : { state: 'running', role: 'replica', timeline: 1, replication_state: 'streaming' },
    ),
  );
});

test('two primaries are critical, in a pause too, and reported once', async () => {
  etcd.put('demo', 'config', { pause: true });
  members.answer(({ member }) =>
    member === 'patroni3'
      ? JSON.stringify({ state: 'running', role: 'replica', timeline: 1, replication_state: 'streaming' })
      : JSON.stringify({ state: 'running', role: 'primary', timeline: member === 'patroni1' ? 1 : 2, xlog: { location: END } }),
  );
  const { code, out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(code).toBe(2);
  expect(out).toMatch(/\| patroni2 \| 172\.20\.0\.5:5432 \| Primary \| running {3}\|/);
  expect(out).toContain('critical: patroni2 runs as a primary beside the leader patroni1: ');
  expect(out.match(/patroni2 /g)).toHaveLength(2);
});

test('two primaries are critical while no member leads', async () => {
  etcd.remove('demo', 'leader');
  members.answer(() => JSON.stringify({ state: 'running', role: 'primary', timeline: 1, xlog: { location: END } }));
  const { out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(out).toContain('critical: patroni1, patroni2, patroni3 all run as primaries, and none of them leads\n');
});

test('no leader, and nobody who could be elected: critical, with what helps', async () => {
  etcd
    .put('demo', 'config', { synchronous_mode: 'quorum' })
    .put('demo', 'sync', { leader: 'patroni1', quorum: 1, sync_standby: 'patroni2,patroni3' })
    .remove('demo', 'leader');
  for (const gone of ['patroni1', 'patroni3']) amend(etcd, 'demo', gone, { api_url: 'http://127.0.0.1:1/patroni' });
  const { out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(out).toContain(
    'critical: the cluster has no leader; nobody can be elected: only patroni1, or patroni2 and patroni3, surely have every acknowledged commit, ' +
      'and of these only patroni2 is there; start one of patroni1, patroni3: then a leader is elected, and nothing is lost; ' +
      '"regentctl failover --candidate NAME" makes one lead, and says before what it may cost\n',
  );
});

test('a standby that would create permanent logical slots again is a warning', async () => {
  members.answer(({ member }) =>
    JSON.stringify(
      member === 'patroni1'
        ? { state: 'running', role: 'primary', timeline: 1, xlog: { location: END } }
        : {
            state: 'running',
            role: 'replica',
            timeline: 1,
            replication_state: 'streaming',
            regent: { missing_logical_slots: member === 'patroni2' ? ['app', 'etl'] : [] },
          },
    ),
  );
  const { code, out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(code).toBe(1);
  expect(out.split('\n').filter((line) => line.includes('warning: '))).toEqual([
    '  warning: patroni2 has no copy of the permanent logical slots app, etl: if it is promoted, they are created again, and their consumers miss what was written meanwhile',
  ]);
  expect(JSON.parse((await ctl(['health', '--no-haproxy', '-f', 'json'], { etcd, env })).out).members[1].missing_logical_slots).toEqual([
    'app',
    'etl',
  ]);
});

test('a key from before a change of leader makes no second primary of a member that says otherwise', async () => {
  amend(etcd, 'demo', 'patroni2', { role: 'primary' });
  expect((await ctl(['health', '--no-haproxy'], { etcd, env })).code).toBe(0);
});

test('a lead that goes to another member while they are asked is no second primary', async () => {
  members.answer(({ member }) => {
    if (member === 'patroni2') etcd.put('demo', 'leader', 'patroni2');
    return JSON.stringify(
      member === 'patroni2'
        ? { state: 'running', role: 'primary', timeline: 2, xlog: { location: END } }
        : { state: 'running', role: 'replica', timeline: 2, replication_state: 'streaming' },
    );
  });
  const { code, out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(out).not.toContain('beside the leader');
  expect(out).toMatch(/\| patroni2 \| 172\.20\.0\.5:5432 \| Leader/);
  expect(code).toBe(0);
});

test('without a leader it says what to do in a pause, and nothing of replication', async () => {
  etcd.remove('demo', 'leader');
  etcd.put('demo', 'config', { pause: true });
  members.answer(() => JSON.stringify({ state: 'running', role: 'replica', timeline: 1 }));
  const { code, out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(code).toBe(2);
  expect(out.match(/critical:.*/g)).toEqual([
    'critical: the cluster has no leader, and in maintenance mode nobody takes over; "regentctl failover --candidate NAME" or "regentctl resume"',
  ]);
});

test('while nobody leads, a member that is absent is to be started, not to be given up', async () => {
  etcd.remove('demo', 'members/patroni3');
  etcd.put('demo', 'status', { optime: END, retain_slots: ['patroni1', 'patroni2', 'patroni3'] });
  expect((await ctl(['health', '--no-haproxy'], { etcd, env })).out).toContain('if it will not come back: regentctl forget patroni3');
  etcd.remove('demo', 'leader');
  const { out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(out).not.toContain('forget');
  expect(out).toContain('for its return; start it, because it may have acknowledged commits that no other member has\n');
});

test('WAL that is gone is reported once, with the command that helps', async () => {
  const because = 'the WAL it needs is gone; reinit: regentctl reinit demo patroni3';
  members.answer(({ member }) =>
    member === 'patroni3'
      ? JSON.stringify({
          state: 'running',
          role: 'replica',
          timeline: 1,
          source_trouble: `not streaming from patroni1: ${because}`,
          regent: { because },
        })
      : member === 'patroni1'
        ? JSON.stringify({ state: 'running', role: 'primary', timeline: 1, xlog: { location: END } })
        : JSON.stringify({ state: 'running', role: 'replica', timeline: 1, replication_state: 'streaming' }),
  );
  const { code, out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(code).toBe(1);
  expect(out.match(/(warning|critical):.*/g)).toEqual([`warning: patroni3 is not streaming from patroni1: ${because}`]);
});

test('a member that cannot reach etcd is a warning, with what keeps a leader going', async () => {
  const dcsOf: Record<string, string> = { patroni1: 'unreachable; failsafe mode is active', patroni2: 'unreachable' };
  members.answer(({ member }) =>
    JSON.stringify(
      member === 'patroni1'
        ? { state: 'running', role: 'primary', timeline: 1, xlog: { location: END }, regent: { dcs: dcsOf[member] } }
        : { state: 'running', role: 'replica', timeline: 1, replication_state: 'streaming', regent: { dcs: dcsOf[member] } },
    ),
  );
  const { code, out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(code).toBe(1);
  expect(out.match(/(warning|critical):.*/g)).toEqual([
    'warning: patroni1 cannot reach etcd; failsafe mode is active',
    'warning: patroni2 cannot reach etcd',
  ]);
});
