/** Where `list`, `show-config` and `health` say what a failover would wait for. */
import { beforeEach, expect, test } from 'vitest';
import { amend, ctl, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../../test/fixtures/ctl.ts';

const QUORUM = '2 of patroni2, patroni3';
const DEAD = 'If the leader’s node dies: no writes for up to 1 s + promotion; acknowledged commits lost: none';
const PATRONI = 'patroni3 hears no beats: it runs Patroni, or an older Regent, or its member key is gone';

const members = tutorialMembers();
let etcd: MemoryEtcd;
beforeEach(() => {
  etcd = tutorialCluster('demo', members.urlOf)
    .put('demo', 'config', { synchronous_mode: 'quorum' })
    .put('demo', 'sync', { leader: 'patroni1', quorum: 1, sync_standby: 'patroni2,patroni3' });
  for (const name of ['patroni1', 'patroni2', 'patroni3']) amend(etcd, 'demo', name, { beats: 1 });
  members.answer(({ member }) =>
    JSON.stringify(
      member === 'patroni1'
        ? { state: 'running', role: 'primary', timeline: 1, xlog: { location: 67109864 } }
        : { state: 'running', role: 'replica', timeline: 1, replication_state: 'streaming' },
    ),
  );
});

const health = (...words: string[]) => ctl(['health', '--no-haproxy', ...words], { etcd, env: {} });

test('list: one line below the table, for people only', async () => {
  expect((await ctl(['list'], { etcd })).out.split('\n').slice(-3)).toEqual([
    expect.stringMatching(/^\+-+/),
    ` Failover fence: quorum (${QUORUM})`,
    '',
  ]);
  expect((await ctl(['list', '-f', 'tsv'], { etcd })).out).not.toContain('fence');
  amend(etcd, 'demo', 'patroni3', { beats: 0 });
  expect((await ctl(['list'], { etcd })).out).toContain(`\n Failover fence: lease, because ${PATRONI}\n`);
  etcd.put('demo', 'config', {});
  expect((await ctl(['list'], { etcd })).out).not.toContain('fence');
});

test('show-config: comments on a terminal, nothing but the settings elsewhere', async () => {
  expect((await ctl(['show-config'], { etcd })).out).toBe('synchronous_mode: quorum\n\n');
  expect((await ctl(['show-config'], { etcd, tty: true })).out).toBe(
    `synchronous_mode: quorum\n\n# Failover fence: quorum (${QUORUM})\n# ${DEAD}\n`,
  );
});

test('health: what is in force, which is no problem', async () => {
  const { code, out } = await health();
  expect(code).toBe(0);
  expect(out).toContain(`\n Failover fence: quorum (${QUORUM})\n ${DEAD}\n`);
  const json = JSON.parse((await health('-f', 'json')).out);
  expect(json).toMatchObject({ failover_fence: { fence: 'quorum', voters: ['patroni2', 'patroni3'], needed: 2 }, problems: [] });
});

test('health: a warning where the better fence was asked for and is not in force', async () => {
  amend(etcd, 'demo', 'patroni3', { beats: 0 });
  const { code, out } = await health();
  expect(code).toBe(1);
  expect(out.match(/warning:.*/g)).toEqual([`warning: a failover waits for the lease, up to 30 s: ${PATRONI}`]);
});

test('health: a warning where one voter is short', async () => {
  amend(etcd, 'demo', 'patroni3', { api_url: 'http://patroni3.invalid:8008/patroni' });
  const { code, out } = await health();
  expect(code).toBe(1);
  expect(out).toContain(
    `warning: nobody could take over from the leader now: ${QUORUM} would have to promise, and patroni3 does not answer`,
  );
  etcd.put('demo', 'sync', { leader: 'patroni1', quorum: 0, sync_standby: 'patroni2' });
  expect((await health()).out).not.toContain('nobody could take over');
});

test('health: nothing of it without a leader', async () => {
  etcd.remove('demo', 'leader');
  expect((await health()).out).not.toContain('fence');
});
