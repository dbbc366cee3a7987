import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ctl, type MemoryEtcd, tutorialCluster } from '../../../test/fixtures/ctl.ts';

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

test('a value that no member would take is refused with where and why, also with --force; an old mistake is no obstacle', async () => {
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

test('no leaves everything as it is', async () => {
  const before = stored();
  expect(await ctl(['edit-config', '-s', 'ttl=20'], { etcd, input: 'n\n' })).toMatchObject({ code: 0 });
  expect(stored()).toEqual(before);
});

test('what members would only complain of in their logs is said before it is asked and done', async () => {
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
  const tiny = await ctl(['edit-config', '-s', 'ttl=2', '--force'], { etcd });
  expect(tiny).toMatchObject({ code: 0, out: expect.stringMatching(/\nConfiguration changed\n$/) });
  expect(tiny.err).toMatch(/^Warning: dynamic configuration: ttl: 2 is below the least possible; \d+ is used/);
  const mended = await ctl(['edit-config', '-s', 'ttl=30', '--force'], { etcd });
  expect(mended).toMatchObject({ code: 0, err: '' });
});

test('nothing to change', async () => {
  expect((await ctl(['edit-config', '-s', 'ttl=30'], { etcd })).out).toBe('Not changed\n');
  expect((await ctl(['edit-config', '-q', '-s', 'ttl=30'], { etcd })).out).toBe('');
});

test('--apply lays a file over, --replace starts anew, -s comes last', async () => {
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

test('the editor: EDITOR with arguments, on a file nobody else can read that is gone afterwards', async () => {
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
  const nonsense = await ctl(['edit-config'], { etcd, env: { EDITOR: 'echo "a: [" >' } });
  expect(nonsense.code).toBe(1);
  expect(nonsense.err).toMatch(/^Error: the edited configuration:\d+:\d+/);
  const emptied = await ctl(['edit-config'], { etcd, env: { EDITOR: 'truncate -s 0' } });
  expect(emptied.err).toMatch(/^Error: the edited configuration is empty/);
  expect((await ctl(['edit-config'], { etcd, env: { PATH: '/nonexistent' } })).err).toMatch(
    /^Error: EDITOR environment variable is not set/,
  );
  expect(stored()).toEqual(before);
});

test('mistakes', async () => {
  expect((await ctl(['edit-config', 'other', '-s', 'a=1'], { etcd })).err).toBe(
    'Error: The config key does not exist in the cluster other\n',
  );
  expect((await ctl(['edit-config', '-s', 'ttl'], { etcd })).err).toMatch(/^Error: Invalid parameter setting ttl\n/);
  expect((await ctl(['edit-config', '--apply', '/nonexistent/x'], { etcd })).err).toMatch(/^Error: cannot read \/nonexistent\/x: ENOENT/);
  expect((await ctl(['edit-config', '--apply', file('list.yml', '- a\n')], { etcd })).err).toMatch(/list\.yml:1:1.*a list/);
});
