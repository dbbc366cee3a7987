/** demote-cluster and promote-cluster: what is asked of the leader, and what is printed. */
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { amend, ctl, type MemoryEtcd, type RunOptions, tutorialCluster, tutorialMembers } from '../../../test/fixtures/ctl.ts';

const members = tutorialMembers();
let etcd: MemoryEtcd;

beforeEach(() => {
  etcd = tutorialCluster('demo', members.urlOf);
});

const asked = () =>
  members.asked.filter(({ what }) => what.startsWith('PATCH')).map(({ member, what, body }) => `${member} ${what} ${body}`);

/** The members do at once what they are asked for. */
const obey = (role: string) =>
  members.answer(({ member, what, body }) => {
    if (what.startsWith('PATCH')) amend(etcd, 'demo', member, { role });
    return body;
  });

test('demote-cluster needs somewhere to take WAL from', async () => {
  expect(await ctl(['demote-cluster', 'demo', '--primary-slot-name', 's'], { etcd })).toMatchObject({
    code: 1,
    err: 'Error: At least --host, --port or --restore-command should be specified\n',
  });
});

test('demote-cluster asks, tells the leader, and waits for a standby leader', async () => {
  obey('standby_leader');
  const words = ['demote-cluster', 'demo', '--host', 'h', '--port', '5433', '--primary-slot-name', 's'];
  const { code, out } = await ctl(words, { etcd, input: 'y\n' });
  expect(code).toBe(0);
  expect(out).toMatch(/^Current cluster topology\n\+ Cluster: demo/);
  expect(out).toContain('Are you sure you want to demote demo cluster? [y/N]: ');
  expect(out).toMatch(/ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d cluster is successfully demoted\n\+ Cluster: demo/);
  expect(asked()).toEqual(['patroni1 PATCH /config {"standby_cluster": {"host": "h", "port": 5433, "primary_slot_name": "s"}}']);
});

test('demote-cluster does not wait for a leader that refuses to follow that server', async () => {
  members.answer(({ what, member, body }) => {
    if (what.startsWith('PATCH')) amend(etcd, 'demo', member, { standby_cluster_refused: 'not becoming a standby leader: x' });
    return body;
  });
  const { code, err } = await ctl(['demote-cluster', 'demo', '--force', '--host', 'h'], { etcd });
  expect([code, err]).toEqual([1, expect.stringMatching(/\nError: patroni1 is not becoming a standby leader: x\n$/)]);
});

test('both say before they ask whose consumers miss something', async () => {
  const config = JSON.parse(etcd.get('demo', 'config') ?? '{}') as Record<string, unknown>;
  const slots = { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' }, dr: {} };
  etcd.put('demo', 'config', { ...config, slots } as never);
  const { err } = await ctl(['demote-cluster', 'demo', '--host', 'h'], { etcd, input: 'n\n' });
  expect(err).toMatch(/\nWarning: logical slots are dropped, because a standby cluster keeps none: app; /);
  etcd.put('demo', 'config', { ...config, slots, standby_cluster: { host: 'h' } } as never);
  amend(etcd, 'demo', 'patroni1', { role: 'standby_leader' });
  const { err: back } = await ctl(['promote-cluster', 'demo'], { etcd, input: 'n\n' });
  expect(back).toMatch(/\nWarning: logical slots are created again: app; /);
});

test('promote-cluster tells the leader to forget the setting', async () => {
  amend(etcd, 'demo', 'patroni1', { role: 'standby_leader' });
  obey('primary');
  const { code, out } = await ctl(['promote-cluster', 'demo', '--force'], { etcd });
  expect([code, out]).toEqual([0, expect.stringContaining(' cluster is successfully promoted\n')]);
  expect(asked()).toEqual(['patroni1 PATCH /config {"standby_cluster": null}']);
});

test('promote-cluster asks all the same where the leader’s key still says primary, because it was stopped before it could tell', async () => {
  const config = JSON.parse(etcd.get('demo', 'config') ?? '{}') as Record<string, string>;
  etcd.put('demo', 'config', { ...config, standby_cluster: { host: 'h' } });
  amend(etcd, 'demo', 'patroni1', { state: 'stopped' });
  members.answer(({ what, body }) => {
    if (what.startsWith('PATCH')) {
      etcd.put('demo', 'config', config);
      amend(etcd, 'demo', 'patroni1', { state: 'running' });
    }
    return body;
  });
  const { code, out } = await ctl(['promote-cluster', 'demo', '--force'], { etcd });
  expect([code, out]).toEqual([0, expect.stringContaining(' cluster is successfully promoted\n')]);
  expect(asked()).toEqual(['patroni1 PATCH /config {"standby_cluster": null}']);
  // Also the other way round: a standby leader that has not become the primary yet.
  amend(etcd, 'demo', 'patroni1', { role: 'standby_leader' });
  obey('standby_leader');
  expect((await ctl(['demote-cluster', 'demo', '--force', '--host', 'h'], { etcd })).code).toBe(0);
});

test('a role that the leader told before it read the change is not taken for the outcome', async () => {
  amend(etcd, 'demo', 'patroni1', { config_revision: '1' });
  etcd.put('demo', 'config', { standby_cluster: { host: 'h' } });
  let reads = 0;
  members.answer(({ what, body }) => {
    if (what.startsWith('PATCH')) etcd.put('demo', 'config', {});
    return body;
  });
  etcd.beforeRead = () => {
    reads += 1;
    if (reads === 4) amend(etcd, 'demo', 'patroni1', { config_revision: '1000' });
  };
  const { out } = await ctl(['promote-cluster', 'demo', '--force'], { etcd });
  expect(out.match(/leader role: primary, leader state: running\n/g)).toHaveLength(2);
  expect(out).toContain(' cluster is successfully promoted\n');
});

test('tells what it waits for', async () => {
  let looks = 0;
  members.answer(({ what, body }) => {
    if (what.startsWith('PATCH')) amend(etcd, 'demo', 'patroni1', { role: 'demoted', state: 'stopping' });
    return body;
  });
  const timer = setInterval(() => {
    looks += 1;
    if (looks > 2) amend(etcd, 'demo', 'patroni1', { role: 'standby_leader', state: 'running' });
  }, 300);
  const { out } = await ctl(['demote-cluster', 'demo', '--force', '--host', 'h'], { etcd });
  clearInterval(timer);
  expect(out).toMatch(/\n[-\d]+ [:\d]+ cluster is unlocked: False, leader role: demoted, leader state: stopping\n/);
});

test.each([
  ['no', { input: 'n\n' }, ['demote-cluster', 'demo', '--host', 'h'], /\nError: Aborted cluster demotion\n$/],
  ['as it is', {}, ['promote-cluster', 'demo', '--force'], /^Error: Cluster is already in the required state\n$/],
])('nothing is asked of anybody: %s', async (_, options, words, err) => {
  expect(await ctl(words, { etcd, ...options })).toMatchObject({ code: 1, err: expect.stringMatching(err) });
  expect(asked()).toEqual([]);
});

describe('what it means is said on standard error', () => {
  let port: number;
  const outside = createServer((socket) => socket.destroy());
  beforeAll(async () => {
    await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
    ({ port } = outside.address() as AddressInfo);
  });
  afterAll(() => new Promise((resolve) => outside.close(resolve)));

  const ID = '7234567890123456789';
  const env = { PATRONI_REPLICATION_USERNAME: 'rep', PATRONI_REPLICATION_PASSWORD: 'x' };
  const no = (words: readonly string[], options: RunOptions = {}) => ctl(words, { etcd, env, input: 'n\n', ...options });
  const demote = (options: RunOptions = {}) => no(['demote-cluster', 'demo', '--host', '127.0.0.1', '--port', String(port)], options);
  const standby = (host: string, more = {}) => etcd.put('demo', 'config', { standby_cluster: { host, port, ...more } });

  test('before the question of demote-cluster, which stays patronictl’s', async () => {
    const asked: unknown[] = [];
    const identify: RunOptions['identify'] = async (address, { username, password }) => {
      asked.push([address, username, password]);
      return { systemIdentifier: ID };
    };
    const { out, err } = await demote({ identify });
    expect(out).toMatch(/\nAre you sure you want to demote demo cluster\? \[y\/N\]: $/);
    expect(err.split('\n')).toEqual([
      `Warning: this cluster stops taking writes: patroni1 becomes the standby leader of 127.0.0.1:${port}, and its clients can only read`,
      `Warning: commits here that 127.0.0.1:${port} does not have may be rewound away: let it have them first, or stop the writers and compare`,
      'Error: Aborted cluster demotion',
      '',
    ]);
    expect(asked).toEqual([[{ host: '127.0.0.1', port }, 'rep', 'x']]);
  });

  test('of a server that does not answer, that is another cluster, or that could not be asked', async () => {
    const lost = await no(['demote-cluster', 'demo', '--host', '127.0.0.1', '--port', '1']);
    expect(lost.err).toContain(
      'Warning: seen from here 127.0.0.1:1 refuses the connection: without it this cluster has nothing to follow\n',
    );
    const other = await demote({ identify: async () => ({ systemIdentifier: '1' }) });
    expect(other.err).toContain(
      `Warning: 127.0.0.1:${port} is another cluster (system identifier 1, here ${ID}): this one cannot follow it\n`,
    );
    const unchecked = `Warning: whether 127.0.0.1:${port} has the data of this cluster (system identifier ${ID}) was not checked: `;
    expect((await demote({ identify: async () => ({ unknown: 'no pg_hba.conf entry' }) })).err).toContain(
      `${unchecked}no pg_hba.conf entry\n`,
    );
    expect((await demote({ env: {} })).err).toContain(`${unchecked}the configuration of this tool names no replication user\n`);
  });

  test('and afterwards the way back, by demote-cluster and edit-config', async () => {
    members.answer(({ what, member, body }) => {
      if (what.startsWith('PATCH')) {
        standby('127.0.0.1');
        amend(etcd, 'demo', member, { role: 'standby_leader' });
      }
      return body;
    });
    const back = 'demo takes no writes as long as it is a standby cluster. To have it take writes: regentctl promote-cluster demo\n';
    const done = await demote({ input: 'y\n' });
    expect([done.code, done.err]).toEqual([0, expect.stringMatching(new RegExp(`\n${back}$`))]);
    etcd.put('demo', 'config', {});
    const edited = await ctl(['edit-config', '-s', `standby_cluster.host=127.0.0.1`, '-s', `standby_cluster.port=${port}`], {
      etcd,
      input: 'y\n',
    });
    expect(edited.out).toMatch(/\nApply these changes\? \[y\/N\]: Configuration changed\n$/);
    expect(edited.err).toMatch(/^Warning: this cluster stops taking writes: patroni1 becomes/);
    expect(edited.err).toMatch(new RegExp(`\n${back}$`));
    // What does not change where it follows needs no words.
    expect((await ctl(['edit-config', '-s', 'standby_cluster.primary_slot_name=s', '--force'], { etcd })).err).toBe('');
    expect((await ctl(['edit-config', '-s', 'standby_cluster.host=127.0.0.2', '--force'], { etcd })).err).toContain(
      `Warning: this cluster follows 127.0.0.2:${port} from then on, and no longer 127.0.0.1:${port}: what 127.0.0.2:${port} does not have may be rewound away here\n`,
    );
  });

  test('before a promotion: there may be two that take writes', async () => {
    standby('127.0.0.1');
    amend(etcd, 'demo', 'patroni1', { role: 'standby_leader' });
    const told = `Warning: this cluster takes writes afterwards, and nothing here keeps 127.0.0.1:${port} from taking them too: let clients write to one of the two only\n`;
    expect((await no(['promote-cluster', 'demo'])).err).toBe(`${told}Error: Aborted cluster promotion\n`);
    expect((await ctl(['edit-config', '-s', 'standby_cluster=null', '--force'], { etcd })).err).toBe(told);
  });

  test('before a switchover or failover in a standby cluster, which promotes nobody', async () => {
    standby('127.0.0.1', { port: 5433 });
    amend(etcd, 'demo', 'patroni1', { role: 'standby_leader' });
    const told = (action: string) =>
      `Warning: this is a standby cluster of 127.0.0.1:5433: a ${action} changes which member follows it, and none takes writes. To have it take writes: regentctl promote-cluster demo\n`;
    expect((await no(['switchover', '--candidate', 'patroni2', '--leader', 'patroni1', '--scheduled', 'now'])).err).toBe(
      `${told('switchover')}Error: Aborting switchover\n`,
    );
    expect((await no(['failover', '--candidate', 'patroni2'])).err).toBe(`${told('failover')}Error: Aborting failover\n`);
  });
});

test('a cluster without a leader stays as it is', async () => {
  etcd.remove('demo', 'leader');
  const { code, err } = await ctl(['demote-cluster', 'demo', '--force', '--host', 'h'], { etcd });
  expect([code, err]).toEqual([1, expect.stringContaining('Cluster has no leader, demotion is not possible')]);
});

test('a refusal is told with the leader’s words', async () => {
  members.answer(() => ({ status: 409, text: 'busy' }));
  const { code, err } = await ctl(['demote-cluster', 'demo', '--force', '--host', 'h'], { etcd });
  expect([code, err]).toEqual([
    1,
    expect.stringMatching(
      /\nError: Failed to demote demo cluster: Failed to demote demo cluster: \/config PATCH status code=409, \(busy\)\n$/,
    ),
  ]);
});
