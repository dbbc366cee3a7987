import { describe, expect, test } from 'vitest';
import { amend, ctl, MemoryEtcd, tutorialCluster } from '../../../test/fixtures/ctl.ts';
import { DcsError } from '../../support/errors.ts';

test('the columns of the tutorial', async () => {
  const { code, out, err } = await ctl(['list'], { etcd: tutorialCluster() });
  expect([code, err]).toEqual([0, '']);
  expect(`\n${out}`).toBe(`
+ Cluster: demo (7234567890123456789) --------+----+-----------+
| Member   | Host       | Role    | State     | TL | Lag in MB |
+----------+------------+---------+-----------+----+-----------+
| patroni1 | 172.20.0.4 | Leader  | running   |  1 |           |
| patroni2 | 172.20.0.5 | Replica | streaming |  1 |         0 |
| patroni3 | 172.20.0.6 | Replica | streaming |  1 |         0 |
+----------+------------+---------+-----------+----+-----------+
`);
});

test('4.1: positions and both lags', async () => {
  const etcd = tutorialCluster()
    .put('demo', 'config', { synchronous_mode: true })
    .put('demo', 'sync', { leader: 'patroni1', quorum: 0, sync_standby: 'patroni2' });
  amend(etcd, 'demo', 'patroni2', { replay_lsn: 67109864 - 34_000_000 });
  amend(etcd, 'demo', 'patroni3', {
    receive_lsn: null,
    replay_lsn: null,
    xlog_location: null,
    replication_state: 'in archive recovery',
    timeline: null,
  });
  const { out } = await ctl(['list', '--lsn'], { etcd });
  expect(`\n${out}`).toMatchInlineSnapshot(`
    "
    + Cluster: demo (7234567890123456789) -+---------------------+----+-------------+-----+------------+-----+
    | Member   | Host       | Role         | State               | TL | Receive LSN | Lag | Replay LSN | Lag |
    +----------+------------+--------------+---------------------+----+-------------+-----+------------+-----+
    | patroni1 | 172.20.0.4 | Leader       | running             |  1 |             |     |            |     |
    | patroni2 | 172.20.0.5 | Sync Standby | streaming           |  1 |   0/40003E8 |   0 |  0/1F93768 |  32 |
    | patroni3 | 172.20.0.6 | Replica      | in archive recovery |    |     unknown |     |    unknown |     |
    +----------+------------+--------------+---------------------+----+-------------+-----+------------+-----+
    "
  `);
  const { out: short } = await ctl(['list'], { etcd });
  expect(`\n${short}`).toMatchInlineSnapshot(`
    "
    + Cluster: demo (7234567890123456789) -+---------------------+----+-----------+
    | Member   | Host       | Role         | State               | TL | Lag in MB |
    +----------+------------+--------------+---------------------+----+-----------+
    | patroni1 | 172.20.0.4 | Leader       | running             |  1 |           |
    | patroni2 | 172.20.0.5 | Sync Standby | streaming           |  1 |         0 |
    | patroni3 | 172.20.0.6 | Replica      | in archive recovery |    |   unknown |
    +----------+------------+--------------+---------------------+----+-----------+
    "
  `);
});

test('a member whose files are not up to date is named below the table', async () => {
  const etcd = tutorialCluster();
  amend(etcd, 'demo', 'patroni2', { files_outdated: '/d/pg_hba.conf: line 3: invalid connection type "hots"' });
  const { out } = await ctl(['list'], { etcd });
  expect(out).toContain('\n patroni2 runs without its newest settings: /d/pg_hba.conf: line 3: invalid connection type "hots"\n');
});

test('ports once a port is unusual, tags and pending restarts once there are any', async () => {
  const etcd = tutorialCluster();
  amend(etcd, 'demo', 'patroni3', {
    conn_url: 'postgres://172.20.0.6:5433/postgres',
    tags: { nofailover: true, dc: 'east' },
    pending_restart: true,
    pending_restart_reason: {
      max_connections: { old_value: '100', new_value: '200' },
      shared_preload_libraries: { old_value: 'a'.repeat(40), new_value: '' },
    },
    scheduled_restart: { schedule: '2030-01-01T00:00:00+00:00', postgres_version: '15.9', postmaster_start_time: 'x' },
  });
  expect(`\n${(await ctl(['list'], { etcd })).out}`).toMatchInlineSnapshot(`
    "
    + Cluster: demo (7234567890123456789) -+-----------+----+-----------+-----------------+-----------------------------------------------+---------------------------------------------+------------------+
    | Member   | Host            | Role    | State     | TL | Lag in MB | Pending restart | Pending restart reason                        | Scheduled restart                           | Tags             |
    +----------+-----------------+---------+-----------+----+-----------+-----------------+-----------------------------------------------+---------------------------------------------+------------------+
    | patroni1 | 172.20.0.4:5432 | Leader  | running   |  1 |           |                 |                                               |                                             |                  |
    +----------+-----------------+---------+-----------+----+-----------+-----------------+-----------------------------------------------+---------------------------------------------+------------------+
    | patroni2 | 172.20.0.5:5432 | Replica | streaming |  1 |         0 |                 |                                               |                                             |                  |
    +----------+-----------------+---------+-----------+----+-----------+-----------------+-----------------------------------------------+---------------------------------------------+------------------+
    | patroni3 | 172.20.0.6:5433 | Replica | streaming |  1 |         0 | *               | max_connections: 100->200                     | 2030-01-01T00:00:00+00:00 if version < 15.9 | dc: east         |
    |          |                 |         |           |    |           |                 | shared_preload_libraries: [hidden - too long] |                                             | nofailover: true |
    +----------+-----------------+---------+-----------+----+-----------+-----------------+-----------------------------------------------+---------------------------------------------+------------------+
    "
  `);
  expect(`\n${(await ctl(['list', '-f', 'tsv'], { etcd })).out}`).toMatchInlineSnapshot(`
    "
    Cluster	Member	Host	Role	State	TL	Receive LSN	Receive Lag	Replay LSN	Replay Lag	Pending restart	Pending restart reason	Scheduled restart	Tags
    demo	patroni1	172.20.0.4:5432	Leader	running	1								
    demo	patroni2	172.20.0.5:5432	Replica	streaming	1	0/40003E8	0	0/40003E8	0				
    demo	patroni3	172.20.0.6:5433	Replica	streaming	1	0/40003E8	0	0/40003E8	0	*	max_connections: 100->200 shared_preload_libraries: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa->	2030-01-01T00:00:00+00:00 if version < 15.9	{dc: east, nofailover: true}
    "
  `);
});

test('machine formats leave out what is empty; yaml ends with an empty line', async () => {
  const etcd = tutorialCluster();
  const { out } = await ctl(['list', '-f', 'json'], { etcd });
  expect(out.split('\n')).toHaveLength(2);
  expect(JSON.parse(out)).toEqual([
    { Cluster: 'demo', Member: 'patroni1', Host: '172.20.0.4', Role: 'Leader', State: 'running', TL: 1 },
    ...['patroni2', 'patroni3'].map((name, index) => ({
      Cluster: 'demo',
      Member: name,
      Host: `172.20.0.${5 + index}`,
      Role: 'Replica',
      State: 'streaming',
      TL: 1,
      'Receive LSN': '0/40003E8',
      'Receive Lag': 0,
      'Replay LSN': '0/40003E8',
      'Replay Lag': 0,
    })),
  ]);
  const yaml = await ctl(['list', '-f', 'yaml'], { etcd });
  expect(
    yaml.out.startsWith(
      '- Cluster: demo\n  Host: 172.20.0.4\n  Member: patroni1\n  Role: Leader\n  State: running\n  TL: 1\n- Cluster: demo\n',
    ),
  ).toBe(true);
  expect(yaml.out.endsWith('TL: 1\n\n')).toBe(true);
});

test('all columns with -e, the time with -t, several clusters', async () => {
  const etcd = tutorialCluster();
  const { out } = await ctl(['list', '-e', '-t', 'demo', 'other'], { etcd });
  const lines = out.split('\n');
  expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  expect(lines[2]).toContain('| Pending restart | Pending restart reason | Scheduled restart | Tags |');
  expect(out).toContain('+ Cluster: other (uninitialized) -');
});

test('a footer says that failover is off, and what is scheduled', async () => {
  const etcd = tutorialCluster()
    .put('demo', 'config', { pause: true })
    .put('demo', 'failover', { leader: 'patroni1', member: 'patroni2', scheduled_at: '2030-01-01T00:00:00+00:00' })
    .put('demo', 'initialize', '');
  const { out } = await ctl(['list'], { etcd });
  expect(out).toContain('+ Cluster: demo (initializing) -');
  expect(out.split('\n').slice(-5)).toEqual([
    ' Maintenance mode: on',
    ' Switchover scheduled at: 2030-01-01T00:00:00+00:00',
    '                    from: patroni1',
    '                      to: patroni2',
    '',
  ]);
});

test('topology: the leader, and the source of each replica', async () => {
  const etcd = tutorialCluster();
  amend(etcd, 'demo', 'patroni2', { tags: { replicatefrom: 'patroni3' } });
  expect(`\n${(await ctl(['topology'], { etcd })).out}`).toMatchInlineSnapshot(`
    "
    + Cluster: demo (7234567890123456789) +-----------+----+-----------+---------------------------+
    | Member       | Host       | Role    | State     | TL | Lag in MB | Tags                      |
    +--------------+------------+---------+-----------+----+-----------+---------------------------+
    | patroni1     | 172.20.0.4 | Leader  | running   |  1 |           |                           |
    | + patroni3   | 172.20.0.6 | Replica | streaming |  1 |         0 |                           |
    |   + patroni2 | 172.20.0.5 | Replica | streaming |  1 |         0 | {replicatefrom: patroni3} |
    +--------------+------------+---------+-----------+----+-----------+---------------------------+
    "
  `);
});

test('topology: members that wait for each other are shown as well', async () => {
  const etcd = tutorialCluster();
  amend(etcd, 'demo', 'patroni2', { tags: { replicatefrom: 'patroni3' } });
  amend(etcd, 'demo', 'patroni3', { tags: { replicatefrom: 'patroni2' } });
  const { out } = await ctl(['topology'], { etcd });
  expect(out.match(/\+ patroni[23]/g)?.sort()).toEqual(['+ patroni2', '+ patroni3']);
});

test('-W shows it again and again and ends quietly on Ctrl-C', async () => {
  const { code, out, err } = await ctl(['list', '-W'], { etcd: tutorialCluster(), interruptAfter: { text: '+ Cluster: demo', times: 3 } });
  expect([code, err]).toEqual([0, '']);
  expect(out.split('+ Cluster: demo')).toHaveLength(4);
  expect(out).not.toContain('\u001b');
  const onTerminal = await ctl(['list', '-w', '5'], {
    etcd: tutorialCluster(),
    tty: true,
    interruptAfter: { text: '+ Cluster: demo', times: 2 },
  });
  expect(onTerminal.out.startsWith('\u001b[2J\u001b[1;1H+ Cluster: demo')).toBe(true);
});

describe('-W when etcd fails', () => {
  const failure = new DcsError('DCS_UNREACHABLE', 'etcd did not answer (http://10.0.0.1:2379: ECONNREFUSED)');
  /** Reads that fail, by number. */
  function failing(...reads: number[]): MemoryEtcd {
    const etcd = tutorialCluster();
    const open = etcd.open.bind(etcd);
    let count = 0;
    etcd.open = (scope) =>
      new Proxy(open(scope), {
        get: (target, name, receiver) => {
          if (name === 'read') etcd.failure = reads.includes(++count) ? failure : null;
          return Reflect.get(target, name, receiver);
        },
      });
    return etcd;
  }

  test('goes on, and says since when what is shown is old', async () => {
    const run = { etcd: failing(2, 3), tty: true, interruptAfter: { text: '\u001b[2J', times: 4 } };
    const { code, out, err } = await ctl(['list', '-W'], run);
    expect([code, err]).toEqual([0, '']);
    const [first, second, third, fourth] = out.split('\u001b[2J\u001b[1;1H').slice(1);
    const stamp = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
    expect(second!.startsWith(first!)).toBe(true);
    expect(second!.slice(first!.length)).toMatch(
      new RegExp(`^ Not current: as of ${stamp}\\. etcd cannot be read since ${stamp}: etcd did not answer .*ECONNREFUSED\\)\\n$`),
    );
    // Since the first of them.
    expect(third).toBe(second);
    expect(fourth).not.toContain('Not current');
  });

  test('begins where etcd cannot be read yet', async () => {
    const { out } = await ctl(['topology', '-W'], { etcd: failing(1), tty: true, interruptAfter: { text: '+ patroni2', times: 1 } });
    expect(out.startsWith('\u001b[2J\u001b[1;1H etcd cannot be read since ')).toBe(true);
    expect(out).toContain('+ patroni2');
  });

  test('a pipe gets answers only; an outage of etcd and its end are reported once on stderr', async () => {
    const run = { etcd: failing(2, 3), interruptAfter: { text: '"Member": "patroni1"', times: 2 } };
    const { code, out, err } = await ctl(['list', '-W', '-f', 'json'], run);
    expect(code).toBe(0);
    for (const line of out.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveLength(3);
    expect(err).toMatch(/^Not current: .*ECONNREFUSED\)\netcd can be read again\n$/);
  });

  test('nothing but etcd is gone on after', async () => {
    const etcd = tutorialCluster();
    etcd.failure = new Error('a bug');
    expect(await ctl(['list', '-W'], { etcd })).toMatchObject({ code: 1, err: 'Error: a bug\n' });
  });
});

test('an etcd that does not answer is an error with its mend, not a trace', async () => {
  const etcd = new MemoryEtcd();
  etcd.failure = new DcsError('DCS_UNREACHABLE', 'etcd did not answer (http://10.0.0.1:2379: ECONNREFUSED)', { mend: 'Start etcd.' });
  const { code, out, err } = await ctl(['list'], { etcd });
  expect([code, out]).toEqual([1, '']);
  expect(err).toBe('Error: etcd did not answer (http://10.0.0.1:2379: ECONNREFUSED)\nStart etcd.\n');
});

test('no cluster to list', async () => {
  const { code, out, err } = await ctl(['list'], { env: { PATRONI_SCOPE: '' } });
  expect([code, out]).toEqual([0, '']);
  expect(err).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - WARNING - Listing members: No cluster names were provided\n$/);
});

test('history', async () => {
  const etcd = tutorialCluster().put('demo', 'history', [
    [1, 25623960, 'no recovery target specified'],
    [2, 25624000, 'no recovery target specified', '2026-01-01T00:00:00.123456+00:00', 'patroni2'],
  ]);
  expect(`\n${(await ctl(['history'], { etcd })).out}`).toMatchInlineSnapshot(`
    "
    +----+----------+------------------------------+----------------------------------+------------+
    | TL |      LSN | Reason                       | Timestamp                        | New Leader |
    +----+----------+------------------------------+----------------------------------+------------+
    |  1 | 25623960 | no recovery target specified |                                  |            |
    |  2 | 25624000 | no recovery target specified | 2026-01-01T00:00:00.123456+00:00 | patroni2   |
    +----+----------+------------------------------+----------------------------------+------------+
    "
  `);
  expect((await ctl(['history', '-f', 'json'], { etcd })).out).toBe(
    '[{"TL": 1, "LSN": 25623960, "Reason": "no recovery target specified", "Timestamp": "", "New Leader": ""}, ' +
      '{"TL": 2, "LSN": 25624000, "Reason": "no recovery target specified", "Timestamp": "2026-01-01T00:00:00.123456+00:00", "New Leader": "patroni2"}]\n',
  );
});

test('dsn', async () => {
  const etcd = tutorialCluster();
  expect((await ctl(['dsn'], { etcd })).out).toBe('host=172.20.0.4 port=5432\n');
  expect((await ctl(['dsn', '-r', 'replica'], { etcd })).out).toBe('host=172.20.0.5 port=5432\n');
  expect((await ctl(['dsn', '-m', 'patroni3'], { etcd })).out).toBe('host=172.20.0.6 port=5432\n');
  expect(await ctl(['dsn', '-m', 'patroni9'], { etcd })).toEqual({
    code: 1,
    out: '',
    err: "Error: Can not find a suitable member\nThere is no member 'patroni9' in cluster demo; members: patroni1, patroni2, patroni3\n",
  });
  etcd.put('other', 'config', {});
  expect((await ctl(['dsn', 'other'], { etcd })).err).toBe('Error: Can not find a suitable member\n');
  const both = await ctl(['dsn', '-m', 'patroni3', '-r', 'any'], { etcd });
  expect(both.err).toBe('Error: --role and --member are mutually exclusive options\n');
});

test('show-config', async () => {
  const { out } = await ctl(['show-config'], { etcd: tutorialCluster() });
  expect(out).toBe('loop_wait: 10\npostgresql:\n  parameters:\n    max_connections: 100\nretry_timeout: 10\nttl: 30\n\n');
  expect((await ctl(['show-config', 'other'], { etcd: tutorialCluster() })).out).toBe('');
});

test('a primary beside the leader, and a replica that gets no WAL, are shown as such', async () => {
  const etcd = tutorialCluster();
  amend(etcd, 'demo', 'patroni2', { role: 'primary', replication_state: null });
  const trouble = 'not streaming from patroni1: the WAL it needs is gone; reinit: regentctl reinit demo patroni3';
  amend(etcd, 'demo', 'patroni3', { replication_state: null, source_trouble: trouble });
  const { out } = await ctl(['list'], { etcd });
  expect(out).toContain('| patroni1 | 172.20.0.4 | Leader  | running |');
  expect(out).toContain('| patroni2 | 172.20.0.5 | Primary | running |');
  expect(out).toContain('| patroni3 | 172.20.0.6 | Replica | running |');
  expect(out.split('\n').filter((line) => line.includes('the WAL it needs is gone'))).toEqual([` patroni3 is ${trouble}`]);
  const roles = async (...words: string[]) =>
    (JSON.parse((await ctl(['list', '-f', 'json', ...words], { etcd })).out) as { Role: string }[]).map(({ Role }) => Role);
  expect(await roles('--unavailable')).toEqual(['Leader', 'Primary', 'Replica']);
  expect(await roles()).toEqual(['Leader', 'Replica', 'Replica']);
});

test('a standby cluster, and a leader that refuses to follow, with what to do', async () => {
  const etcd = tutorialCluster();
  etcd.put('demo', 'config', { standby_cluster: { host: 'h' } });
  amend(etcd, 'demo', 'patroni1', { role: 'standby_leader' });
  expect((await ctl(['list'], { etcd })).out).toContain(
    '\n Standby cluster: it follows h:5432, and no member takes writes. For a writable cluster again: regentctl promote-cluster demo\n',
  );
  expect((await ctl(['list'], { etcd, program: 'patronictl' })).out).not.toContain('Standby cluster:');
  amend(etcd, 'demo', 'patroni1', { role: 'primary', standby_cluster_refused: 'not becoming a standby leader: x' });
  const { out } = await ctl(['list'], { etcd });
  expect(out).toContain('| patroni1 | 172.20.0.4 | Leader  | running   |');
  expect(out).toContain('\n patroni1 is not becoming a standby leader: x\n');
  expect(out).not.toContain('Standby cluster:');
});

test('without a leader the table is Patroni’s, and standard error says what is the matter', async () => {
  const etcd = tutorialCluster();
  etcd.remove('demo', 'leader');
  const { code, out, err } = await ctl(['list'], { etcd });
  expect([code, err]).toEqual([0, 'Cluster demo has no leader: nobody holds the leader key; patroni1 says that it runs as a primary\n']);
  expect(out).toContain('| patroni1 | 172.20.0.4 | Replica | running   |  1 |         0 |');
  etcd.put('demo', 'config', { pause: true });
  amend(etcd, 'demo', 'patroni1', { role: 'replica' });
  const paused = 'Cluster demo has no leader: nobody holds the leader key; it is paused, so nobody is elected\n';
  expect((await ctl(['topology'], { etcd })).err).toBe(paused);
  const watched = await ctl(['list', '-W'], { etcd, interruptAfter: { text: '+ Cluster: demo', times: 3 } });
  expect(watched).toMatchObject({ code: 0, err: paused });
});

test('which columns: the name decides, a setting overrules it, an option overrules both', async () => {
  const etcd = tutorialCluster();
  const shows = async (words: string[], program: string, env: Record<string, string> = {}) => {
    const { out } = await ctl(['list', ...words], { etcd, program, env });
    return out.includes('Lag in MB') ? 'mb' : 'lsn';
  };
  expect(await shows([], 'regentctl')).toBe('mb');
  expect(await shows([], 'patronictl')).toBe('lsn');
  expect(await shows(['-f', 'json'], 'regentctl')).toBe('lsn');
  expect(await shows([], 'patronictl', { REGENT_LIST_LSN: 'off' })).toBe('mb');
  expect(await shows(['-f', 'tsv'], 'patronictl', { REGENT_LIST_LSN: 'off' })).toBe('mb');
  expect(await shows([], 'regentctl', { REGENT_LIST_LSN: 'on' })).toBe('lsn');
  expect(await shows(['--lsn'], 'regentctl', { REGENT_LIST_LSN: 'off' })).toBe('lsn');
  expect(await shows(['--no-lsn', '-f', 'json'], 'patronictl')).toBe('mb');
  const wrong = await ctl(['list'], { etcd, env: { REGENT_LIST_LSN: 'perhaps' } });
  expect(wrong).toMatchObject({ code: 1, err: "Error: REGENT_LIST_LSN: 'perhaps' is neither on nor off\n" });
});
