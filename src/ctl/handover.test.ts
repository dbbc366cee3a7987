import { beforeEach, expect, test } from 'vitest';
import { amend, ctl, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../test/fixtures/ctl.ts';
import { operatorName } from './operator-name.ts';

const members = tutorialMembers();
let etcd: MemoryEtcd;

beforeEach(() => {
  members.answer(() => 'Successfully switched over to "patroni2"');
  etcd = tutorialCluster('demo', members.urlOf);
});

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

test("the tutorial's switchover asks nothing and posts to the leader", async () => {
  const { code, out, err } = await ctl(['switchover', '--master', 'patroni1', '--candidate', 'patroni2', '--force'], { etcd });
  expect([code, err]).toEqual([0, '']);
  expect(members.asked).toEqual([
    { member: 'patroni1', what: 'POST /switchover', body: '{"leader": "patroni1", "candidate": "patroni2"}', authorization: null },
  ]);
  expect(out).toMatch(/^Current cluster topology\n\+ Cluster: demo \(7234567890123456789\) /);
  expect(out).toMatch(/\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{5} Successfully switched over to "patroni2"\n\+ Cluster: demo /);
});

test.each(['--leader', '--primary', '--master'])('%s names the leader', async (option) => {
  await ctl(['switchover', option, 'patroni1', '--force'], { etcd });
  expect(members.asked[0]?.body).toBe('{"leader": "patroni1"}');
  const wrong = await ctl(['switchover', option, 'patroni2', '--force'], { etcd });
  expect(wrong).toMatchObject({
    code: 1,
    err:
      'Error: Member patroni2 is not the leader of cluster demo\n' +
      'The leader is patroni1. Use: regentctl switchover demo --leader patroni1 --force\n',
  });
  expect(members.asked).toHaveLength(1);
});

test.each([
  [
    ['-k', 'switchover', '--master', 'patroni3', '--candidate', 'patroni2', '--scheduled', '2030-01-01T00:00Z'],
    'Member patroni3 is not the leader of cluster demo\nThe leader is patroni1. Use: patronictl -k switchover demo ' +
      '--leader patroni1 --candidate patroni2 --scheduled 2030-01-01T00:00Z',
  ],
  [
    ['switchover', '--master', 'patroni3', '--candidate', 'patroni1', '--force'],
    'Member patroni3 is not the leader of cluster demo\npatroni1, the candidate, is already the leader: there is nothing to do',
  ],
  [
    ['switchover', '--master', 'patroni9', '--force'],
    'Member patroni9 is not the leader of cluster demo\n' +
      'patroni9 is not one of its members. The leader is patroni1. Use: patronictl switchover demo --leader patroni1 --force',
  ],
])('%j is told which member leads, and what to type', async (words, message) => {
  const { code, err } = await ctl(words, { etcd, program: 'patronictl' });
  expect([code, err]).toEqual([1, `Error: ${message}\n`]);
  expect(members.asked).toEqual([]);
});

test('asked for everything, with defaults', async () => {
  const { code, out } = await ctl(['switchover'], { etcd, input: '\n\n\ny\n' });
  expect(code).toBe(0);
  expect(out).toContain('Primary [patroni1]: ');
  expect(out).toContain("Candidate ['patroni2', 'patroni3'] []: ");
  expect(out).toMatch(/When should the switchover take place \(e\.g\. \d{4}-\d\d-\d\dT\d\d:\d\d \) {2}\[now\]: /);
  expect(out).toContain('Are you sure you want to switchover cluster demo, demoting current leader patroni1? [y/N]: ');
  expect(members.asked.map(({ body }) => body)).toEqual(['{"leader": "patroni1"}']);
});

test('scheduled', async () => {
  members.answer(() => ({ status: 202, text: 'Switchover scheduled' }));
  const { code, out } = await ctl(
    ['switchover', '--leader', 'patroni1', '--candidate', 'patroni3', '--scheduled', '2030-01-01T12:00+01:00'],
    {
      etcd,
      input: 'maybe\ny\n',
    },
  );
  expect(code).toBe(0);
  const question =
    'Are you sure you want to schedule switchover of cluster demo at 2030-01-01T12:00:00+01:00, demoting current leader patroni1? [y/N]: ';
  expect(out).toContain(`${question}Error: invalid input\n${question}`);
  expect(members.asked[0]?.body).toBe('{"leader": "patroni1", "candidate": "patroni3", "scheduled_at": "2030-01-01T12:00:00+01:00"}');
});

test('no, and the end of the input', async () => {
  expect(await ctl(['switchover'], { etcd, input: '\n\n\nn\n' })).toMatchObject({ code: 1, err: 'Error: Aborting switchover\n' });
  expect(await ctl(['switchover', '--scheduled', '2030-01-01T00:00Z'], { etcd, input: '\n\n\n' })).toMatchObject({
    code: 1,
    err: 'Error: Aborting scheduled switchover\n',
  });
  expect(await ctl(['switchover'], { etcd, input: '\n' })).toMatchObject({ code: 1, err: 'Aborted!\n' });
  expect(members.asked).toEqual([]);
});

test.each([
  [['switchover', '--candidate', 'patroni1', '--force'], 'Member patroni1 is already the leader of cluster demo'],
  [
    ['switchover', '--candidate', 'patroni9', '--force'],
    "Member patroni9 does not exist in cluster demo or is tagged as nofailover\nThere is no member 'patroni9' in cluster demo; " +
      'members: patroni1, patroni2, patroni3. Candidates: patroni2, patroni3',
  ],
  [
    ['switchover', '--scheduled', 'soon', '--force'],
    'Unable to parse scheduled timestamp (soon). It should be in an unambiguous format (e.g. ISO 8601)',
  ],
  [['failover', '--force'], 'Failover could be performed only to a specific candidate'],
  [
    ['switchover', 'other', '--force'],
    "This cluster has no leader\nThere is no cluster 'other': etcd has no keys below /service/other/\n" +
      'The configured cluster is demo; members: patroni1, patroni2, patroni3',
  ],
])('%j is refused', async (words, message) => {
  expect(await ctl(words, { etcd })).toMatchObject({ code: 1, err: `Error: ${message}\n` });
  expect(members.asked).toEqual([]);
});

test('a paused cluster takes no schedule', async () => {
  etcd.put('demo', 'config', { pause: true });
  const { err } = await ctl(['switchover', '--scheduled', '2030-01-01T00:00Z', '--force'], { etcd });
  expect(err).toBe("Error: Can't schedule switchover in the paused state\n");
});

test('a member that may not lead is no candidate', async () => {
  amend(etcd, 'demo', 'patroni2', { tags: { nofailover: true } });
  const { err: refused } = await ctl(['switchover', '--candidate', 'patroni2', '--force'], { etcd });
  expect(refused).toBe(
    'Error: Member patroni2 does not exist in cluster demo or is tagged as nofailover\nIt is tagged as nofailover. Candidates: patroni3\n',
  );
  amend(etcd, 'demo', 'patroni3', { tags: { failover_priority: 0 } });
  const { err } = await ctl(['switchover', '--force'], { etcd });
  expect(err).toBe('Error: No candidates found to switchover to\n');
});

test('failover names the candidate only', async () => {
  const { out } = await ctl(['failover'], { etcd, input: 'patroni3\ny\n' });
  expect(out).toContain('Are you sure you want to failover cluster demo, demoting current leader patroni1? [y/N]: ');
  expect(members.asked).toMatchObject([{ member: 'patroni1', what: 'POST /failover', body: '{"candidate": "patroni3"}' }]);
});

test('failover to a node that may lack commits asks once more', async () => {
  etcd
    .put('demo', 'config', { synchronous_mode: 'quorum' })
    .put('demo', 'sync', { leader: 'patroni1', quorum: 1, sync_standby: 'Patroni2' });
  const refused = await ctl(['failover', '--candidate', 'patroni3'], { etcd, input: 'n\n' });
  expect(refused.out).toContain('Are you sure you want to failover to the asynchronous node patroni3? [y/N]: ');
  expect(refused).toMatchObject({ code: 1, err: 'Error: Aborting failover\n' });
  const synchronous = await ctl(['failover', '--candidate', 'patroni2'], { etcd, input: 'y\n' });
  expect(synchronous.out).not.toContain('asynchronous');
});

test('without a leader the candidate itself is asked', async () => {
  etcd.put('demo', 'leader', 'nobody');
  await ctl(['failover', '--candidate', 'patroni3', '--force'], { etcd });
  expect(members.asked).toMatchObject([{ member: 'patroni3', what: 'POST /failover' }]);
});

test('a refusal is shown, without a table after it', async () => {
  members.answer(() => ({ status: 412, text: 'leader name does not match' }));
  const failed = await ctl(['switchover', '--force'], { etcd });
  expect(failed.code).toBe(1);
  expect(lastLine(failed.out)).toBe('Switchover failed, details: 412, leader name does not match');
  members.answer(() => ({ status: 503, text: 'Switchover status unknown after 20 seconds; operation may still be in progress' }));
  const unknown = await ctl(['switchover', '--force'], { etcd, program: 'patronictl' });
  expect([unknown.code, lastLine(unknown.out)]).toEqual([1, expect.stringMatching(/^Switchover result unknown, details: 503, /)]);
});

test('a leader other than the requested one is no success', async () => {
  members.answer(() => 'Switched over to "patroni3" instead of "patroni2"');
  const { code, out } = await ctl(['switchover', '--candidate', 'patroni2', '--force'], { etcd });
  expect([code, out]).toEqual([1, expect.stringContaining('instead of "patroni2"\n+ Cluster')]);
});

test.each([
  ['switchover --force', 'Error: This cluster has no leader\n'],
  ['failover --candidate patroni2 --force', 'Error: No candidates found to failover to\n'],
  ['pause', 'Error: Can not find accessible cluster member\n'],
  ['dsn', 'Error: Can not find a suitable member\n'],
  ['edit-config -s ttl=20', 'Error: The config key does not exist in the cluster misspelt\n'],
  ['list', ''],
  ['list -f json', ''],
  ['topology', ''],
  ['history', ''],
  ['show-config', ''],
  ['query -c x', ''],
  ['version', ''],
])('%s of a name that no cluster has', async (line, refusal) => {
  const [command = '', ...words] = line.split(' ');
  const { code, err } = await ctl([command, 'misspelt', ...words], { etcd });
  expect([code, err]).toEqual([
    1,
    `${refusal}There is no cluster 'misspelt': etcd has no keys below /service/misspelt/\n` +
      'The configured cluster is demo; members: patroni1, patroni2, patroni3\n',
  ]);
});

test('a cluster without a leader is distinguished from one that does not exist', async () => {
  etcd.remove('demo', 'leader');
  const { code, err } = await ctl(['switchover', '--force'], { etcd });
  expect([code, err]).toEqual([
    1,
    'Error: This cluster has no leader\nWait for the election, or name a candidate: regentctl failover demo --candidate MEMBER\n',
  ]);
  etcd.put('demo', 'config', { pause: true });
  expect((await ctl(['switchover', '--force'], { etcd })).err).toContain(
    'It is paused, so nobody is elected: regentctl resume demo, or name a candidate',
  );
});

test('where nobody can be elected, a switchover is not told to wait, but what would help', async () => {
  etcd
    .put('demo', 'config', { synchronous_mode: 'quorum' })
    .put('demo', 'sync', { leader: 'patroni1', quorum: 1, sync_standby: 'patroni2,patroni3' })
    .remove('demo', 'leader');
  etcd.remove('demo', 'members/patroni1');
  amend(etcd, 'demo', 'patroni3', { api_url: 'http://127.0.0.1:1/patroni' });
  const { err } = await ctl(['switchover', '--force'], { etcd });
  expect(err).toBe(
    'Error: This cluster has no leader\n' +
      'Nobody can be elected: only patroni1, or patroni2 and patroni3, surely have every acknowledged commit, and of these only patroni2 is there.\n' +
      'Start one of patroni1, patroni3: then a leader is elected, and nothing is lost. ' +
      'Or name a candidate: regentctl failover demo --candidate MEMBER\n',
  );
  // The question comes after the cost.
  const asked = await ctl(['failover', '--candidate', 'patroni2'], { etcd, input: 'n\n' });
  expect(asked).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^Warning: acknowledged commits may be lost: [\s\S]*\nError: Aborting failover\n$/),
  });
});

test('a failover from a leader that answers, which hands over in good order, has no cost to tell', async () => {
  expect((await ctl(['failover', '--candidate', 'patroni2', '--force'], { etcd })).err).toBe('');
  etcd.put('demo', 'status', { optime: 67109865 });
  amend(etcd, 'demo', 'patroni1', { api_url: 'http://127.0.0.1:1/patroni' });
  expect((await ctl(['failover', '--candidate', 'patroni2', '--force'], { etcd })).err).toMatch(
    /^Warning: acknowledged commits may be lost: synchronous_mode is off.*\nWarning: patroni2 has WAL up to .* 1 bytes? more/,
  );
});

test('a candidate that has no copy of a permanent logical slot is named before the question, with what that costs', async () => {
  const slots = { app: { type: 'logical', database: 'shop', plugin: 'pgoutput' }, dr: { type: 'physical' } };
  etcd.put('demo', 'config', { slots });
  const missing: Record<string, string[] | undefined> = { patroni2: ['app'], patroni3: [] };
  members.answer(({ member, what }) =>
    what === 'GET /patroni'
      ? JSON.stringify({ regent: { missing_logical_slots: missing[member] ?? null } })
      : 'Successfully switched over to "patroni2"',
  );
  const lacks =
    'Warning: patroni2 has no copy of the permanent logical slot app: if it is promoted, it is created again, and its consumer misses what was written meanwhile\n';
  const to = async (...words: string[]) => (await ctl([...words, '--force'], { etcd })).err;
  expect(await to('switchover', '--candidate', 'patroni2')).toBe(lacks);
  expect(await to('failover', '--candidate', 'patroni2')).toBe(lacks);
  // Any of them may be chosen.
  expect(await to('switchover')).toBe(lacks);
  expect(await to('switchover', '--candidate', 'patroni3')).toBe('');
  expect((await ctl(['switchover'], { etcd, input: '\npatroni2\n\nn\n' })).err).toBe(`${lacks}Error: Aborting switchover\n`);
  missing['patroni3'] = undefined;
  expect(await to('switchover', '--candidate', 'patroni3')).toBe(
    'Warning: whether patroni3 has a copy of app (permanent, logical) is not known: it does not tell (it runs Patroni, or an older Regent)\n',
  );
  members.asked.length = 0;
  etcd.put('demo', 'config', { slots: { dr: {} } });
  expect(await to('switchover', '--candidate', 'patroni2')).toBe('');
  expect(members.asked.map(({ what }) => what)).toEqual(['POST /switchover']);
});

test('a member too old for /switchover is asked for /failover', async () => {
  members.answer(({ what }) => (what === 'POST /switchover' ? { status: 501, text: 'Server does not support this operation' } : 'done'));
  await ctl(['switchover', '--force'], { etcd });
  expect(members.asked.map(({ what }) => what)).toEqual(['POST /switchover', 'POST /failover']);
});

test('when the leader cannot be asked, the request goes into etcd', async () => {
  amend(etcd, 'demo', 'patroni1', { api_url: 'http://127.0.0.1:1/patroni' });
  const { code, out, err } = await ctl(['switchover', '--candidate', 'patroni2', '--scheduled', '2030-01-01T00:00Z', '--force'], { etcd });
  expect(code).toBe(0);
  expect(out).toMatch(/\n[-\d]{10} [:.\d]{14} Could not switchover using Patroni api, falling back to DCS\n\+ Cluster/);
  expect(err).toContain('WARNING - member patroni1 does not answer on http://127.0.0.1:1: ');
  const { requested_by, requested_at, ...request } = JSON.parse(etcd.get('demo', 'failover')!);
  expect(request).toEqual({ leader: 'patroni1', member: 'patroni2', scheduled_at: '2030-01-01T00:00:00+00:00' });
  expect([requested_by, requested_at]).toEqual([operatorName(), expect.stringMatching(/T.*\+00:00$/)]);
});

/** What the other agents do after so many looks at etcd. */
function meanwhile(looks: number, change: () => void): void {
  const open = etcd.open.bind(etcd);
  let reads = 0;
  etcd.open = (scope) =>
    new Proxy(open(scope), {
      get: (target, name, receiver) => {
        if (name === 'read' && ++reads === looks) change();
        return Reflect.get(target, name, receiver);
      },
    });
}

test.each<[string, () => void, number, RegExp]>([
  [
    'carried out',
    () => {
      amend(etcd, 'demo', 'patroni2', { role: 'primary' });
      etcd.put('demo', 'leader', 'patroni2').put('demo', 'failover', {});
    },
    0,
    / Successfully switched over to "patroni2"\n\+ Cluster/,
  ],
  [
    'carried out by another',
    () => {
      amend(etcd, 'demo', 'patroni3', { role: 'primary' });
      etcd.put('demo', 'leader', 'patroni3').put('demo', 'failover', {});
    },
    1,
    / Switchover failed: "patroni3" leads now, not "patroni2"\n/,
  ],
  ['dropped', () => etcd.remove('demo', 'failover'), 1, / Switchover failed: the log of patroni1 says why\n/],
  [
    'left as it is',
    () => undefined,
    1,
    / Switchover result unknown after 20 seconds; the request is still in etcd and may be carried out later\n/,
  ],
])('a request that went into etcd is %s', async (_what, change, exitCode, said) => {
  amend(etcd, 'demo', 'patroni1', { api_url: 'http://127.0.0.1:1/patroni' });
  meanwhile(4, change);
  const { code, out } = await ctl(['switchover', '--candidate', 'patroni2', '--force'], { etcd });
  expect([code, out]).toEqual([exitCode, expect.stringMatching(said)]);
});

test('credentials go along', async () => {
  await ctl(['switchover', '--force'], { etcd, env: { PATRONI_RESTAPI_USERNAME: 'admin', PATRONI_RESTAPI_PASSWORD: 'sécret' } });
  const expected = `Basic ${Buffer.from('admin:sécret').toString('base64')}`;
  expect(members.asked[0]?.authorization).toBe(expected);
});

test('after a failover to the last one left, commits wait, and standard error says so', async () => {
  const done = () => {
    etcd.put('demo', 'leader', 'patroni2');
    return 'Successfully failed over to "patroni2"';
  };
  members.answer(done);
  etcd
    .put('demo', 'config', { synchronous_mode: 'quorum' })
    .put('demo', 'sync', { leader: 'patroni1', quorum: 1, sync_standby: 'patroni2,patroni3' });
  const words = ['failover', '--candidate', 'patroni2', '--force'];
  expect(await ctl(words, { etcd })).toMatchObject({ code: 0, err: '' });
  etcd.put('demo', 'leader', 'nobody');
  etcd.remove('demo', 'members/patroni1');
  amend(etcd, 'demo', 'patroni3', { api_url: 'http://127.0.0.1:1/patroni' });
  expect(await ctl(words, { etcd })).toMatchObject({
    code: 0,
    err:
      'Warning: acknowledged commits may be lost: each is on patroni1 and on 1 of patroni2, patroni3, of which patroni1, patroni3 are not there\n' +
      'Warning: patroni2 has WAL up to 0/40003E8, and nobody told a later position; what the last leader wrote after it last told its ' +
      'position (every 2 s) is not known\n' +
      'Warning: to lose nothing, start one of patroni1, patroni3: then a leader is elected, and nothing is lost\n' +
      'Commits on patroni2 still wait: its synchronous standbys do not answer (patroni3, patroni1). ' +
      'They go on when it has dropped them, or one is back.\n',
  });
});
