import { beforeEach, describe, expect, test } from 'vitest';
import { ctl, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../../test/fixtures/ctl.ts';

const members = tutorialMembers();
let etcd: MemoryEtcd;
const RETAINED = ['patroni1', 'patroni2', 'patroni3'];
const status = () => JSON.parse(etcd.get('demo', 'status') ?? '{}') as Record<string, Record<string, number> | string[]>;

beforeEach(() => {
  members.answer(() => '{"state": "running", "replication": [{"application_name": "patroni2"}]}');
  const urlOf = (name: string) => (name === 'patroni3' ? 'http://patroni3.invalid:8008/patroni' : members.urlOf(name));
  etcd = tutorialCluster('demo', urlOf).put('demo', 'status', {
    optime: 67109864,
    slots: { patroni1: 1, patroni2: 2, patroni3: 3 },
    retain_slots: RETAINED,
  });
  // The leader drops the slot in its next round, and writes what it has then.
  etcd.afterAmend = () => {
    const { slots, ...rest } = status();
    const { patroni3: _, ...others } = slots as Record<string, number>;
    etcd.put('demo', 'status', { ...rest, slots: others });
  };
});

const gone = () => etcd.remove('demo', 'members/patroni3');

describe('a member that does not come back', () => {
  test('is forgotten: its slot is no longer kept, and every tool shows that', async () => {
    gone();
    const { code, out, err } = await ctl(['forget', 'patroni3'], { etcd, input: 'y\n' });
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('Are you sure you want to forget members patroni3? [y/N]: Success: patroni3 is forgotten; its slot is dropped\n');
    expect(status()).toMatchObject({ retain_slots: ['patroni1', 'patroni2'], forgotten: { patroni3: expect.any(Number) } });
    expect((await ctl(['list'], { etcd })).out).not.toContain('patroni3');
  });

  test('loses its key too, once that is on no living lease', async () => {
    expect((await ctl(['forget', 'demo', 'patroni3', '--force'], { etcd })).code).toBe(0);
    expect(etcd.get('demo', 'members/patroni3')).toBeNull();
  });

  test('is waited for while its key may still be a living one’s', async () => {
    etcd.lease('demo', 'patroni3');
    const { code, out, err } = await ctl(['forget', 'patroni3', '--force'], { etcd });
    expect(out).toContain('patroni3 does not answer; waiting for its key in etcd to run out (at most 30 s)\n');
    expect([code, err]).toEqual([
      1,
      'Error: patroni3 is alive: its key in etcd is still renewed\nIt cannot be reached from here. Stop its agent and its PostgreSQL first.\n',
    ]);
    expect(etcd.get('demo', 'members/patroni3')).not.toBeNull();
    expect(status()['retain_slots']).toEqual(RETAINED);
  });

  test('is forgotten again where the leader overwrote the entry', async () => {
    gone();
    let times = 0;
    const drop = etcd.afterAmend;
    etcd.afterAmend = () => {
      times += 1;
      if (times === 1) etcd.put('demo', 'status', { optime: 67109870, slots: { patroni3: 3 }, retain_slots: RETAINED });
      else drop();
    };
    expect((await ctl(['forget', 'patroni3', '--force'], { etcd })).code).toBe(0);
    expect(times).toBe(2);
    expect(status()['forgotten']).toHaveProperty('patroni3');
  });

  test('ends with a code that says so when its slot stays', async () => {
    gone();
    etcd.afterAmend = () => undefined;
    const { code, out } = await ctl(['forget', 'patroni3', '--force'], { etcd });
    expect(code).toBe(1);
    expect(out).toContain(
      'Failed: patroni3 is forgotten, but its slot patroni3 is still on the leader: something still streams through it',
    );
  });

  test('keeps a slot that the settings name, and the tool says so', async () => {
    gone();
    etcd.put('demo', 'config', { ttl: 30, slots: { patroni3: { type: 'physical' } } });
    expect((await ctl(['forget', 'patroni3', '--force'], { etcd })).out).toContain("The cluster's own setting slots names patroni3");
  });

  test('stays as it is after a no', async () => {
    gone();
    expect(await ctl(['forget', 'patroni3'], { etcd, input: 'n\n' })).toMatchObject({ code: 1, err: 'Error: Aborted forget\n' });
    expect(status()['retain_slots']).toEqual(RETAINED);
  });
});

describe('refused with the reason and what it needs, also with --force', () => {
  const refused = async (name: string) => {
    const before = etcd.get('demo', 'status');
    const { code, err } = await ctl(['forget', name, '--force'], { etcd });
    expect(code).not.toBe(0);
    expect(etcd.get('demo', 'status')).toBe(before);
    return err;
  };

  test('the leader', async () => {
    expect(await refused('patroni1')).toBe(
      'Error: patroni1 is alive: it holds the leader key\nSwitch over to another member first. If patroni1 is to go: stop its agent and its PostgreSQL first, then forget it.\n',
    );
  });

  test('a member whose agent answers', async () => {
    const { host } = new URL(members.urlOf('patroni2'));
    expect(await refused('patroni2')).toBe(
      `Error: patroni2 is alive: it answers on ${host}\nIf patroni2 is to go: stop its agent and its PostgreSQL first, then forget it.\n`,
    );
    expect(etcd.get('demo', 'members/patroni2')).not.toBeNull();
  });

  test('a member without an agent whose PostgreSQL streams', async () => {
    gone();
    members.answer(() => '{"state": "running", "replication": [{"application_name": "patroni3"}]}');
    expect(await refused('patroni3')).toContain('Error: patroni3 is alive: its PostgreSQL streams from patroni1\n');
  });

  test('an unknown name', async () => {
    expect(await refused('patroni9')).toBe("Error: There is no member 'patroni9' in cluster demo; members: patroni1, patroni2, patroni3\n");
  });

  test('while no member leads', async () => {
    gone();
    etcd.remove('demo', 'leader');
    expect(await refused('patroni3')).toContain('has no leader, and only a leader can forget patroni3');
  });

  test('a name whose slot another member uses', async () => {
    etcd.put('demo', 'members/Patroni2', 'rubbish');
    expect(await refused('Patroni2')).toContain('patroni2 is a member and has the same slot name as Patroni2');
  });

  test('two names', async () => {
    expect((await ctl(['forget', 'demo', 'patroni2', 'patroni3'], { etcd })).err).toContain('Got unexpected extra argument (patroni3)');
  });
});

test('a bogus key among the members is taken away', async () => {
  etcd.put('demo', 'members/rubbish', 'not a record');
  expect((await ctl(['forget', 'rubbish', '--force'], { etcd })).out).toContain('Success: rubbish is forgotten');
  expect(etcd.get('demo', 'members/rubbish')).toBeNull();
});
