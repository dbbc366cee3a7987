import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { beforeEach, expect, test } from 'vitest';
import { amend, ctl, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../test/fixtures/ctl.ts';
import { reachTcp } from './reach.ts';

/** Nothing listens on port 1 of loopback. */
const NOBODY = 'http://127.0.0.1:1/patroni';
const members = tutorialMembers();
let etcd: MemoryEtcd;

beforeEach(() => {
  etcd = tutorialCluster('demo', members.urlOf);
});

const forget = (...names: string[]) => {
  etcd.put('demo', 'status', { optime: 67109864, retain_slots: ['patroni1', 'patroni2', 'patroni3'] });
  for (const name of names) etcd.remove('demo', `members/${name}`);
};

test('a member that does not answer is unavailable while its key still says streaming', async () => {
  amend(etcd, 'demo', 'patroni3', { api_url: NOBODY });
  expect(`\n${(await ctl(['list'], { etcd })).out}`).toMatchInlineSnapshot(`
    "
    + Cluster: demo (7234567890123456789) ----------+----+-----------+
    | Member   | Host       | Role    | State       | TL | Lag in MB |
    +----------+------------+---------+-------------+----+-----------+
    | patroni1 | 172.20.0.4 | Leader  | running     |  1 |           |
    | patroni2 | 172.20.0.5 | Replica | streaming   |  1 |         0 |
    | patroni3 | 172.20.0.6 | Replica | unavailable |  1 |   unknown |
    +----------+------------+---------+-------------+----+-----------+
     patroni3 is unavailable: 127.0.0.1:1 refuses the connection
    "
  `);
  expect(members.asked).toEqual([]);
});

test('a member whose agent is stopped takes connections, but is unavailable', async () => {
  members.freeze('patroni1');
  try {
    const { out } = await ctl(['list'], { etcd });
    expect(out).toMatch(/\n\| patroni1 \| 172\.20\.0\.4 \| Leader {2}\| unavailable \|/);
    expect(out).toMatch(
      /\n patroni1 is unavailable: 127\.0\.0\.1:\d+ accepts the connection and sends nothing for 2 seconds: its agent hangs or is stopped\n$/,
    );
    const health = await ctl(['health', '--no-haproxy'], { etcd });
    expect([health.code, health.out]).toEqual([2, expect.stringMatching(/critical: the leader patroni1 is unavailable: .* sends nothing/)]);
    // Where all of them do, it is not the operator who is cut off.
    members.freeze('patroni2');
    members.freeze('patroni3');
    expect((await ctl(['list'], { etcd })).out.match(/\| unavailable \|/g)).toHaveLength(3);
  } finally {
    members.thaw();
  }
});

test('a PostgreSQL that does not answer its agent is not called running', async () => {
  amend(etcd, 'demo', 'patroni1', { unresponsive: true });
  const { out } = await ctl(['list'], { etcd });
  expect(out).toMatch(/\n\| patroni1 \| 172\.20\.0\.4 \| Leader {2}\| unknown {3}\|/);
  expect(out).toContain('\n The PostgreSQL of patroni1 does not answer its agent: it hangs or is stopped\n');
  expect(JSON.parse((await ctl(['list', '-f', 'json'], { etcd })).out)[0]).toMatchObject({ State: 'running' });
  expect(JSON.parse((await ctl(['list', '-f', 'json', '--unavailable'], { etcd })).out)[0]).toMatchObject({ State: 'unknown' });
});

test('the reason why an agent is locked out takes one line; health says what to do', async () => {
  const cause = 'no pg_hba.conf entry for host "10.0.0.1", user "postgres", database "postgres", no encryption';
  amend(etcd, 'demo', 'patroni1', {
    locked_out: `${cause}; the agent needs a superuser: ${'put this line into its pg_hba.conf, '.repeat(9)}`,
  });
  amend(etcd, 'demo', 'patroni2', { locked_out: 'too many clients already' });
  const { out } = await ctl(['list'], { etcd });
  expect(out).toContain(` The agent of patroni1 is locked out of its PostgreSQL: ${cause} (what to do: health)\n`);
  expect(out).toContain(' The agent of patroni2 is locked out of its PostgreSQL: too many clients already\n');
});

test('and when its key has expired, for as long as the leader keeps its slot', async () => {
  forget('patroni3');
  const pretty = await ctl(['list'], { etcd });
  expect(`\n${pretty.out}`).toMatchInlineSnapshot(`
    "
    + Cluster: demo (7234567890123456789) ----------+----+-----------+
    | Member   | Host       | Role    | State       | TL | Lag in MB |
    +----------+------------+---------+-------------+----+-----------+
    | patroni1 | 172.20.0.4 | Leader  | running     |  1 |           |
    | patroni2 | 172.20.0.5 | Replica | streaming   |  1 |         0 |
    | patroni3 |            | Replica | unavailable |    |   unknown |
    +----------+------------+---------+-------------+----+-----------+
     patroni3 is unavailable: its key in etcd has expired; its slot is kept for its return
    "
  `);
  const watched = await ctl(['list', '-W'], { etcd, interruptAfter: { text: '+ Cluster: demo', times: 2 } });
  expect(watched.out).toBe(pretty.out.repeat(2));
  expect((await ctl(['topology'], { etcd })).out).toMatch(/^\| \+ patroni3 \| +\| Replica \| unavailable \|/m);
});

test('machine formats are those of Patroni: what etcd has, whoever answers', async () => {
  const before = (await ctl(['list', '-f', 'json'], { etcd })).out;
  amend(etcd, 'demo', 'patroni2', { api_url: NOBODY });
  expect((await ctl(['list', '-f', 'json'], { etcd })).out).toBe(before);
  forget('patroni3');
  const names = JSON.parse((await ctl(['list', '-f', 'json'], { etcd })).out).map((row: { Member: string }) => row.Member);
  expect(names).toEqual(['patroni1', 'patroni2']);
});

test('machine formats have the state on request, and no remark', async () => {
  forget('patroni3');
  amend(etcd, 'demo', 'patroni2', { api_url: NOBODY });
  const json = JSON.parse((await ctl(['list', '--unavailable', '-f', 'json'], { etcd })).out);
  expect(json.slice(1)).toEqual([
    {
      Cluster: 'demo',
      Member: 'patroni2',
      Host: '172.20.0.5',
      Role: 'Replica',
      State: 'unavailable',
      TL: 1,
      'Receive LSN': '0/40003E8',
      'Replay LSN': '0/40003E8',
    },
    { Cluster: 'demo', Member: 'patroni3', Role: 'Replica', State: 'unavailable' },
  ]);
  const tsv = await ctl(['list', '--unavailable', '-f', 'tsv'], { etcd });
  expect(tsv.out.split('\n').slice(2, 5)).toEqual([
    'demo\tpatroni2\t172.20.0.5\tReplica\tunavailable\t1\t0/40003E8\t\t0/40003E8\t',
    'demo\tpatroni3\t\tReplica\tunavailable\t\t\t\t\t',
    '',
  ]);
  const yaml = await ctl(['list', '--unavailable', '-f', 'yaml'], { etcd });
  expect(yaml.out).toContain('- Cluster: demo\n  Member: patroni3\n  Role: Replica\n  State: unavailable\n');
});

test('the row has the member’s own name where a key tells it, otherwise that of its slot', async () => {
  etcd.put('demo', 'status', { optime: 67109864, retain_slots: ['node_4', 'node_5', 'patroni2'] });
  etcd.put('demo', 'history', [[1, 25624000, 'no recovery target specified', '2026-01-01T00:00:00.123456+00:00', 'Node-4']]);
  const { out } = await ctl(['list'], { etcd });
  expect(out.match(/^\| *\S+/gm)?.slice(1)).toEqual(['| Node-4', '| node_5', '| patroni1', '| patroni2', '| patroni3']);
});

test('where no member can be reached, the operator is cut off, so the keys are believed', async () => {
  for (const name of ['patroni1', 'patroni2', 'patroni3']) amend(etcd, 'demo', name, { api_url: NOBODY });
  const { out } = await ctl(['list'], { etcd });
  expect(out).not.toContain('unavailable');
  expect(out).toContain('| patroni3 | 172.20.0.6 | Replica | streaming |');
});

test('a member that has said it is stopped is stopped; one without an address is believed', async () => {
  amend(etcd, 'demo', 'patroni2', { api_url: NOBODY, state: 'stopped', replication_state: null });
  amend(etcd, 'demo', 'patroni3', { api_url: null });
  const { out } = await ctl(['list'], { etcd });
  expect(out).toContain('| patroni2 | 172.20.0.5 | Replica | stopped   |');
  expect(out).toContain('| patroni3 | 172.20.0.6 | Replica | streaming |');
});

test('retained slots count only while a leader maintains the list', async () => {
  forget('patroni1', 'patroni2', 'patroni3');
  expect((await ctl(['list'], { etcd })).out).not.toContain('patroni');
});

test.each([
  ['is there, whatever it says: neither credentials nor certificates matter', 'what?\n', 'streaming'],
  ['is not there if it says nothing', null, 'unavailable'],
])('the listener on the connection %s', async (_what, words, state) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (words === null) socket.resume();
    else socket.once('data', () => socket.end(words));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  for (const protocol of ['http', 'https']) {
    amend(etcd, 'demo', 'patroni3', { api_url: `${protocol}://127.0.0.1:${port}/patroni` });
    const { out } = await ctl(['list'], { etcd });
    expect(out).toContain(`| patroni3 | 172.20.0.6 | Replica | ${state}`);
  }
  await new Promise((resolve) => server.close(resolve));
});

test('names of hosts are looked up, and a deadline is a deadline', async () => {
  const { port } = new URL(members.urlOf('patroni1'));
  expect(await reachTcp({ host: 'localhost', port: Number(port) }, 900)).toBe(null);
  expect(await reachTcp({ host: 'no-such-host.invalid', port: 8008 }, 900)).toMatch(/^cannot be resolved/);
});

/** A server that accepts nobody, as its loop never turns. */
const DEAF = `
  const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30_000);
  });`;

test('a deadline is a deadline', async () => {
  const deaf = spawn(process.execPath, ['-e', DEAF], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = (await once(deaf.stdout, 'data')) as [Buffer];
  const address = { host: '127.0.0.1', port: Number(text) };
  // Its backlog is full with these: the next one gets no answer at all, as from a host that is
  // gone.
  const waiting = Array.from({ length: 8 }, () => connect(address).on('error', () => undefined));
  try {
    const begun = performance.now();
    expect(await reachTcp(address, 200)).toBe('does not answer');
    expect(performance.now() - begun).toBeLessThan(5_000);
  } finally {
    for (const socket of waiting) socket.destroy();
    deaf.kill('SIGKILL');
  }
});
