import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { someSettings } from '../../../test/fixtures/agent.ts';
import { keptLog } from '../../../test/fixtures/operator-port.ts';
import { ended } from '../../../test/support/ended.ts';
import { clone } from './clone.ts';
import { provideConfigDir } from './config-dir.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'regent-config-dir-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const settingsFor = (configDir: string) => someSettings({ postgresql: { dataDir: join(home, 'data'), configDir } });

test('a missing directory is made, its parents with it, and said once', async () => {
  const log = keptLog();
  const settings = settingsFor(join(home, 'etc/15/main'));
  await provideConfigDir(settings, { runAs: null, log });
  await provideConfigDir(settings, { runAs: null, log });
  expect(statSync(join(home, 'etc/15/main')).isDirectory()).toBe(true);
  expect(log.lines).toEqual([`info made ${join(home, 'etc/15/main')}, which postgresql.config_dir names`]);
});

test('in the data directory nothing is made, because initdb and pg_basebackup want that empty', async () => {
  await provideConfigDir(settingsFor(join(home, 'data/conf')), { runAs: null, log: keptLog() });
  await provideConfigDir(settingsFor(join(home, 'data')), { runAs: null, log: keptLog() });
  expect(() => statSync(join(home, 'data'))).toThrow('ENOENT');
});

test('a file in its place is reported with its mend, before anything is copied', async () => {
  const path = join(home, 'etc');
  writeFileSync(path, '');
  const expected = {
    code: 'CONFIG_DIR_UNUSABLE',
    message: expect.stringContaining('not a directory'),
    mend: expect.stringContaining(path),
  };
  await expect(provideConfigDir(settingsFor(path), { runAs: null, log: keptLog() })).rejects.toMatchObject(expected);
  await expect(provideConfigDir(settingsFor(join(path, 'main')), { runAs: null, log: keptLog() })).rejects.toMatchObject({
    code: 'CONFIG_DIR_UNUSABLE',
  });
  const run = async () => ended({ stdout: 'postgres (PostgreSQL) 15.1' });
  const connect = () => Promise.reject(new Error('nothing connects'));
  const clock = { monotonicMs: () => 0, timer: () => () => {} };
  const deps = { settings: settingsFor(path), run, connect, log: keptLog(), runAs: null, clock };
  await expect(clone(deps, null, { timeoutMs: 1000, fromLeader: false })).rejects.toMatchObject(expected);
  expect(() => statSync(join(home, 'data'))).toThrow('ENOENT');
});
