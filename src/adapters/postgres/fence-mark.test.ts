import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FenceFile } from './fence-mark.ts';
import { besidePath, insidePath } from './marks.ts';

const MARK = { leader: 'b', term: '9223372036854775807', sync: '8' };
const LATER = { leader: 'b', term: '9223372036854775807', sync: '11' };

let root: string;
let dataDir: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'regent-fence-'));
  chmodSync(root, 0o755);
  dataDir = join(root, 'data');
  mkdirSync(dataDir);
  path = besidePath(dataDir, 'fence');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** As an agent that is started anew finds it. */
const found = () => new FenceFile().read(dataDir);

describe('a promise', () => {
  it('is found by the next agent, and gone once it was let go of', async () => {
    const fence = new FenceFile();
    expect(await fence.read(dataDir)).toBeNull();
    await fence.write(dataDir, MARK);
    expect(await fence.read(dataDir)).toEqual(MARK);
    expect(await found()).toEqual(MARK);
    expect(readdirSync(root).sort()).toEqual(['data', 'data.regent-fence']);
    await fence.write(dataDir, LATER);
    expect(await found()).toEqual(LATER);
    await fence.write(dataDir, null);
    expect([await fence.read(dataDir), await found()]).toEqual([null, null]);
    expect(readdirSync(root)).toEqual(['data']);
  });

  it('is not told before it is on disk, nor forgotten before it is gone from there', async () => {
    const fence = new FenceFile();
    await fence.read(dataDir);
    const writing = fence.write(dataDir, MARK);
    expect(await fence.read(dataDir)).toBeNull();
    await writing;
    expect(await fence.read(dataDir)).toEqual(MARK);
    const removing = fence.write(dataDir, null);
    expect(await fence.read(dataDir)).toEqual(MARK);
    await removing;
    expect(await fence.read(dataDir)).toBeNull();
  });

  it('says nothing but leader, term and revision', async () => {
    await new FenceFile().write(dataDir, { ...MARK, more: 'x' } as typeof MARK);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(MARK);
  });

  it('is removed where none lies without a word', async () => {
    await new FenceFile().write(dataDir, null);
    expect(readdirSync(root)).toEqual(['data']);
  });
});

describe('a promise that cannot be written', () => {
  /** A directory lies where the text should, for root as well. */
  const block = () => mkdirSync(join(`${path}.new`, 'x'), { recursive: true });

  it('is none', async () => {
    const fence = new FenceFile();
    block();
    await expect(fence.write(dataDir, MARK)).rejects.toMatchObject({ code: 'DATA_DIR_MARK_FAILED' });
    expect(await fence.read(dataDir)).toBeNull();
  });

  it('leaves the one before it, which is read again', async () => {
    const fence = new FenceFile();
    await fence.write(dataDir, MARK);
    block();
    await expect(fence.write(dataDir, LATER)).rejects.toMatchObject({ code: 'DATA_DIR_MARK_FAILED' });
    expect(await fence.read(dataDir)).toEqual(MARK);
  });
});

it('a write that fails after the text is there is told as no promise, until one succeeds', async () => {
  const fence = new FenceFile();
  expect(await fence.read(dataDir)).toBeNull();
  const inside = insidePath(dataDir, 'fence');
  mkdirSync(inside);
  await expect(fence.write(dataDir, MARK)).rejects.toMatchObject({ code: 'DATA_DIR_MARK_FAILED' });
  expect(await fence.read(dataDir)).toBeNull();
  rmSync(inside, { recursive: true });
  await fence.write(dataDir, MARK);
  expect(await fence.read(dataDir)).toEqual(MARK);
});

describe('what lies there and cannot be understood', () => {
  it.each([
    ['nothing at all', ''],
    ['the beginning of it', '{"leader":"b","ter'],
    ['another kind of text', '"b"'],
    ['without a revision of /sync', '{"leader":"b","term":"5"}'],
    ['with a number, whose last digits may be lost', '{"leader":"b","term":5,"sync":"8"}'],
  ])('may say anything: %s', async (_what, text) => {
    writeFileSync(path, text);
    expect(await found()).toBe('unreadable');
  });

  it('may say anything: a directory', async () => {
    mkdirSync(path);
    expect(await found()).toBe('unreadable');
  });

  it('may say anything: what a rewind has left of it', async () => {
    writeFileSync(`${insidePath(dataDir, 'fence')}.pipe`, '');
    expect(await found()).toBe('unreadable');
  });

  it('is looked at again, and not remembered', async () => {
    const fence = new FenceFile();
    writeFileSync(path, 'x');
    expect(await fence.read(dataDir)).toBe('unreadable');
    writeFileSync(path, JSON.stringify(MARK));
    expect(await fence.read(dataDir)).toEqual(MARK);
  });

  it('is written over by a promise, and removed with it', async () => {
    const fence = new FenceFile();
    writeFileSync(path, 'x');
    await fence.write(dataDir, MARK);
    expect(await found()).toEqual(MARK);
    writeFileSync(path, 'x');
    await fence.write(dataDir, null);
    expect(existsSync(path)).toBe(false);
  });
});

it('one that was made while the directory above was another’s is found inside', async () => {
  writeFileSync(insidePath(dataDir, 'fence'), JSON.stringify(MARK));
  const fence = new FenceFile();
  expect(await fence.read(dataDir)).toEqual(MARK);
  await fence.write(dataDir, LATER);
  expect(readdirSync(dataDir)).toEqual([]);
  expect(await found()).toEqual(LATER);
});
