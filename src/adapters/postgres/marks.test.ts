/**
 * Marks beside the data directory, and inside where the directory above is another's or on another
 * file system.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { asOtherUser, canBeOtherUser, otherUser } from '../../../test/support/other-user.ts';
import type { Log } from '../../ports/log.ts';
import { clearIncomplete, inspectDataDir, markIncomplete, removeDataDir } from './data-dir.ts';
import { clearMark, clearMarks, isMarked, setMark } from './directory-mark.ts';
import { besidePath, insidePath, keepingTexts, marksLieInside, writeMark } from './marks.ts';

const silent = () => {};
const silentLog: Log = { debug: silent, info: silent, warning: silent, error: silent, critical: silent };

let root: string;
let dataDir: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'regent-marks-'));
  chmodSync(root, 0o755);
  dataDir = join(root, 'data');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** The directory is ours, the one that holds it root's: /data/patroni, a mount. */
const locked = <T>(work: () => Promise<T>): Promise<T> => {
  mkdirSync(dataDir, { recursive: true });
  chownSync(dataDir, otherUser.uid, otherUser.gid);
  return asOtherUser(work);
};

test('a directory above that does not exist is made', async () => {
  const deep = join(root, 'not', 'yet', 'data');
  await markIncomplete(deep, 'bootstrap');
  expect(await inspectDataDir(deep)).toMatchObject({ state: 'incomplete', incompleteWork: 'bootstrap' });
  expect(readdirSync(join(root, 'not', 'yet'))).toEqual(['data.regent-incomplete']);
});

test.runIf(canBeOtherUser)('where neither place can be written, nothing is marked, and the error says what to do', async () => {
  const failure = asOtherUser(() => markIncomplete(dataDir, 'clone'));
  await expect(failure).rejects.toMatchObject({ code: 'DATA_DIR_MARK_FAILED', mend: expect.stringContaining(`create ${dataDir}`) });
});

test.runIf(canBeOtherUser)('below a directory of another user they lie inside, and the directory still counts as missing', async () => {
  await locked(async () => {
    expect(await marksLieInside(dataDir)).toBe(true);
    await markIncomplete(dataDir, 'clone');
    expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'clone' });
    await setMark(dataDir, 'restored');
    expect(await isMarked(dataDir, 'restored')).toBe(true);
    expect(readdirSync(dataDir).every((name) => name.startsWith('pgsql_tmp.'))).toBe(true);
    writeFileSync(join(dataDir, 'PG_VERSION'), '15\n');
    await removeDataDir(dataDir, { keepAside: false, log: silentLog });
    expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'clone', major: null });
    await clearIncomplete(dataDir);
    expect((await inspectDataDir(dataDir)).state).toBe('missing');
    await clearMarks(dataDir);
  });
  expect(readdirSync(root)).toEqual(['data']);
  expect(readdirSync(dataDir)).toEqual([]);
});

test.runIf(canBeOtherUser)('through a rewind they go as pipes: pg_rewind removes every file that its source does not have', async () => {
  const pgRewind = () => {
    for (const name of readdirSync(dataDir)) if (lstatSync(join(dataDir, name)).isFile()) rmSync(join(dataDir, name));
  };
  await locked(async () => {
    await setMark(dataDir, 'restored');
    await writeMark(dataDir, 'base.conf', 'port = 5433\n');
    await markIncomplete(dataDir, 'rewind');
    await keepingTexts(dataDir, async () => pgRewind());
    expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'rewind' });
    expect(await isMarked(dataDir, 'restored')).toBe(true);
    expect(await isMarked(dataDir, 'strayed')).toBe(false);
    expect(existsSync(insidePath(dataDir, 'base.conf'))).toBe(true);
    await clearIncomplete(dataDir);
    expect(await isMarked(dataDir, 'restored')).toBe(true);
    // A pipe would make a program that opens it wait: none is left for a server to run with.
    expect(readdirSync(dataDir).filter((name) => !lstatSync(join(dataDir, name)).isFile())).toEqual([]);
    await clearMark(dataDir, 'restored');
    expect(await isMarked(dataDir, 'restored')).toBe(false);
  });
});

test.runIf(canBeOtherUser)('a mark that an older version has left beside is found and removed, and the later word counts', async () => {
  writeFileSync(besidePath(dataDir, 'incomplete'), 'clone\n');
  expect(await inspectDataDir(dataDir)).toMatchObject({ state: 'incomplete', incompleteWork: 'clone' });
  await locked(async () => {
    // The one beside cannot be removed any more, so both speak: the reading that destroys least.
    await expect(markIncomplete(dataDir, 'bootstrap')).rejects.toMatchObject({ code: 'DATA_DIR_MARK_FAILED' });
    expect(await inspectDataDir(dataDir)).toMatchObject({ incompleteWork: 'rewind' });
  });
  await markIncomplete(dataDir, 'bootstrap');
  expect(await inspectDataDir(dataDir)).toMatchObject({ incompleteWork: 'bootstrap' });
  await clearIncomplete(dataDir);
  expect(readdirSync(root)).toEqual(['data']);
  expect(readdirSync(dataDir)).toEqual([]);
});

test('on another file system than the directory above they lie inside, because a volume may come back without its neighbours', async () => {
  // /proc plays a mount here: another file system than what is above it.
  expect(await marksLieInside('/proc')).toBe(true);
  symlinkSync(join(root, 'real', 'data'), dataDir);
  mkdirSync(join(root, 'real', 'data'), { recursive: true });
  expect(await marksLieInside(dataDir)).toBe(false);
});
