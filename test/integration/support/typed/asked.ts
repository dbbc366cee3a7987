/** Commands that ask members to do something. The members answer what the case says. */
import { type Changes, type Differs, DONE, type TypedCases } from './cluster.ts';

const LATER = '2030-01-01T00:00+00:00';
const SCHEDULED = {
  ...DONE,
  'POST /restart': { status: 202, text: 'restart scheduled' },
  'POST /switchover': { status: 202, text: 'Switchover scheduled' },
};
const REFUSED = Object.fromEntries(Object.keys(DONE).map((what) => [what, { status: 503, text: 'no way' }]));
const NOT_DONE: Differs = { why: 'exit code', code: [0, 1] };
const DEAD = { 'members/pg1': { api_url: 'http://127.0.0.1:1/patroni' }, 'members/pg2': { api_url: 'http://127.0.0.1:1/patroni' } };
const NOBODY = { 'members/pg1': null, 'members/pg2': null, 'members/pg3': null };

export const asked: TypedCases = (typed) => {
  const done = (line: string, changes: Changes = {}) => typed(line, { rest: DONE, ...changes });
  handovers(typed, done);
  for (const line of ['pause', 'resume', 'pause nosuch', 'resume nosuch']) done(line);
  const paused = { config: { pause: true, loop_wait: 0 } };
  done('pause', { keys: paused, note: 'paused' });
  done('resume', { keys: paused, note: 'paused' });
  done('pause', { keys: NOBODY, note: 'no members' });
  done('pause', { keys: { leader: null }, note: 'no leader' });
  typed('pause', { rest: REFUSED, note: 'refused', differs: NOT_DONE });
  const seen = { 'members/pg1': { pause: true }, 'members/pg2': { pause: true }, 'members/pg3': { pause: true } };
  done('pause --wait', { keys: seen });
  done('resume --wait', {
    keys: { ...paused, 'members/pg3': { pause: true } },
    note: 'pg3 lags',
    differs: { ...NOT_DONE, out: /\npg3 members didn't recognized pause state after 0 seconds\n/ },
  });
  clusterRoles(typed, done);
  memberCommands(typed, done);
  restarts(typed, done);
  flushes(typed, done);
  removals(typed);
};

type Typer = Parameters<TypedCases>[0];

function handovers(typed: Typer, done: Typer): void {
  for (const line of [
    '',
    ' --candidate pg2',
    ' demo --leader pg1 --candidate pg2',
    ' --primary pg1',
    ' --leader pg2',
    ' --candidate pg1',
    ' --candidate nobody',
    ' --leader nobody',
  ])
    done(`switchover${line} --force`);
  for (const at of ['now', 'soon', LATER, '2030-01-01', '10:30', '2030-01-01T00:00:00.5+01:00'])
    done(`switchover --force --scheduled ${at}`);
  const answers = [
    '',
    '\n\n\ny\n',
    `pg1\npg2\n${LATER}\ny\n`,
    '\n\n\nn\n',
    `\n\n${LATER}\nn\n`,
    'nobody\n',
    '\nnobody\n',
    '\npg1\n',
    '\n\n\nmaybe\nYES\n',
    '\n\nnever\n',
  ];
  for (const input of answers) done('switchover', { input });
  typed('switchover --force', { rest: SCHEDULED, note: 'scheduled' });
  typed('switchover --force', { rest: REFUSED, note: 'refused', differs: NOT_DONE });
  const unknown = { 'POST /switchover': { status: 503, text: 'Switchover status unknown' } };
  typed('switchover --force', {
    rest: unknown,
    note: 'unknown',
    differs: { why: 'result unknown', code: [0, 1], out: /\nSwitchover result unknown, details: 503, / },
  });
  const old = { ...DONE, 'POST /switchover': { status: 501, text: 'Server does not support this operation' } };
  typed('switchover --force', { rest: old, note: 'an old member' });
  for (const line of ['switchover', 'switchover --force', 'failover --force']) done(line, { keys: { leader: null }, note: 'no leader' });
  const told = { why: 'costs are told', err: /^Warning: acknowledged commits may be lost: synchronous_mode is off/ } as const;
  typed('failover --candidate pg2 --force', { rest: DONE, keys: { leader: null }, note: 'no leader', differs: told });
  const nobody = { leader: null, 'members/pg1': null };
  typed('failover --candidate pg2 --force', { rest: DONE, keys: nobody, note: 'nobody leads', differs: told });
  for (const line of ['switchover nosuch', 'failover nosuch --candidate x --force']) done(line);
  const tagged = (...names: string[]) => Object.fromEntries(names.map((name) => [`members/${name}`, { tags: { nofailover: true } }]));
  done('switchover --force', { keys: tagged('pg2', 'pg3'), note: 'nofailover' });
  done('switchover --force --candidate pg2', { keys: tagged('pg2'), note: 'nofailover' });
  done(`switchover --force --scheduled ${LATER}`, { keys: { config: { pause: true } }, note: 'paused' });
  const standby = { config: { standby_cluster: { host: 'x' } }, 'members/pg1': { role: 'standby_leader' } };
  const stays = { why: 'costs are told', err: /^Warning: this is a standby cluster of x:5432: .*\nAborted!\n$/ } as const;
  done('switchover', { keys: standby, note: 'standby cluster', input: '\n\n\n', differs: stays });
  for (const line of ['--candidate pg2', '--candidate nobody', '--candidate pg1', '']) done(`failover ${line} --force`.replace('  ', ' '));
  for (const input of ['pg2\ny\n', '\n', 'pg2\nn\n']) done('failover', { input });
  typed('failover --candidate pg2 --force', { rest: REFUSED, note: 'refused', differs: NOT_DONE });
  const sync = { config: { synchronous_mode: true }, sync: { leader: 'pg1', sync_standby: 'pg2' } };
  for (const input of ['n\n', 'y\nn\n']) done('failover --candidate pg3', { keys: sync, input, note: 'not synchronous' });
  done('failover --candidate pg2', { keys: sync, input: 'y\n', note: 'synchronous' });
  typed(`switchover --force --candidate pg2 --scheduled ${LATER}`, {
    keys: DEAD,
    note: 'the leader does not answer',
    differs: {
      why: 'requested by',
      out: /Could not switchover using Patroni api, falling back to DCS\n/,
      err: / - WARNING - member pg1 does not answer /,
      keys: (keys) =>
        /^\{"leader":"pg1","member":"pg2","scheduled_at":"2030-01-01T00:00:00\+00:00","requested_by":"[^"]+"/.test(
          keys['/service/demo/failover'] ?? '',
        ),
    },
  });
}

function clusterRoles(typed: Typer, done: Typer): void {
  const told = (err: RegExp): Differs => ({ why: 'costs are told', err });
  const failed = told(
    /^Warning: this cluster stops taking writes: .*\n[\s\S]*\nError: Failed to demote demo cluster: Failed to demote demo cluster: /,
  );
  typed('demote-cluster --host x --force', { rest: REFUSED, note: 'refused', differs: failed });
  const standby = { config: { standby_cluster: { host: 'x' } }, 'members/pg1': { role: 'standby_leader' } };
  for (const line of [
    'demote-cluster --force',
    'demote-cluster nosuch --host x --force',
    'promote-cluster nosuch --force',
    'promote-cluster --force',
  ])
    done(line);
  done('demote-cluster --host x --force', { keys: standby, note: 'is one' });
  done('demote-cluster --host x', { input: 'n\n', differs: told(/^Warning: [\s\S]*\nError: Aborted cluster demotion\n$/) });
  done('promote-cluster', {
    keys: standby,
    input: 'n\n',
    differs: told(/^Warning: this cluster takes writes afterwards[\s\S]*\nError: Aborted cluster promotion\n$/),
  });
  done('promote-cluster --force', { keys: { leader: null }, note: 'no leader' });
}

function memberCommands(typed: Typer, done: Typer): void {
  for (const command of ['reload', 'restart', 'reinit', 'flush']) {
    const end = command === 'flush' ? ' restart' : '';
    const roles = command === 'reinit' ? [] : ['--role replica', '-r primary', '-r standby-leader'];
    for (const words of ['pg2', 'nobody', 'pg2 pg3', ...roles]) done(`${command} demo ${words} --force${end}`);
    done(`${command} nosuch${end}`);
    done(`${command} demo pg2 nobody --force${end}`, {
      differs: {
        why: 'all names count',
        code: [0, 1],
        out: /\| pg3 .*\n.*\n$/,
        err: /^Error: nobody is not a member of cluster\n/,
        asked: /^$/,
      },
    });
    typed(`${command} demo pg2${end}`, { rest: DONE, input: 'n\n' });
    if (command !== 'flush') typed(`${command} demo pg2${end} --force`, { rest: REFUSED, note: 'refused', differs: NOT_DONE });
  }
  typed('reload demo --force', { rest: { 'POST /reload': 'nothing changed' }, note: 'nothing changed' });
  done('reload demo', { input: 'y\n' });
  for (const input of ['pg2\ny\n', 'nobody\n', 'pg1\n', '\n']) done('reinit demo', { input });
  done('reinit demo pg2 --from-leader --force');
  done('reinit demo pg1 --force');
  done('reinit demo --force', { differs: { why: 'reinit by name', code: [0, 1], err: /^Error: Name the member/ } });
  const busy = { 'POST /reinitialize': { status: 503, text: 'reinitialize already in progress' } };
  typed('reinit demo pg2', { rest: busy, input: 'y\nn\n', differs: NOT_DONE });
  typed('reinit demo pg2', { rest: busy, input: 'y\ny\n', differs: { why: 'asks once', out: /in progress\)\n$/, err: /^$/ } });
  const copied = { 'POST /reinitialize': 'reinitialize started', 'GET /patroni': '{"state": "running"}' };
  typed('reinit demo pg2 --force --wait', { rest: copied });
  typed('reload demo pg2 --force', {
    keys: DEAD,
    note: 'no answer',
    differs: { why: 'own reasons', out: /\nFailed: reload for member pg2, member pg2 does not answer on /, err: /^$/ },
  });
}

function restarts(typed: Typer, done: Typer): void {
  const answers = [
    '\ny\n\n',
    `${LATER}\nn\n`,
    'soon\n',
    '\nn\n',
    '\ny\nx\n',
    '\ny\n9.5.2\n',
    '\ny\n15\n',
    '\ny\n15.x\n',
    '\ny\n10.1.2\n',
    '\n',
  ];
  for (const input of answers) done('restart demo', { input });
  for (const words of ['--timeout 5', '--timeout x', '--pg-version 9.5.2', '--pg-version 15', '--pg-version x'])
    done(`restart demo pg2 --force ${words}`);
  typed(`restart demo pg2 --force --scheduled ${LATER}`, { rest: SCHEDULED });
  typed(`restart demo pg2 --scheduled ${LATER}`, { rest: SCHEDULED, input: 'y\n\n' });
  const there = { 'members/pg2': { scheduled_restart: { schedule: LATER, postmaster_start_time: 'x' } } };
  typed(`restart demo pg2 --force --scheduled ${LATER}`, { rest: SCHEDULED, keys: there, note: 'scheduled before' });
  typed(`restart demo --scheduled ${LATER} --pending --force`, { rest: SCHEDULED });
  typed(`restart demo pg2 --scheduled ${LATER} --pending`, {
    rest: SCHEDULED,
    input: 'n\n',
    differs: { why: 'pending question', out: /Which of them need it \(pending restart\) is determined at that time\. \[y\/N\]: $/ },
  });
  typed(`restart demo pg2 --force --scheduled ${LATER}`, { rest: SCHEDULED, keys: { config: { pause: true } }, note: 'paused' });
  const pending = { 'members/pg2': { pending_restart: true } };
  done('restart demo --pending --force');
  done('restart demo --pending --force', { keys: pending, note: 'pg2 needs it' });
  done('restart demo pg2 --any --force');
  typed('restart demo pg2 --force', { rest: { 'POST /restart': { status: 409, text: 'x' } }, note: '409', differs: NOT_DONE });
  const needless = { 'POST /restart': { status: 503, text: 'restart conditions are not satisfied' } };
  typed('restart demo pg2 --force --pending', {
    rest: needless,
    keys: pending,
    note: 'not needed',
    differs: { why: 'skipped', out: /\nSkipped: restart on member pg2, restart conditions are not satisfied\n/ },
  });
}

function flushes(typed: Typer, done: Typer): void {
  const planned = { failover: { leader: 'pg1', member: 'pg2', scheduled_at: '2030-01-01T00:00:00+00:00' } };
  for (const line of ['flush demo switchover', 'flush nosuch switchover']) done(line);
  done('flush demo switchover', { keys: planned, note: 'scheduled' });
  typed('flush demo switchover', { rest: REFUSED, keys: planned, note: 'refused' });
  typed('flush demo switchover', {
    rest: { 'DELETE /switchover': { status: 404, text: 'no switchover is scheduled' } },
    keys: planned,
    note: 'gone',
    differs: NOT_DONE,
  });
  const scheduled = { 'members/pg2': { scheduled_restart: { schedule: LATER } } };
  done('flush demo pg2 restart --force', { keys: scheduled, note: 'scheduled' });
  typed('flush demo pg2 restart --force', { rest: REFUSED, keys: scheduled, note: 'refused', differs: NOT_DONE });
}

function removals(typed: Typer): void {
  const aware = 'Yes I am aware\n';
  for (const input of [`demo\n${aware}pg1\n`, 'demmo\n', 'demo\nyes\n', `demo\n${aware}pg2\n`, `\ndemo\n\n${aware}\npg1\n`])
    typed('remove demo', { input });
  typed('remove demo -f json', { input: `demo\n${aware}pg1\n` });
  typed('remove demo', { input: `demo\n${aware}`, keys: { leader: null }, note: 'no leader' });
  typed('remove nosuch', { input: `nosuch\n${aware}`, differs: { why: 'exit code', code: [0, 1], err: /^There is no cluster 'nosuch'/ } });
}
