/** What was typed in an editor survives what was wrong with it. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ctl, type MemoryEtcd, tutorialCluster } from '../../test/fixtures/ctl.ts';

let directory: string;
let etcd: MemoryEtcd;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'regentctl-test-'));
  etcd = tutorialCluster();
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Each run of the editor does the next of these (sed). */
function editor(...scripts: string[]): Record<string, string> {
  const path = join(directory, 'editor.sh');
  const steps = scripts.map((script, index) => `${index}) sed -i '${script}' "$1" ;;`).join('\n');
  writeFileSync(
    path,
    `#!/bin/sh\nn=$(cat ${directory}/n 2>/dev/null || echo 0)\necho $((n + 1)) > ${directory}/n\ncase $n in\n${steps}\nesac\n`,
  );
  chmodSync(path, 0o755);
  return { EDITOR: path, TMPDIR: directory };
}

const stored = () => JSON.parse(etcd.get('demo', 'config') ?? 'null') as Record<string, unknown>;
const kept = () => readdirSync(directory).filter((name) => name.startsWith('regentctl-'));

test.each([
  ['a typing error', 's/ttl: 30/ttl: [25/', 's/ttl: .25/ttl: 25/'],
  ['a value that nobody would take', 's/ttl: 30/ttl: soon/', 's/soon/25/'],
])('%s is shown, and corrected where it was left', async (_what, wrong, right) => {
  const { code, out, err } = await ctl(['edit-config'], { etcd, input: 'y\ny\n', env: editor(wrong, right) });
  expect([code, stored()['ttl']]).toEqual([0, 25]);
  expect(err).toMatch(/^Error: .*ttl|^Error: the edited configuration:/);
  expect(out).toContain('Edit it again? [y/N]: ');
  expect(kept()).toEqual([]);
});

test.each(['n\n', ''])('an operator who does not edit again (%j) is told where the text is', async (input) => {
  const { code, err } = await ctl(['-k', 'edit-config'], { etcd, input, env: editor('s/ttl: 30/ttl: soon/') });
  expect(code).toBe(1);
  const [directoryOfDraft] = kept();
  const path = join(directory, directoryOfDraft!, 'demo-config.yaml');
  expect(err).toContain(
    `Error: Nothing was changed\nYour edit is kept in ${path}; later: regentctl -k edit-config demo --replace ${path}\n`,
  );
  expect(readFileSync(path, 'utf8')).toContain('ttl: soon\n');
  expect(stored()['ttl']).toBe(30);
});

test('a change by somebody else in between does not cost the text', async () => {
  etcd.beforeWrite = () => etcd.put('demo', 'config', { ttl: 99 });
  const { code, err } = await ctl(['edit-config'], { etcd, input: 'y\n', env: editor('s/ttl: 30/ttl: 25/') });
  expect([code, kept().length]).toEqual([1, 1]);
  expect(err).toMatch(/Error: Config modification aborted due to concurrent changes\nYour edit is kept in .*demo-config\.yaml; later: /);
});

test('an edit that goes on after a refusal does not take back what somebody else has changed meanwhile', async () => {
  let isChanged = false;
  const change = () => {
    if (!isChanged) etcd.put('demo', 'config', { ...stored(), loop_wait: 7 });
    isChanged = true;
  };
  let reads = 0;
  etcd.beforeRead = () => (++reads > 1 ? change() : undefined);
  etcd.beforeWrite = change;
  const env = editor('s/ttl: 30/ttl: soon/', 's/soon/25/');
  const { code, err } = await ctl(['edit-config'], { etcd, input: 'y\ny\n', env });
  expect([code, stored()['loop_wait'], stored()['ttl']]).toEqual([1, 7, 30]);
  expect(err).toContain('Error: Config modification aborted due to concurrent changes\nYour edit is kept in ');
});

test('an unchanged text, and a change the operator gave up, leave no file', async () => {
  await ctl(['edit-config'], { etcd, env: { EDITOR: 'false', TMPDIR: directory } });
  await ctl(['edit-config'], { etcd, input: 'n\n', env: editor('s/ttl: 30/ttl: 25/') });
  expect([kept(), stored()['ttl']]).toEqual([[], 30]);
});

test.each<[Record<string, string>, boolean]>([
  [{}, true],
  [{ NO_COLOR: '1' }, false],
  [{ NO_COLOR: '' }, true],
  [{ TERM: 'dumb' }, false],
])('the diff on a terminal with %j', async (env, isColoured) => {
  const shown = join(directory, 'shown');
  await ctl(['edit-config', '-s', 'ttl=20'], { etcd, tty: true, input: 'n\n', env: { PAGER: `cat > ${shown}`, ...env } });
  const text = readFileSync(shown, 'utf8');
  expect(text).toContain('+ttl: 20');
  expect(text.includes('\u001b[32m+ttl: 20')).toBe(isColoured);
});

test('a diff that goes to a file has no colours', async () => {
  const { out } = await ctl(['edit-config', '-s', 'ttl=20'], { etcd, input: 'n\n' });
  expect(out).toContain('\n+ttl: 20\n');
});
