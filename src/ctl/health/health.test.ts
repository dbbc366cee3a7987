import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { amend, ctl, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../../test/fixtures/ctl.ts';
import { DcsError } from '../../support/errors.ts';
import { haproxyAccess, parseStats } from './haproxy.ts';

const STATS = [
  '# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,',
  'stats,FRONTEND,,,1,1,1,1,0,0,0,0,0,,,,,OPEN,,',
  'postgres_primary,patroni1,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,',
  'postgres_primary,patroni2,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN 1/2,1,',
  'postgres_primary,BACKEND,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,',
  'postgres_replicas,patroni1,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP 1/3,1,',
  'postgres_replicas,patroni2,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,',
  'postgres_replicas,BACKEND,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,2,',
  '',
].join('\n');

const STREAMS = '{"state":"running","replication_state":"streaming"}';
const END = 67109864;
const NOW_MS = Date.UTC(2026, 10, 22, 12, 0, 0);
const members = tutorialMembers();
let etcd: MemoryEtcd;
let stats = STATS;
const proxy = createServer((request, response) => {
  const known = request.headers.authorization === `Basic ${Buffer.from('admin:admin').toString('base64')}`;
  response.writeHead(known ? 200 : 401).end(known ? stats : 'no');
});
let env: Record<string, string>;

beforeAll(async () => {
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  env = { REGENT_HAPROXY_URL: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/stats;csv` };
});
afterAll(async () => {
  await new Promise((resolve) => proxy.close(resolve));
});
beforeEach(() => {
  stats = STATS;
  etcd = tutorialCluster('demo', members.urlOf);
  statuses({});
});

interface Behind {
  readonly bytes: number;
  readonly replayedAtMs: number;
}

function statuses(behind: Record<string, Behind>): void {
  members.answer(({ member }) => {
    if (member === 'patroni1') return JSON.stringify({ state: 'running', role: 'primary', timeline: 1, xlog: { location: END } });
    const { bytes, replayedAtMs } = behind[member] ?? { bytes: 0, replayedAtMs: NOW_MS - 3_600_000 };
    const at = new Date(replayedAtMs).toISOString().replace('T', ' ').replace('Z', '000+00:00');
    const xlog = { received_location: END, replayed_location: END - bytes, replayed_timestamp: at, paused: false };
    return JSON.stringify({ state: 'running', role: 'replica', timeline: 1, replication_state: 'streaming', xlog });
  });
}

test('all is well: exit code 0', async () => {
  const { code, out, err } = await ctl(['health'], { etcd, env });
  expect([code, err]).toEqual([0, '']);
  expect(`\n${out}`).toMatchInlineSnapshot(`
    "
    + Cluster: demo (7234567890123456789) -+-----------+----+--------------+----------------+
    | Member   | Host            | Role    | State     | TL | Lag in bytes | Lag in seconds |
    +----------+-----------------+---------+-----------+----+--------------+----------------+
    | patroni1 | 172.20.0.4:5432 | Leader  | running   |  1 |              |                |
    | patroni2 | 172.20.0.5:5432 | Replica | streaming |  1 |            0 |              0 |
    | patroni3 | 172.20.0.6:5432 | Replica | streaming |  1 |            0 |              0 |
    +----------+-----------------+---------+-----------+----+--------------+----------------+
     Failover fence: lease, because synchronous_mode is off, so the old primary could go on acknowledging commits
     If the leader’s node dies: no writes for 20 to 30 s + promotion; acknowledged commits lost: up to 1 MB of WAL, and the last 10 s of writes
    + etcd -------------+---------+--------+---------+
    | Endpoint          | Health  | Role   | Version |
    +-------------------+---------+--------+---------+
    | http://etcd1:2379 | healthy | Leader | 3.4.23  |
    +-------------------+---------+--------+---------+
    + HAProxy ----------+--------+--------------------+----------+
    | Proxy             | Status | Up                 | Down     |
    +-------------------+--------+--------------------+----------+
    | postgres_primary  | UP     | patroni1           | patroni2 |
    | postgres_replicas | UP     | patroni1, patroni2 |          |
    +-------------------+--------+--------------------+----------+
     Health: OK
    "
  `);
});

test('lag in bytes and seconds; an idle cluster does not lag, however old its last commit', async () => {
  statuses({ patroni3: { bytes: 5_000_000, replayedAtMs: NOW_MS - 45_000 } });
  const { code, out } = await ctl(['health', '--format', 'json'], { etcd, env });
  const report = JSON.parse(out);
  expect(code).toBe(1);
  expect(report.status).toBe('warning');
  expect(report.members.map((member: { lag_bytes: number; lag_seconds: number }) => [member.lag_bytes, member.lag_seconds])).toEqual([
    [null, null],
    [0, 0],
    [5_000_000, 45.1],
  ]);
  expect(report.members[2].replay_backlog_bytes).toBe(5_000_000);
  expect(report.problems).toEqual([
    { level: 'warning', message: 'patroni3 is 5000000 bytes behind (limit 1048576)' },
    { level: 'warning', message: 'patroni3 is 45.1 seconds behind (limit 30)' },
  ]);
  const lenient = await ctl(['health', '--max-lag-bytes', '9000000', '--max-lag-seconds', '60'], { etcd, env });
  expect(lenient.code).toBe(0);
  statuses({ patroni3: { bytes: 5_000_000, replayedAtMs: NOW_MS - 900 } });
  const strict = await ctl(['health', '--max-lag-bytes', '9000000', '--max-lag-seconds', '0.5', '--format', 'json'], { etcd, env });
  expect(JSON.parse(strict.out).problems).toEqual([{ level: 'warning', message: 'patroni3 is 1 second behind (limit 0.5)' }]);
});

test.each<[string, 1 | 2, RegExp, () => void]>([
  [
    'a member nobody listens at',
    1,
    /warning: patroni2 is unavailable: 127\.0\.0\.1:1 refuses the connection/,
    () => amend(etcd, 'demo', 'patroni2', { api_url: 'http://127.0.0.1:1/' }),
  ],
  [
    'a member that answers nonsense',
    1,
    /warning: member patroni1 sent an answer that is not understood/,
    () => members.answer(({ member }) => (member === 'patroni1' ? '[]' : STREAMS)),
  ],
  [
    'maintenance mode',
    1,
    /\n Maintenance mode: on\n(.*\n)*.*warning: maintenance mode is on/,
    () => etcd.put('demo', 'config', { pause: true }),
  ],
  [
    'a member too old for quorum mode',
    1,
    /warning: patroni3 runs Patroni 3\.0\.2, which reads synchronous_mode: quorum as off/,
    () => {
      etcd.put('demo', 'config', { synchronous_mode: 'quorum' });
      amend(etcd, 'demo', 'patroni3', { version: '3.0.2' });
    },
  ],
  ['no leader', 2, /critical: the cluster has no leader/, () => etcd.remove('demo', 'leader')],
  ['a leader nobody knows', 2, /critical: the leader gone is not among the members/, () => etcd.put('demo', 'leader', 'gone')],
  [
    'no synchronous standby',
    1,
    /warning: synchronous mode is on, and no standby is synchronous/,
    () => etcd.put('demo', 'config', { synchronous_mode: 'quorum' }),
  ],
  ['a pending restart', 1, /warning: patroni2 waits for a restart/, () => amend(etcd, 'demo', 'patroni2', { pending_restart: true })],
  [
    'a pool without servers',
    2,
    /critical: HAProxy cannot send clients anywhere through postgres_primary/,
    () => {
      stats = STATS.replace('patroni1,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,', 'patroni1,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN,').replace(
        'postgres_primary,BACKEND,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP',
        'postgres_primary,BACKEND,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN',
      );
    },
  ],
  [
    'one etcd member of three down',
    1,
    /warning: etcd http:\/\/c:2379 is not healthy: refused/,
    () => {
      etcd.members = etcdMembers(2);
    },
  ],
  [
    'two etcd members of three down',
    2,
    /critical: only 1 of 3 etcd members are healthy: no majority/,
    () => {
      etcd.members = etcdMembers(1);
    },
  ],
  [
    'an etcd without room',
    2,
    /critical: etcd takes no writes \(alarm NOSPACE\): no failover, switchover or change of settings is possible; "etcdctl alarm list"/,
    () => {
      etcd.members = etcdMembers(3).map((member) => ({ ...member, alarm: 'NOSPACE' }));
    },
  ],
  [
    'no etcd at all',
    2,
    /critical: etcd did not answer\. Start it\./,
    () => {
      etcd.failure = new DcsError('DCS_UNREACHABLE', 'etcd did not answer', { mend: 'Start it.' });
    },
  ],
])('%s', async (_, code, text, prepare) => {
  prepare();
  const result = await ctl(['health'], { etcd, env });
  expect(result.out).toMatch(text);
  expect(result.code).toBe(code);
});

function etcdMembers(healthy: number) {
  return ['a', 'b', 'c'].map((name, index) => ({
    endpoint: `http://${name}:2379`,
    healthy: index < healthy,
    version: '3.5.0',
    isLeader: index === 0,
    error: index < healthy ? null : 'refused',
  }));
}

test('another timeline, and a replica that does not replicate', async () => {
  members.answer(({ member }) =>
    JSON.stringify(
      member === 'patroni1'
        ? { state: 'running', timeline: 2, xlog: { location: END } }
        : member === 'patroni2'
          ? { state: 'starting', timeline: 1 }
          : { state: 'running', timeline: 1, replication_state: 'streaming' },
    ),
  );
  const { code, out } = await ctl(['health'], { etcd, env });
  expect(code).toBe(1);
  expect(out).toContain('warning: patroni2 is not replicating: starting\n');
  expect(out).toContain('warning: patroni3 is on timeline 1, the leader on 2\n');
});

test('a replica that runs and does not stream, with the reason where its agent knows it', async () => {
  const replica = (over: object) => JSON.stringify({ state: 'running', timeline: 1, ...over });
  const answer = (third: object) =>
    members.answer(({ member }) =>
      member === 'patroni1'
        ? JSON.stringify({ state: 'running', timeline: 1, xlog: { location: END } })
        : replica(member === 'patroni2' ? { replication_state: 'streaming' } : third),
    );
  const problems = async () => (await ctl(['health', '--no-haproxy'], { etcd, env })).out.replace(/^[\s\S]* Health: /, '');
  answer({ regent: { source_trouble: 'not streaming from patroni1: patroni1:5433 refuses the connection' } });
  expect(await problems()).toBe('WARNING\n  warning: patroni3 is not streaming from patroni1: patroni1:5433 refuses the connection\n');
  answer({});
  expect(await problems()).toBe('WARNING\n  warning: patroni3 is not streaming\n');
  answer({ replication_state: 'in archive recovery' });
  expect(await problems()).toBe('WARNING\n  warning: patroni3 is not streaming: in archive recovery\n');
  answer({ state: 'stopped', regent: { source_trouble: 'waiting for patroni1 to answer: patroni1:5433 does not answer' } });
  expect(await problems()).toBe('WARNING\n  warning: patroni3 is waiting for patroni1 to answer: patroni1:5433 does not answer\n');
  answer({});
  amend(etcd, 'demo', 'patroni3', { tags: { nostream: true } });
  expect(await problems()).toBe('OK\n');
  amend(etcd, 'demo', 'patroni3', { tags: {}, version: '3.0.2' });
  expect(await problems()).toBe('OK\n');
});

test('a dead leader is critical while its key lasts, a dead replica a warning, before and after its key has expired', async () => {
  amend(etcd, 'demo', 'patroni1', { api_url: 'http://127.0.0.1:1/' });
  const led = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(led.code).toBe(2);
  expect(led.out).toContain('critical: the leader patroni1 is unavailable: 127.0.0.1:1 refuses the connection\n');
  expect(led.out.match(/(warning|critical):/g)).toHaveLength(1);

  etcd = tutorialCluster('demo', members.urlOf);
  amend(etcd, 'demo', 'patroni3', { api_url: 'http://127.0.0.1:1/' });
  const cut = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(cut.code).toBe(1);
  expect(cut.out).toContain('| patroni3 | 172.20.0.6:5432 | Replica | unavailable |  1 |      unknown |        unknown |\n');
  expect(cut.out).toMatch(/Health: WARNING\n {2}warning: patroni3 is unavailable: 127\.0\.0\.1:1 refuses the connection\n$/);

  etcd.remove('demo', 'members/patroni3');
  etcd.put('demo', 'status', { optime: END, retain_slots: ['patroni1', 'patroni2', 'patroni3'] });
  const gone = await ctl(['health', '--no-haproxy', '-f', 'json'], { etcd, env });
  expect(gone.code).toBe(1);
  const report = JSON.parse(gone.out);
  expect(report.members[2]).toMatchObject({ name: 'patroni3', host: '', role: 'replica', state: 'unavailable', reachable: false });
  expect(report.problems).toEqual([
    {
      level: 'warning',
      message:
        'patroni3 is unavailable: its key in etcd has expired; its slot is kept for its return; if it will not come back: regentctl forget patroni3',
    },
  ]);
});

test('failing chores of a member’s agent, and members that could not be promoted', async () => {
  members.answer(({ member }) => {
    const regent = { failing: { 'replication slots': 'all replication slots are in use' } };
    if (member === 'patroni1') return JSON.stringify({ state: 'running', role: 'primary', timeline: 1, xlog: { location: END }, regent });
    const xlog = { received_location: END, replayed_location: END, paused: false };
    const trouble = member === 'patroni2' ? { regent: { promotion_trouble: 'the disk of pg_wal is full' } } : {};
    return JSON.stringify({ state: 'running', role: 'replica', timeline: 1, replication_state: 'streaming', xlog, ...trouble });
  });
  const { code, out } = await ctl(['health', '--no-haproxy', '-f', 'json'], { etcd, env });
  expect(code).toBe(1);
  expect(JSON.parse(out).problems).toEqual([
    { level: 'warning', message: 'patroni1: replication slots: all replication slots are in use' },
    { level: 'warning', message: 'patroni2 cannot be promoted: the disk of pg_wal is full' },
  ]);
});

test('an unhealthy member shows the reason its agent waits for, as in its log', async () => {
  const waits = (state: string, because: string) =>
    JSON.stringify({ state, role: 'replica', timeline: 1, regent: { version: '0.1.0', because } });
  const lacks = 'following a different leader because i am not the healthiest node: 1 of 2 votes: patroni3 does not answer';
  const needs = 'pg_rewind failed 3 times; regentctl reinit demo patroni3';
  members.answer(({ member }) => {
    if (member === 'patroni1')
      return JSON.stringify({ state: 'running', timeline: 1, xlog: { location: END }, regent: { because: 'fine' } });
    return member === 'patroni2' ? waits('starting', lacks) : waits('stopped', needs);
  });
  const problems = async () => JSON.parse((await ctl(['health', '--no-haproxy', '-f', 'json'], { etcd, env })).out).problems;
  const says = (name: string, because: string) => ({ level: 'warning', message: `${name} says: ${because}` });
  expect(await problems()).toEqual([
    { level: 'critical', message: 'no replica is replicating: the next fault of the leader stops all writes' },
    { level: 'warning', message: 'patroni2 is not replicating: starting' },
    says('patroni2', lacks),
    { level: 'warning', message: 'patroni3 is not replicating: stopped' },
    says('patroni3', needs),
  ]);
  etcd.remove('demo', 'leader');
  expect(await problems()).toEqual(expect.arrayContaining([says('patroni1', 'fine'), says('patroni2', lacks), says('patroni3', needs)]));
});

test('a process in postmaster.pid that an agent does not know is critical', async () => {
  const unexplained = 'process 7 (sleep) is named in postmaster.pid and is not known as this node’s PostgreSQL';
  members.answer(({ member }) => {
    if (member === 'patroni2') return JSON.stringify({ state: 'unknown', role: 'replica', regent: { unexplained } });
    return JSON.stringify({ state: 'running', role: 'primary', timeline: 1, xlog: { location: END } });
  });
  const { code, out } = await ctl(['health', '--no-haproxy', '-f', 'json'], { etcd, env });
  expect(code).toBe(2);
  expect(JSON.parse(out).problems).toContainEqual({ level: 'critical', message: `patroni2 is left as it is: ${unexplained}` });
});

test('a leader whose PostgreSQL hangs', async () => {
  const body = { state: 'unknown', role: 'primary' };
  members.answer(({ member }) => (member === 'patroni1' ? JSON.stringify(body) : STREAMS));
  const { code, out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect([code, out]).toEqual([2, expect.stringContaining('critical: the PostgreSQL of the leader patroni1 does not answer its agent\n')]);
});

test('no member answers', async () => {
  for (const name of ['patroni1', 'patroni2', 'patroni3']) amend(etcd, 'demo', name, { api_url: 'http://127.0.0.1:1/' });
  const { code, out } = await ctl(['health'], { etcd, env });
  expect(code).toBe(2);
  expect(out).toContain('critical: no member answers\n');
});

test('HAProxy is skipped with a remark where it cannot be seen, and without one when not wanted', async () => {
  const away = await ctl(['health', '--haproxy-url', 'http://127.0.0.1:1/stats;csv'], { etcd });
  // Somebody has named it, so it is meant to be there.
  expect(away.code).toBe(1);
  expect(away.out).toMatch(/\n HAProxy: nothing to see at http:\/\/127\.0\.0\.1:1\/stats;csv \(.*ECONNREFUSED/);
  expect(away.out).toMatch(/ {2}warning: HAProxy could not be asked at http:\/\/127\.0\.0\.1:1\/stats;csv: .*ECONNREFUSED/);
  const locked = await ctl(['health'], { etcd, env: { ...env, REGENT_HAPROXY_PASSWORD: 'other' } });
  expect(locked.out).toContain('(it refuses the user name and password)');
  expect((await ctl(['health', '--no-haproxy'], { etcd, env })).out).not.toContain('HAProxy');
});

test('credentials in the address are used and not shown', async () => {
  const url = env['REGENT_HAPROXY_URL']!.replace('http://', 'http://admin:admin@');
  const { out } = await ctl(['health', '-f', 'json', '--haproxy-url', url], { etcd, env: { REGENT_HAPROXY_PASSWORD: 'other' } });
  const { haproxy } = JSON.parse(out);
  expect(haproxy.skipped).toBe(null);
  expect(haproxy.url).toBe(env['REGENT_HAPROXY_URL']);
});

test('where HAProxy is: the option, the environment, the file, the tutorial', () => {
  const set = { REGENT_HAPROXY_URL: 'http://b', REGENT_HAPROXY_USERNAME: 'u', REGENT_HAPROXY_PASSWORD: 'p' };
  expect(haproxyAccess('http://a', 'http://c', set)).toEqual({ url: 'http://a', username: 'u', password: 'p', isGuess: false });
  expect(haproxyAccess(undefined, 'http://c', set).url).toBe('http://b');
  expect(haproxyAccess(undefined, 'http://c', {})).toEqual({ url: 'http://c', username: 'admin', password: 'admin', isGuess: false });
  expect(haproxyAccess(undefined, null, {})).toMatchObject({ url: 'http://127.0.0.1:7000/stats;csv', isGuess: true });
});

test("HAProxy's statistics are read by the names of their columns", () => {
  expect(parseStats('svname,status,pxname\nBACKEND,UP,a\nx,no check,a\ny,MAINT,a\nBACKEND,UP,stats\n')).toEqual([
    { name: 'a', status: 'UP', serversUp: ['x'], serversDown: ['y'], refusing: [] },
  ]);
  const waits = 'svname,status,pxname,check_status\nBACKEND,UP,a\nx,DOWN,a,L7STS\ny,DOWN,a,* L7TOUT\nwaiting-room,no check,a\n';
  expect(parseStats(waits)).toEqual([{ name: 'a', status: 'DOWN', serversUp: [], serversDown: ['x', 'y'], refusing: ['x'] }]);
  expect(parseStats('<html>')).toEqual([]);
});

test('a primary that would outlive agent and guard is named, and is no problem', async () => {
  members.answer(({ member }) =>
    member === 'patroni1'
      ? JSON.stringify({ state: 'running', role: 'primary', timeline: 1, xlog: { location: END }, regent: { untethered: true } })
      : JSON.stringify({
          state: 'running',
          role: 'replica',
          timeline: 1,
          replication_state: 'streaming',
          xlog: { replayed_location: END },
        }),
  );
  const before = JSON.parse((await ctl(['health', '--no-haproxy', '-f', 'json'], { etcd, env })).out);
  expect(before.members.map((member: { readonly untethered: boolean }) => member.untethered)).toEqual([true, false, false]);
  expect(JSON.stringify(before.problems)).not.toContain('untethered');
  const { out } = await ctl(['health', '--no-haproxy'], { etcd, env });
  expect(out).toContain('The PostgreSQL of patroni1 was not started by its agent');
  expect(out).not.toContain('The PostgreSQL of patroni2');
});
