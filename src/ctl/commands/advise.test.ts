import { beforeEach, expect, test } from 'vitest';
import { amend, ctl, type MemoryEtcd, tutorialCluster } from '../../../test/fixtures/ctl.ts';
import { parseYamlValue } from '../../config/yaml.ts';

let etcd: MemoryEtcd;
beforeEach(() => {
  etcd = tutorialCluster();
});

function promises(): void {
  for (const name of ['patroni1', 'patroni2', 'patroni3']) amend(etcd, 'demo', name, { beats: 1 });
  etcd
    .put('demo', 'config', { synchronous_mode: 'quorum' })
    .put('demo', 'sync', { leader: 'patroni1', quorum: 1, sync_standby: 'patroni2,patroni3' });
}

test('of a standby cluster it says first that it takes no writes', async () => {
  promises();
  etcd.put('demo', 'config', { synchronous_mode: 'quorum', standby_cluster: { host: 'h' } });
  const { out } = await ctl(['advise'], { etcd });
  expect(out.split('\n').slice(0, 2)).toEqual([
    ' Standby cluster: it follows h:5432, and no member takes writes. For a writable cluster again: regentctl promote-cluster demo',
    ' What is said of writes below holds once it is promoted.',
  ]);
  expect(out).not.toContain('synchronous_mode=quorum');
});

test('what is in force, each fault, each setting, and what to type', async () => {
  promises();
  const { code, out, err } = await ctl(['advise'], { etcd });
  expect([code, err]).toEqual([0, '']);
  const lines = out.split('\n');
  expect(lines.slice(0, 2)).toEqual([
    ' Failover fence: quorum (2 of patroni2, patroni3)',
    ' If the leader’s node dies: no writes for up to 1 s + promotion; acknowledged commits lost: none',
  ]);
  expect(out).toMatch(/^\| node dead +\| up to 1 s \+ promotion \| none +\| 2 of patroni2, patroni3 miss the leader/m);
  expect(out).toMatch(/^\| ttl +\| 30 s +\| leadership ends if etcd/m);
  expect(lines).toContain('     regentctl edit-config demo -s primary_start_timeout=0');
});

test('the command has the options of this one, so that it can be copied', async () => {
  const { out } = await ctl(['-k', 'advise'], { etcd, program: 'patronictl' });
  expect(out).toContain('     patronictl -k edit-config demo -s synchronous_mode=on\n');
  expect(out).toContain(' Failover fence: lease, because synchronous_mode is off');
});

test('while nobody leads: what that waits for, and no reckoning with a leader that is not there', async () => {
  promises();
  etcd.remove('demo', 'leader');
  for (const gone of ['patroni1', 'patroni3']) etcd.remove('demo', `members/${gone}`);
  const { out } = await ctl(['advise'], { etcd });
  expect(out.split('\n').slice(0, 3)).toEqual([
    ' Nobody leads now, so nobody can write: nobody can be elected: only patroni1, or patroni2 and patroni3, surely have every acknowledged commit, and of these only patroni2 is there',
    ' To lose nothing, start one of patroni1, patroni3: then a leader is elected, and nothing is lost',
    ' To name one, at a cost that is told before: regentctl failover demo --candidate MEMBER',
  ]);
  expect(out).not.toMatch(/If the leader|node dead|Nothing would make|most useful first/);
  expect(out).toContain('synchronous_mode_strict');
  const json = JSON.parse((await ctl(['advise', '-f', 'json'], { etcd })).out);
  expect(json).toMatchObject({
    faults: [],
    improvements: [],
    no_leader: expect.arrayContaining([expect.stringMatching(/^To lose nothing/)]),
  });
  etcd.put('demo', 'config', { pause: true, synchronous_mode: 'quorum' });
  expect((await ctl(['advise'], { etcd })).out).toContain(' To have one elected: regentctl resume demo\n');
  etcd.put('demo', 'config', {}).remove('demo', 'sync');
  expect((await ctl(['advise'], { etcd })).out).toMatch(/^ Nobody leads now, so nobody can write: a leader is being elected\n/);
});

test('nothing to improve', async () => {
  promises();
  etcd.put('demo', 'config', { synchronous_mode: 'quorum', synchronous_mode_strict: true, primary_start_timeout: 0 });
  expect((await ctl(['advise'], { etcd })).out.trimEnd().split('\n').at(-1)).toBe(' Nothing would make failovers quicker or safer.');
});

test('for programs the same in JSON and YAML', async () => {
  promises();
  const json = JSON.parse((await ctl(['advise', '-f', 'json'], { etcd })).out);
  expect(json).toMatchObject({
    scope: 'demo',
    failover_fence: { fence: 'quorum', voters: ['patroni2', 'patroni3'], needed: 2 },
    settings: expect.arrayContaining([expect.objectContaining({ setting: 'suspect_after', value: '1 s' })]),
  });
  expect(json.faults[0]).toEqual({
    fault: 'node dead',
    outage: 'up to 1 s + promotion',
    outage_from_seconds: 0,
    outage_to_seconds: 1,
    promotion_on_top: true,
    commits_lost: 'none',
    because: '2 of patroni2, patroni3 miss the leader and promise to take no more WAL from it',
    source: 'settings',
    rule: 'node.promises',
  });
  expect(json.improvements[0]).toMatchObject({ command: 'regentctl edit-config demo -s synchronous_mode_strict=true' });
  const yaml = await ctl(['advise', '-f', 'yaml'], { etcd });
  expect(parseYamlValue(yaml.out)).toEqual(json);
});

test('a cluster that etcd does not have is refused', async () => {
  expect((await ctl(['advise', 'nowhere'], { etcd })).code).toBe(1);
});
