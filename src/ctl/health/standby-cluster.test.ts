/** What health says of a standby cluster, of its leader, and of one that refuses to be one. */
import { expect, test } from 'vitest';
import { ctl, tutorialCluster, tutorialMembers } from '../../../test/fixtures/ctl.ts';

const members = tutorialMembers();

test('a standby cluster is well, and says how to write to it; its leader that follows nobody is a warning', async () => {
  const etcd = tutorialCluster('demo', members.urlOf);
  etcd.put('demo', 'config', { standby_cluster: { host: 'h' } });
  const answer = (leader: object) =>
    members.answer(({ member }) =>
      JSON.stringify({ state: 'running', timeline: 1, ...(member === 'patroni1' ? leader : { replication_state: 'streaming' }) }),
    );
  const health = async () => (await ctl(['health', '--no-haproxy'], { etcd, env: {} })).out;
  const problems = async () => (await health()).replace(/^[\s\S]* Health: /, '');
  const idle = 'no action. I am (patroni1), the standby leader with the lock';
  answer({ role: 'standby_leader', replication_state: 'streaming', regent: { because: idle } });
  expect(await health()).toContain('no member takes writes. For a writable cluster again: regentctl promote-cluster demo\n');
  expect(await problems()).toBe('OK\n');
  answer({ role: 'standby_leader', regent: { because: 'the data of this node diverged from h:5432' } });
  expect(await problems()).toBe('WARNING\n  warning: patroni1 says: the data of this node diverged from h:5432\n');
  answer({ role: 'standby_leader', regent: { because: idle, source_trouble: 'following nobody: x' } });
  expect(await problems()).toBe('WARNING\n  warning: patroni1, the standby leader, is following nobody: x\n');
  answer({ role: 'primary', regent: { because: idle, standby_cluster_refused: 'not becoming a standby leader: x' } });
  expect(await problems()).toBe('WARNING\n  warning: patroni1 is not becoming a standby leader: x\n');
});
