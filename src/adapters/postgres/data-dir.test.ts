import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Log } from '../../ports/log.ts';
import { clearIncomplete, dataDirTrouble, inspectDataDir, markIncomplete, removeDataDir } from './data-dir.ts';
import { besidePath } from './marks.ts';

let root: string;
let dataDir: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'regent-dir-'));
  dataDir = join(root, 'data');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const silent = () => {};
const log: Log = { debug: silent, info: silent, warning: silent, error: silent, critical: silent };

function makeCluster(): void {
  for (const path of ['global', 'pg_wal', 'pg_tblspc']) mkdirSync(join(dataDir, path), { recursive: true });
  writeFileSync(join(dataDir, 'PG_VERSION'), '15\n');
  writeFileSync(join(dataDir, 'global', 'pg_control'), 'x');
}

test('the state of a directory', async () => {
  expect(await inspectDataDir(dataDir)).toEqual({ state: 'missing', incompleteWork: null, major: null, standbySignal: false });
  mkdirSync(dataDir);
  expect((await inspectDataDir(dataDir)).state).toBe('missing');
  writeFileSync(join(dataDir, 'notes'), '');
  expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'foreign', entries: ['notes'] });
  makeCluster();
  expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'valid', major: 15, standbySignal: false });
  writeFileSync(join(dataDir, 'standby.signal'), '');
  expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'valid', standbySignal: true });
  renameSync(join(dataDir, 'standby.signal'), join(dataDir, 'recovery.signal'));
  expect(await inspectDataDir(dataDir)).toMatchObject({ standbySignal: false, recoverySignal: true });
  rmSync(join(dataDir, 'global', 'pg_control'));
  expect((await inspectDataDir(dataDir)).state).toBe('foreign');
});

test('interrupted work shows until it is cleared, whatever lies in the directory', async () => {
  await markIncomplete(dataDir, 'rewind');
  expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'rewind' });
  makeCluster();
  await markIncomplete(`${dataDir}/`, 'clone');
  expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'clone', major: 15 });
  writeFileSync(besidePath(dataDir, 'incomplete'), 'who wrote this');
  expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'rewind' });
  await clearIncomplete(dataDir);
  await clearIncomplete(dataDir);
  expect((await inspectDataDir(dataDir)).state).toBe('valid');
  expect(readdirSync(root)).toEqual(['data']);
});

test.each([true, false])('put away (keepAside %s), with WAL and a tablespace elsewhere', async (keepAside) => {
  makeCluster();
  const wal = join(root, 'wal');
  const space = join(root, 'space');
  rmSync(join(dataDir, 'pg_wal'), { recursive: true });
  mkdirSync(wal);
  writeFileSync(join(wal, '000000010000000000000001'), '');
  symlinkSync(wal, join(dataDir, 'pg_wal'));
  mkdirSync(join(space, 'PG_15_202209061'), { recursive: true });
  mkdirSync(join(space, 'PG_14_202107181'), { recursive: true });
  symlinkSync(space, join(dataDir, 'pg_tblspc', '16384'));
  mkdirSync(join(root, 'data.removed'));
  writeFileSync(join(root, 'data.removed', 'older'), '');

  await removeDataDir(dataDir, { keepAside, log });

  expect(readdirSync(dataDir)).toEqual([]);
  expect(readdirSync(wal)).toEqual([]);
  expect(readdirSync(space)).toEqual(['PG_14_202107181']);
  if (!keepAside) {
    // A copy that was kept on purpose is not one that should be deleted.
    expect(readdirSync(join(root, 'data.removed'))).toEqual(['older']);
    expect(readdirSync(root).filter((name) => name.includes('deleting'))).toEqual([]);
  } else {
    expect(readdirSync(join(root, 'data.removed'))).toContain('PG_VERSION');
    expect(readdirSync(join(root, 'wal.removed'))).toEqual(['000000010000000000000001']);
  }
});

test('of a half-emptied directory, without PG_VERSION, the targets of its links are removed as well', async () => {
  const space = join(root, 'space');
  for (const version of ['PG_15_202209061', 'PG_14_202107181']) mkdirSync(join(space, version), { recursive: true });
  mkdirSync(join(dataDir, 'pg_tblspc'), { recursive: true });
  symlinkSync(space, join(dataDir, 'pg_tblspc', '16384'));
  await removeDataDir(dataDir, { keepAside: false, log, major: 15 });
  expect(readdirSync(space)).toEqual(['PG_14_202107181']);
});

test('foreign entries are named, those that a cluster never has first', async () => {
  makeCluster();
  rmSync(join(dataDir, 'PG_VERSION'));
  for (const name of ['lost+found', '.snapshot']) mkdirSync(join(dataDir, name));
  expect(dataDirTrouble(await inspectDataDir(dataDir))).toEqual({
    dataDirTrouble: 'it has .snapshot, lost+found, global and 2 more in it',
  });
});

test('a missing directory is nothing to remove', async () => {
  await removeDataDir(dataDir, { keepAside: true, log });
  expect(readdirSync(root)).toEqual([]);
});
