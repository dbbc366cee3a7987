/**
 * reload, restart, reinit, flush, pause, resume, version: which members are asked for what, and
 * what is printed about it.
 */
import { beforeEach, expect, test } from 'vitest';
import { amend, ctl, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../../test/fixtures/ctl.ts';

const members = tutorialMembers();
let etcd: MemoryEtcd;

beforeEach(() => {
  members.answer(() => 'restarted successfully');
  etcd = tutorialCluster('demo', members.urlOf);
});

const asked = () => members.asked.map(({ member, what, body }) => [member, what, body].filter((part) => part !== '').join(' '));
/** Without the table that comes first. */
const told = (out: string) => out.slice(out.lastIndexOf('-+\n') + 3);

test('reload: the default is every member, after a question', async () => {
  members.answer(({ member }) => (member === 'patroni2' ? 'nothing changed' : { status: 202, text: 'reload scheduled' }));
  const { code, out } = await ctl(['reload', 'demo'], { etcd, input: 'y\n' });
  expect(code).toBe(0);
  expect(told(out)).toBe(
    'Are you sure you want to reload members patroni1, patroni2, patroni3? [y/N]: ' +
      'Reload request received for member patroni1 and will be processed within 10 seconds\n' +
      'No changes to apply on member patroni2\n' +
      'Reload request received for member patroni3 and will be processed within 10 seconds\n',
  );
  expect(await ctl(['reload', 'demo'], { etcd, input: '\n' })).toMatchObject({ code: 1, err: 'Error: Aborted reload\n' });
});

test('reload: settings that wait for a restart of the agent are listed', async () => {
  const headers = { 'Regent-Note': 'not in force before the agent is restarted: etcd3.hosts' };
  members.answer(() => ({ status: 202, text: 'reload scheduled', headers }));
  const { code, out } = await ctl(['reload', 'demo', 'patroni1', '--force'], { etcd });
  expect(code).toBe(0);
  expect(told(out)).toBe(
    'Reload request received for member patroni1 and will be processed within 10 seconds\n' +
      'Member patroni1: not in force before the agent is restarted: etcd3.hosts\n',
  );
});

test('reload: a file that would not be taken over is reported at once', async () => {
  const headers = { 'Regent-Reason': 'p.yml:3:1: postgresq: %E2%80%A6' };
  members.answer(() => ({ status: 202, text: 'reload scheduled', headers }));
  const { code, out } = await ctl(['reload', 'demo', 'patroni1', '--force'], { etcd });
  expect(code).toBe(1);
  expect(told(out)).toBe('Failed: reload for member patroni1, p.yml:3:1: postgresq: …\n');
});

test('the cluster may be left out, and its members still be named', async () => {
  await ctl(['reload', 'patroni2', 'patroni3', '--force'], { etcd });
  await ctl(['reload', 'demo', 'patroni1', '--force'], { etcd });
  await ctl(['reload', '--force', '--role', 'replica'], { etcd });
  expect(asked()).toEqual(['patroni2', 'patroni3', 'patroni1', 'patroni2', 'patroni3'].map((name) => `${name} POST /reload`));
});

test('names that do not exist', async () => {
  const unknown = "There is no member 'patroni9' in cluster demo; members: patroni1, patroni2, patroni3\n";
  const stranger = `Error: patroni9 is not a member of cluster\n${unknown}`;
  expect((await ctl(['reload', 'demo', 'patroni9', '--force'], { etcd })).err).toBe(`Error: No 'any' among provided members\n${unknown}`);
  expect((await ctl(['reload', 'demo', 'patroni2', 'patroni9', '--force'], { etcd })).err).toBe(stranger);
  expect((await ctl(['version', 'demo', 'patroni9'], { etcd })).err).toBe(unknown);
  expect((await ctl(['restart', 'patroni9', '--force'], { etcd })).err).toBe(
    "Error: patroni9 cluster doesn't have any members\n" +
      'Cluster demo, the configured one, has no member of this name either; members: patroni1, patroni2, patroni3\n',
  );
  expect((await ctl(['reinit', 'demo', 'patroni1', '--force'], { etcd })).err).toBe(
    'Error: No replica among provided members\nMember patroni1 is no replica\n',
  );
  expect((await ctl(['reload', 'nowhere', '--force'], { etcd })).err).toMatch(/^Error: nowhere cluster doesn't have any members\n/);
  expect((await ctl(['reinit', 'demo'], { etcd, input: 'patroni9\n' })).err).toBe(stranger);
  expect((await ctl(['reinit', 'demo'], { etcd, input: 'patroni1\n' })).err).toBe(
    'Error: patroni1 is not a member of cluster\nMember patroni1 is no replica\n',
  );
  expect(asked()).toEqual([]);
});

test('a member that list shows as unavailable, its key having expired', async () => {
  etcd.remove('demo', 'members/patroni3');
  etcd.put('demo', 'status', { optime: 1, retain_slots: ['patroni1', 'patroni2', 'patroni3'] });
  const gone = 'Member patroni3 of cluster demo is unavailable: its key in etcd has expired; its slot is kept for its return';
  for (const words of [
    ['reload', 'patroni3', '--force'],
    ['reload', 'demo', 'patroni3', '--force'],
    ['restart', 'patroni3', '--force'],
    ['version', 'demo', 'patroni3'],
    ['switchover', '--leader', 'patroni1', '--candidate', 'patroni3', '--force'],
  ]) {
    expect(await ctl(words, { etcd })).toMatchObject({ code: 1, err: expect.stringContaining(gone) });
  }
  expect(asked()).toEqual([]);
});

test('one member that does not answer does not keep the others from being asked, if the operator says so', async () => {
  amend(etcd, 'demo', 'patroni1', { api_url: 'http://127.0.0.1:1/patroni' });
  amend(etcd, 'demo', 'patroni2', { api_url: '' });
  const { code, out, err } = await ctl(['restart', 'demo', '--keep-going', '--force'], { etcd });
  expect([code, err]).toEqual([1, '']);
  expect(told(out)).toMatch(
    /^Failed: restart for member patroni1, member patroni1 does not answer on http:\/\/127\.0\.0\.1:1: .*\nFailed: restart for member patroni2, member patroni2 publishes no usable REST address \(api_url\)\nSuccess: restart on member patroni3\n$/,
  );
});

test('restart: every answer has its line', async () => {
  members.answer(({ member }) =>
    member === 'patroni1' ? { status: 503, text: 'restart failed' } : member === 'patroni2' ? { status: 409, text: '' } : 'ok',
  );
  const { code, out } = await ctl(['restart', 'demo', '--keep-going'], { etcd, input: '\ny\n\n' });
  expect(code).toBe(1);
  expect(told(out).replace(/e\.g\. \d{4}-\d\d-\d\dT\d\d:\d\d/, 'e.g. TIME')).toBe(
    'When should the restart take place (e.g. TIME)  [now]: ' +
      'Are you sure you want to restart members patroni1, patroni2, patroni3? [y/N]: ' +
      'Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: ' +
      'Failed: restart for member patroni1, status code=503, (restart failed)\n' +
      'Failed: another restart is already scheduled on member patroni2\n' +
      'Success: restart on member patroni3\n',
  );
});

test('restart: conditions travel in the body', async () => {
  amend(etcd, 'demo', 'patroni3', { pending_restart: true });
  await ctl(['restart', 'demo', '--pending', '--pg-version', '15.4', '--timeout', '1min', '--force'], { etcd });
  expect(asked()).toEqual(['patroni3 POST /restart {"restart_pending": true, "postgres_version": "15.4", "timeout": "1min"}']);
});

test('restart: --any picks one', async () => {
  await ctl(['restart', 'demo', '--any', '--force'], { etcd });
  expect(asked()).toEqual(['patroni3 POST /restart {}']);
});

test('restart: a schedule replaces an older one only by force', async () => {
  amend(etcd, 'demo', 'patroni2', { scheduled_restart: { schedule: '2029-01-01T00:00:00+00:00' } });
  members.answer(({ what }) => (what.startsWith('DELETE') ? 'scheduled restart deleted' : { status: 202, text: 'Restart scheduled' }));
  const { out } = await ctl(['restart', 'demo', 'patroni2', '--scheduled', '2030-01-01T00:00Z', '--force'], { etcd });
  expect(asked()).toEqual(['patroni2 DELETE /restart', 'patroni2 POST /restart {"schedule": "2030-01-01T00:00:00+00:00"}']);
  expect(out.endsWith('Success: restart scheduled on member patroni2\n')).toBe(true);
  const asking = await ctl(['restart', 'demo', 'patroni2', '--scheduled', '2030-01-01T00:00Z'], { etcd, input: 'n\n' });
  expect(asking.out).toContain('Are you sure you want to schedule restart of members patroni2 at 2030-01-01 00:00:00+00:00? [y/N]: ');
  expect(asking.err).toBe('Error: Aborted scheduled restart\n');
});

test.each([
  [['--pg-version', '15'], 'Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 15'],
  [['--pg-version', 'a.b'], 'Invalid PostgreSQL version: a.b'],
  [['--scheduled', 'x'], 'Unable to parse scheduled timestamp (x). It should be in an unambiguous format (e.g. ISO 8601)'],
])('restart %j is refused', async (words, message) => {
  expect(await ctl(['restart', 'demo', ...words, '--force'], { etcd })).toMatchObject({ code: 1, err: `Error: ${message}\n` });
  expect(asked()).toEqual([]);
});

test('restart: no schedule while paused', async () => {
  etcd.put('demo', 'config', { pause: true });
  const { err } = await ctl(['restart', 'demo', '--scheduled', '2030-01-01T00:00Z', '--force'], { etcd });
  expect(err).toBe("Error: Can't schedule restart in the paused state\n");
});

test('reinit asks for the member, then whether to cancel running work, and waits', async () => {
  let polls = 0;
  members.answer(({ what, body }) => {
    if (what === 'GET /patroni') return `{"state": "${++polls < 3 ? 'creating replica' : 'running'}"}`;
    return body.includes('"force": true') ? 'reinitialize started' : { status: 503, text: 'restart already in progress' };
  });
  const { code, out } = await ctl(['reinit', '--wait', '--from-leader'], { etcd, input: 'patroni2\ny\ny\n' });
  expect(code).toBe(0);
  expect(told(out)).toBe(
    'Which member do you want to reinitialize [patroni2, patroni3]? []: ' +
      'Are you sure you want to reinitialize members patroni2? [y/N]: ' +
      'Failed: reinitialize for member patroni2, status code=503, (restart already in progress)\n' +
      'Do you want to cancel it and reinitialize anyway? [y/N]: ' +
      'Success: reinitialize for member patroni2\n' +
      'Waiting for reinitialize to complete on: patroni2\n' +
      'Reinitialize is completed on: patroni2\n',
  );
  expect(asked().slice(0, 2)).toEqual([
    'patroni2 POST /reinitialize {"force": false, "from_leader": true}',
    'patroni2 POST /reinitialize {"force": true, "from_leader": true}',
  ]);
});

test('reinit by force needs a name: nothing is wiped by default', async () => {
  expect(await ctl(['reinit', 'demo', '--force'], { etcd })).toMatchObject({
    code: 1,
    err: 'Error: Name the member to reinitialize: with --force there is no question\n',
  });
});

test('flush restart', async () => {
  amend(etcd, 'demo', 'patroni2', { scheduled_restart: { schedule: '2030-01-01T00:00:00+00:00' } });
  const { out } = await ctl(['flush', 'demo', 'patroni2', 'patroni3', 'restart', '--force'], { etcd });
  expect(told(out)).toBe('Success: flush scheduled restart for member patroni2\nNo scheduled restart for member patroni3\n');
  expect(asked()).toEqual(['patroni2 DELETE /restart']);
});

test('flush switchover: the leader, then the others, then etcd itself', async () => {
  expect((await ctl(['flush', 'demo', 'switchover'], { etcd })).out).toBe('No pending scheduled switchover\n');
  etcd.put('demo', 'failover', { leader: 'patroni1', scheduled_at: '2030-01-01T00:00:00+00:00' });
  members.answer(({ member }) => (member === 'patroni1' ? { status: 409, text: 'busy' } : 'scheduled switchover deleted'));
  const { out } = await ctl(['flush', 'switchover'], { etcd });
  expect(out).toBe('Failed: member=patroni1, status_code=409, (busy)\nSuccess: scheduled switchover deleted\n');
  for (const name of ['patroni1', 'patroni2', 'patroni3']) amend(etcd, 'demo', name, { api_url: 'http://127.0.0.1:1/' });
  const fallback = await ctl(['flush', 'demo', 'switchover'], { etcd });
  expect(fallback.out).toMatch(/ Could not find any accessible member of cluster demo\n$/);
  expect(etcd.get('demo', 'failover')).toBe('{}');
});

test('flush needs a subject', async () => {
  const { code, err } = await ctl(['flush', 'demo'], { etcd });
  expect([code, err.slice(err.indexOf('Error'))]).toEqual([
    2,
    "Error: Missing argument '{restart|switchover}'. Choose from:\n\trestart,\n\tswitchover\n",
  ]);
  expect(err).toMatch(/^Usage: .* \[MEMBER_NAMES\]\.\.\.\n {23}\{restart\|switchover\}\n/);
  const { err: other } = await ctl(['flush', 'demo', 'patroni2'], { etcd });
  expect(other).toContain("Invalid value for '{restart|switchover}': 'patroni2' is not one of 'restart', 'switchover'.\n");
});

test('pause and resume', async () => {
  members.answer(({ body }) => body);
  expect((await ctl(['pause'], { etcd })).out).toBe('Success: cluster management is paused\n');
  expect(await ctl(['resume'], { etcd })).toMatchObject({ code: 1, err: 'Error: Cluster is not paused\n' });
  etcd.put('demo', 'config', { pause: true, loop_wait: 2 });
  expect(await ctl(['pause'], { etcd })).toMatchObject({ code: 1, err: 'Error: Cluster is already paused\n' });
  expect((await ctl(['resume'], { etcd })).out).toBe('Success: cluster management is resumed\n');
  expect(asked()).toEqual(['patroni1 PATCH /config {"pause": true}', 'patroni1 PATCH /config {"pause": null}']);
});

test('resume warns of members whose agent is away: their PostgreSQL may run as a primary that nothing stops', async () => {
  members.answer(({ body }) => body);
  etcd.put('demo', 'config', { pause: true, loop_wait: 2 });
  amend(etcd, 'demo', 'patroni3', { api_url: 'http://127.0.0.1:1/' });
  const { code, out, err } = await ctl(['resume'], { etcd });
  expect([code, out]).toEqual([0, 'Success: cluster management is resumed\n']);
  expect(err).toContain('patroni3 is unavailable: if its PostgreSQL still runs as a primary');
  expect(err).not.toContain('patroni1 is unavailable');
});

test('pause --wait: until all have seen it, or loop_wait is over', async () => {
  members.answer(({ body }) => {
    for (const name of ['patroni1', 'patroni2', 'patroni3']) amend(etcd, 'demo', name, { pause: true });
    return body;
  });
  const seen = await ctl(['pause', '--wait'], { etcd });
  expect(seen.out).toBe("'pause' request sent, waiting until it is recognized by all nodes\nSuccess: cluster management is paused\n");
  etcd.put('demo', 'config', { pause: true, loop_wait: 2 });
  members.answer(({ body }) => body);
  amend(etcd, 'demo', 'patroni1', { pause: false });
  const late = await ctl(['resume', '--wait'], { etcd });
  expect([seen.code, late.code]).toEqual([0, 1]);
  expect(late.out.split('\n')[1]).toBe("patroni2, patroni3 members didn't recognized pause state after 2 seconds");
});

test('pause: a refusal, and no member to ask', async () => {
  members.answer(() => ({ status: 401, text: 'no auth header received' }));
  expect(await ctl(['pause'], { etcd })).toMatchObject({
    code: 1,
    out: 'Failed: pause cluster management status code=401, (no auth header received)\n',
  });
  for (const name of ['patroni1', 'patroni2', 'patroni3']) amend(etcd, 'demo', name, { api_url: 'http://127.0.0.1:1/' });
  const { code, err } = await ctl(['pause'], { etcd });
  expect([code, err.split('\n').at(-2)]).toEqual([1, 'Error: Can not find accessible cluster member']);
});

test('version of the tool and of the members', async () => {
  members.answer(({ member }) =>
    member === 'patroni1'
      ? '{"server_version": 150004, "patroni": {"version": "4.1.4"}, "regent": {"version": "0.1.0+7.g1234567890"}}'
      : member === 'patroni2'
        ? '{"patroni": {"version": "3.0.2"}}'
        : 'hm',
  );
  const { out } = await ctl(['version', 'demo'], { etcd });
  expect(out.split('\n').slice(1, 4)).toEqual([
    '',
    'patroni1: Patroni 4.1.4 PostgreSQL 15.4 (Regent 0.1.0+7.g1234567890)',
    'patroni2: Patroni 3.0.2',
  ]);
  expect(out.split('\n')[4]).toMatch(/^patroni3: failed to get version: not JSON/);
  expect((await ctl(['version'])).out).toMatch(/^regentctl version \d+\.\d+\.\d+\n$/);
  expect((await ctl(['version'], { program: 'patronictl' })).out).toBe('patronictl version 4.1.4\n');
  const { out: plain } = await ctl(['version', 'demo', 'patroni1'], { etcd, program: 'patronictl' });
  expect(plain).toBe('patronictl version 4.1.4\n\npatroni1: Patroni 4.1.4 PostgreSQL 15.4\n');
});

const RAISED = { pending_restart: true, pending_restart_reason: { max_connections: { old_value: '100', new_value: '200' } } };

test('restart --pending waits until every member has taken the configuration over, and restarts the replicas first', async () => {
  etcd.put('demo', 'config', { postgresql: { parameters: { max_connections: 200 } } });
  let reads = 0;
  const open = etcd.open.bind(etcd);
  etcd.open = (scope) => {
    const dcs = open(scope);
    return new Proxy(dcs, {
      get: (target, name, receiver) => {
        // Members whose configuration is known take this one over one after the other.
        if (name === 'read' && ++reads > 2)
          for (const member of ['patroni1', 'patroni2']) amend(etcd, 'demo', member, { ...RAISED, config_revision: '1000' });
        return Reflect.get(target, name, receiver);
      },
    });
  };
  for (const member of ['patroni1', 'patroni2']) amend(etcd, 'demo', member, { config_revision: '1' });
  amend(etcd, 'demo', 'patroni3', RAISED);
  const { err } = await ctl(['restart', 'demo', '--pending', '--force'], { etcd });
  expect(err).toBe('');
  expect(asked().map((line) => line.split(' ')[0])).toEqual(['patroni2', 'patroni3', 'patroni1']);
});

test('a member that does not take the configuration over is named, and not waited for without end', async () => {
  etcd.put('demo', 'config', { ttl: 20 });
  amend(etcd, 'demo', 'patroni2', { config_revision: '1' });
  amend(etcd, 'demo', 'patroni3', { config_revision: '1', state: 'stopped' });
  const { err } = await ctl(['restart', 'demo', 'patroni1', '--force'], { etcd });
  expect(err).toBe('Warning: not yet applied by patroni2: whether it needs a restart is not known\n');
});

test('restart of a leader with a higher limit than its replicas have warns', async () => {
  for (const member of ['patroni1', 'patroni2', 'patroni3']) amend(etcd, 'demo', member, RAISED);
  const { err } = await ctl(['restart', 'demo', 'patroni1', '--force'], { etcd });
  expect(err).toBe(
    'Warning: patroni1 leads and will have a higher max_connections than patroni2, patroni3: replay stops there, and they restart for it, perhaps all at once. Restart the replicas first.\n',
  );
  expect((await ctl(['restart', 'demo', 'patroni2', '--force'], { etcd })).err).toBe('');
  const lowered = { pending_restart_reason: { max_connections: { old_value: '200', new_value: '100' } } };
  for (const member of ['patroni1', 'patroni2', 'patroni3']) amend(etcd, 'demo', member, lowered);
  expect((await ctl(['restart', 'demo', 'patroni1', '--force'], { etcd })).err).toBe('');
});

test('restart begins with a member that did not come up, and goes no further if it fails again', async () => {
  amend(etcd, 'demo', 'patroni3', { state: 'start failed' });
  members.answer(({ member }) => (member === 'patroni3' ? { status: 503, text: 'restart failed' } : 'restarted successfully'));
  const { code, out, err } = await ctl(['restart', 'demo', '--force'], { etcd });
  expect([code, err]).toEqual([1, '']);
  expect(out).toContain('Not restarted: patroni1, patroni2, because a restart failed.');
  expect(asked()).toEqual(['patroni3 POST /restart {}']);
});

test('restart of others warns of a member that did not come up', async () => {
  amend(etcd, 'demo', 'patroni3', { state: 'start failed' });
  members.answer(() => 'restarted successfully');
  const { code, err } = await ctl(['restart', 'demo', 'patroni1', 'patroni2', '--force'], { etcd });
  expect([code, err]).toEqual([0, expect.stringMatching(/^Warning: the state of patroni3 is 'start failed'\. What keeps it/)]);
});
