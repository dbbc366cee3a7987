/** demote-cluster and promote-cluster: what is asked of the leader, and what is printed. */
import { beforeEach, expect, test } from 'vitest';
import { amend, ctl, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../../test/fixtures/ctl.ts';

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

test('both say before they ask whose consumers miss something', async () => {
  const config = JSON.parse(etcd.get('demo', 'config') ?? '{}') as Record<string, unknown>;
  const slots = { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' }, dr: {} };
  etcd.put('demo', 'config', { ...config, slots } as never);
  const { out } = await ctl(['demote-cluster', 'demo', '--host', 'h'], { etcd, input: 'n\n' });
  expect(out).toMatch(/Logical slots are dropped, because a standby cluster keeps none: app\. .*\nAre you sure/);
  etcd.put('demo', 'config', { ...config, slots, standby_cluster: { host: 'h' } } as never);
  amend(etcd, 'demo', 'patroni1', { role: 'standby_leader' });
  const { out: back } = await ctl(['promote-cluster', 'demo'], { etcd, input: 'n\n' });
  expect(back).toMatch(/Logical slots are made anew: app\. .*\nAre you sure/);
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
  ['no', { input: 'n\n' }, ['demote-cluster', 'demo', '--host', 'h'], 'Error: Aborted cluster demotion\n'],
  ['as it is', {}, ['promote-cluster', 'demo', '--force'], 'Error: Cluster is already in the required state\n'],
])('nothing is asked of anybody: %s', async (_, options, words, err) => {
  expect(await ctl(words, { etcd, ...options })).toMatchObject({ code: 1, err });
  expect(asked()).toEqual([]);
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
    'Error: Failed to demote demo cluster: Failed to demote demo cluster: /config PATCH status code=409, (busy)\n',
  ]);
});
