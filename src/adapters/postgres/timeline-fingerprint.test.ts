import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseLsn } from '../../core/units.ts';
import { goesOn, hasTimeline, LocalFingerprint, placeOf, readFingerprint } from './timeline-fingerprint.ts';

const MB1 = 1024 * 1024;
const start = { timeline: 6, from: parseLsn('0/300100') };
const FILE = '000000060000000000000003';

let dataDir = '';
const segment = (name: string, byte: number) => {
  const content = Buffer.alloc(MB1);
  content.fill(byte, 0x100, 0x100 + 200);
  writeFileSync(join(dataDir, 'pg_wal', name), content);
};

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'regent-wal-'));
  mkdirSync(join(dataDir, 'pg_wal'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

test('the place is in the segment of the timeline’s own number, even at a segment’s very beginning', () => {
  expect(placeOf(start, MB1)).toEqual({ file: FILE, offset: 0x100 });
  expect(placeOf({ timeline: 26, from: parseLsn('1/200000') }, MB1)).toEqual({ file: '0000001A0000000100000002', offset: 0 });
  expect(placeOf({ timeline: 2, from: parseLsn('0/3FFFF0') }, MB1)).toBeNull();
});

test('the bytes are read from the segment, or from its renamed file; zeros and missing files tell nothing', async () => {
  expect(await readFingerprint(dataDir, start, MB1)).toBeNull();
  segment(`${FILE}.partial`, 7);
  expect(await readFingerprint(dataDir, start, MB1)).toBe('07'.repeat(48));
  segment(FILE, 0);
  expect(await readFingerprint(dataDir, start, MB1)).toBeNull();
  writeFileSync(join(dataDir, 'pg_wal', FILE), 'short');
  expect(await readFingerprint(dataDir, start, MB1)).toBeNull();
});

test('a fingerprint that was read once is not read again from a segment that a walreceiver may have overwritten', async () => {
  const timelineFingerprint = new LocalFingerprint();
  segment(FILE, 1);
  expect(await timelineFingerprint.read(dataDir, start, MB1)).toBe('01'.repeat(48));
  segment(FILE, 2);
  expect(await timelineFingerprint.read(dataDir, start, MB1)).toBe('01'.repeat(48));
  expect(await timelineFingerprint.read(dataDir, { ...start, timeline: 7 }, MB1)).toBeNull();
  timelineFingerprint.forget();
  expect(await timelineFingerprint.read(dataDir, start, MB1)).toBe('02'.repeat(48));
});

test('a promotion’s own record alone is no fingerprint yet', () => {
  expect(goesOn(start, parseLsn('0/300130'))).toBe(false);
  expect(goesOn(start, parseLsn('0/300138'))).toBe(true);
});

test('a source is asked only for a timeline that it has from the same point', () => {
  const source = (timeline: number, ...switches: readonly string[]) => ({
    name: 'b',
    systemIdentifier: '1',
    timeline,
    lsn: parseLsn('0/900000'),
    inRecovery: false,
    history: switches.map((at, i) => ({ timeline: 5 + i, switchLsn: parseLsn(at), reason: 'x' })),
  });
  expect(hasTimeline(source(6, '0/300100'), start)).toBe(true);
  expect(hasTimeline(source(7, '0/300100', '0/400000'), start)).toBe(true);
  expect(hasTimeline(source(6, '0/300200'), start)).toBe(false);
  expect(hasTimeline(source(5), start)).toBe(false);
});
