import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ctl, type MemoryEtcd, tutorialCluster, tutorialMembers } from '../../../test/fixtures/ctl.ts';
import { DcsError } from '../../support/errors.ts';

let directory: string;
let etcd: MemoryEtcd;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'regentctl-test-'));
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
  etcd = tutorialCluster();
});

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const stored = () => JSON.parse(etcd.get('demo', 'config') ?? 'null') as unknown;

test('-s and -p, shown as a diff and confirmed', async () => {
  const { code, out } = await ctl(['edit-config', '-s', 'ttl=20', '-p', 'max_connections=200', '-p', 'work_mem=8MB'], {
    etcd,
    input: 'y\n',
  });
  expect(code).toBe(0);
  expect(out).toBe(`--- 
+++ 
@@ -1,6 +1,7 @@
 loop_wait: 10
 postgresql:
   parameters:
-    max_connections: 100
+    max_connections: 200
+    work_mem: 8MB
 retry_timeout: 10
-ttl: 30
+ttl: 20
Apply these changes? [y/N]: Configuration changed
`);
  expect(stored()).toEqual({
    ttl: 20,
    loop_wait: 10,
    retry_timeout: 10,
    postgresql: { parameters: { max_connections: 200, work_mem: '8MB' } },
  });
});

test('a value that no member would accept is refused with place and reason, even with --force; an old mistake is no obstacle', async () => {
  etcd.put('demo', 'config', JSON.stringify({ ttl: 30, loop_wait: 'often' }));
  const before = stored();
  const bad = await ctl(['edit-config', '-s', 'ttl=soon', '-p', 'max_connections=many', '--force'], { etcd });
  expect(bad.code).toBe(1);
  expect(bad.err).toMatch(/ttl: .*soon/);
  expect(bad.err).toMatch(/max_connections: .*many/);
  expect(bad.err).not.toContain('often');
  expect(stored()).toEqual(before);
  expect(await ctl(['edit-config', '-s', 'ttl=25', '--force'], { etcd })).toMatchObject({ code: 0 });
  expect(stored()).toEqual({ ttl: 25, loop_wait: 'often' });
});

test('the answer no changes nothing', async () => {
  const before = stored();
  expect(await ctl(['edit-config', '-s', 'ttl=20'], { etcd, input: 'n\n' })).toMatchObject({ code: 0 });
  expect(stored()).toEqual(before);
});

test('warnings that members would only log are shown before the question and the change', async () => {
  etcd.put('demo', 'config', { ttl: 30, loop_wait: 10, retry_timeout: 10, old_nonsense: 1 });
  const asked = await ctl(['edit-config', '-s', 'ttl=20'], { etcd, input: 'n\n' });
  expect(asked.code).toBe(0);
  expect(asked.err).toBe(
    'Warning: dynamic configuration: ttl: loop_wait + 2 * retry_timeout = 30 exceeds ttl = 20; loop_wait 1 and retry_timeout 9 are used; ' +
      'write a ttl of 30 or more, or smaller values for the other two\n',
  );
  expect(stored()).toMatchObject({ ttl: 30 });
  const misspelt = await ctl(['edit-config', '-s', 'tll=20', '--force', '-q'], { etcd });
  expect(misspelt).toMatchObject({ code: 0, out: 'Configuration changed\n' });
  expect(misspelt.err).toBe("Warning: dynamic configuration: tll: unknown key 'tll'; did you mean 'ttl'?\n");
  const mended = await ctl(['edit-config', '-s', 'ttl=30', '--force'], { etcd });
  expect(mended).toMatchObject({ code: 0, err: '' });
});

test.each([
  ['ttl=0', 'ttl: 0 is out of range; write a number of seconds from 3 to 31536000 (20 or more where members run Patroni)'],
  ['ttl=2', 'ttl: 2 is out of range; write a number of seconds from 3'],
  ['loop_wait=-5', 'loop_wait: -5 is out of range; write a number of seconds from 1'],
  ["loop_wait='0'", 'loop_wait: 0 is out of range'],
  ['retry_timeout=0', 'retry_timeout: 0 is out of range; write a number of seconds from 1'],
  ['ttl=99999999999', 'ttl: '],
  ['maximum_lag_on_failover=-1', 'maximum_lag_on_failover: '],
])('%s is refused with the range, also with --force', async (pair, words) => {
  const before = stored();
  const { code, err } = await ctl(['edit-config', '-s', pair, '--force'], { etcd });
  expect(code).toBe(1);
  expect(err).toContain(`Error: dynamic configuration: ${words}`);
  expect(err.match(/dynamic configuration/g)).toHaveLength(1);
  expect(stored()).toEqual(before);
});

describe('a value that PostgreSQL refuses', () => {
  const members = tutorialMembers();
  beforeEach(() => {
    etcd = tutorialCluster('demo', members.urlOf);
  });
  const words = 'postgresql.parameters.work_mem: PostgreSQL refuses it: invalid value for parameter "work_mem": "8XB"';
  const answer = '{"refused": {"work_mem": "invalid value for parameter \\"work_mem\\": \\"8XB\\""}}';

  test('is reported by the leader before it is stored, and not stored', async () => {
    members.answer(() => answer);
    const before = stored();
    const { code, out, err } = await ctl(['edit-config', '--pg', 'work_mem=8XB'], { etcd, input: 'y\n' });
    expect([code, err]).toEqual([1, `Error: ${words}\nNothing was changed. Use --force to store it anyway.\n`]);
    expect(out).not.toContain('Apply these changes?');
    expect(stored()).toEqual(before);
    expect(members.asked.map(({ member, what, body }) => [member, what, body])).toEqual([
      ['patroni1', 'POST /parameters', '{"work_mem": "8XB"}'],
    ]);
  });

  test('is reported for one role as for all', async () => {
    members.answer(() => answer);
    const { code, err } = await ctl(['edit-config', '-s', 'postgresql.parameters_replica.work_mem=8XB', '--force'], { etcd });
    expect(code).toBe(0);
    expect(err).toContain(`Warning: ${words.replace('parameters', 'parameters_replica')}`);
    expect(members.asked.map(({ what, body }) => [what, body])).toEqual([['POST /parameters', '{"work_mem": "8XB"}']]);
  });

  test('is stored with --force, with a warning', async () => {
    members.answer(() => answer);
    const { code, err } = await ctl(['edit-config', '--pg', 'work_mem=8XB', '--force'], { etcd });
    expect([code, err]).toEqual([0, `Warning: ${words}; it is stored anyway, and members ignore it or use the nearest valid value\n`]);
    expect(stored()).toMatchObject({ postgresql: { parameters: { work_mem: '8XB' } } });
  });

  test('is compared with a member’s own file, which counts on that member', async () => {
    members.answer(() => '{"refused": {}, "overruled": {"work_mem": "5MB"}}');
    const { code, err } = await ctl(['edit-config', '--pg', 'work_mem=8MB', '--force'], { etcd });
    expect([code, err]).toEqual([
      0,
      "Warning: postgresql.parameters.work_mem: patroni1 has '5MB' in its own configuration file, and that value applies there; remove it from that file\n",
    ]);
  });

  test('is shown to the next member where the leader cannot tell: Patroni, or PostgreSQL is down', async () => {
    members.answer(({ member }) => {
      if (member === 'patroni1') return { status: 501, text: 'Unsupported method' };
      return member === 'patroni2' ? { status: 503, text: 'PostgreSQL could not be asked' } : answer;
    });
    expect((await ctl(['edit-config', '--pg', 'work_mem=8XB', '--force'], { etcd })).err).toContain(words);
  });

  test('is stored when no member can be asked, and the tool says so', async () => {
    members.answer(() => ({ status: 501, text: 'Unsupported method' }));
    const { code, err } = await ctl(['edit-config', '--pg', 'work_mem=8XB', '--force'], { etcd });
    expect([code, err]).toEqual([
      0,
      'Warning: no PostgreSQL could be asked whether it accepts the parameters: patroni1: does not know how; patroni2: does not know how; patroni3: does not know how\n',
    ]);
    expect(stored()).toMatchObject({ postgresql: { parameters: { work_mem: '8XB' } } });
  });

  test('needs no question where no parameter changes, or one is removed', async () => {
    etcd.put('demo', 'config', { ttl: 30, postgresql: { parameters: { work_mem: '8XB' } } });
    expect(await ctl(['edit-config', '-s', 'ttl=40', '--force'], { etcd })).toMatchObject({ code: 0, err: '' });
    expect(await ctl(['edit-config', '--pg', 'work_mem=null', '--force'], { etcd })).toMatchObject({ code: 0, err: '' });
    expect(members.asked).toEqual([]);
  });
});

test('nothing to change', async () => {
  expect((await ctl(['edit-config', '-s', 'ttl=30'], { etcd })).out).toBe('Not changed\n');
  expect((await ctl(['edit-config', '-q', '-s', 'ttl=30'], { etcd })).out).toBe('');
});

test('--apply lays a file over, --replace begins with an empty one, -s comes last', async () => {
  const patch = file('patch.yml', 'ttl: 5\nmaximum_lag_on_failover: 1024\npostgresql:\n  parameters: null\n');
  await ctl(['edit-config', '--apply', patch, '-s', 'ttl=6', '--force', '-q'], { etcd });
  expect(stored()).toEqual({ ttl: 6, loop_wait: 10, retry_timeout: 10, maximum_lag_on_failover: 1024, postgresql: {} });
  await ctl(['edit-config', '--replace', patch, '--force', '-q'], { etcd });
  expect(stored()).toEqual({ ttl: 5, maximum_lag_on_failover: 1024, postgresql: {} });
});

test('standard input cannot answer the question as well', async () => {
  const asked = await ctl(['edit-config', '--apply', '-'], { etcd, input: 'ttl: 5\n' });
  expect(asked.out.endsWith('Use --force option to apply changes\n')).toBe(true);
  expect(stored()).toMatchObject({ ttl: 30 });
  await ctl(['edit-config', '--apply', '-', '--force'], { etcd, input: 'ttl: 5\n' });
  expect(stored()).toMatchObject({ ttl: 5 });
});

test('a change by somebody else in between wins', async () => {
  etcd.beforeWrite = () => etcd.put('demo', 'config', { ttl: 99 });
  const { code, err } = await ctl(['edit-config', '-s', 'ttl=40', '--force'], { etcd });
  expect([code, err]).toEqual([1, 'Error: Config modification aborted due to concurrent changes\n']);
  expect(stored()).toEqual({ ttl: 99 });
});

test('an outage of etcd right after the change does not make a failure of it', async () => {
  etcd.beforeWrite = () => {
    etcd.failure = new DcsError('DCS_UNREACHABLE', 'etcd did not answer');
  };
  const { code, out, err } = await ctl(['edit-config', '-s', 'ttl=40', '--force'], { etcd });
  expect(code).toBe(0);
  expect(stored()).toMatchObject({ ttl: 40 });
  expect(out).toContain('Configuration changed\n');
  expect(err).toBe(`Warning: whether the members have applied it is not known: etcd did not answer\n`);
});

test('the editor: EDITOR with arguments, on a private file that is removed afterwards', async () => {
  const trace = join(directory, 'trace');
  const editor = file('editor.sh', `#!/bin/sh\nstat -c %a "$2" > ${trace}\necho "$2" >> ${trace}\nsed -i "$1" "$2"\n`);
  chmodSync(editor, 0o755);
  const { code, out } = await ctl(['edit-config'], { etcd, input: 'y\n', env: { EDITOR: `${editor} s/30/25/` } });
  expect(code).toBe(0);
  expect(out).toContain('-ttl: 30\n+ttl: 25\n');
  expect(stored()).toMatchObject({ ttl: 25 });
  const [mode, path] = readFileSync(trace, 'utf8').split('\n');
  expect(mode).toBe('600');
  expect(path).toMatch(/demo-config\.yaml$/);
  expect(existsSync(path ?? '')).toBe(false);
});

test('an editor that fails, or leaves nonsense, changes nothing', async () => {
  const before = stored();
  expect((await ctl(['edit-config'], { etcd, env: { EDITOR: 'false' } })).err).toBe('Error: Editor exited with return code 1\n');
  const nonsense = await ctl(['edit-config'], { etcd, env: { EDITOR: 'echo "a: [" >', TMPDIR: directory } });
  expect(nonsense.code).toBe(1);
  expect(nonsense.err).toMatch(/^Error: the edited configuration:\d+:\d+/);
  const emptied = await ctl(['edit-config'], { etcd, env: { EDITOR: 'truncate -s 0', TMPDIR: directory } });
  expect(emptied.err).toMatch(/^Error: the edited configuration is empty/);
  expect((await ctl(['edit-config'], { etcd, env: { PATH: '/nonexistent' } })).err).toMatch(
    /^Error: EDITOR environment variable is not set/,
  );
  expect(stored()).toEqual(before);
});

test('mistakes', async () => {
  etcd.put('other', 'leader', 'pg-1');
  expect((await ctl(['edit-config', 'other', '-s', 'a=1'], { etcd })).err).toBe(
    'Error: The config key does not exist in the cluster other\n',
  );
  expect((await ctl(['edit-config', '-s', 'ttl'], { etcd })).err).toMatch(/^Error: Invalid parameter setting ttl\n/);
  expect((await ctl(['edit-config', '--apply', '/nonexistent/x'], { etcd })).err).toMatch(/^Error: cannot read \/nonexistent\/x: ENOENT/);
  expect((await ctl(['edit-config', '--apply', file('list.yml', '- a\n')], { etcd })).err).toMatch(/list\.yml:1:1.*a list/);
});
