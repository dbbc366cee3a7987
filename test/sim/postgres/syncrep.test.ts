/**
 * Against what syncrep.c does (PostgreSQL 13 to 18): SyncRepGetCandidateStandbys,
 * SyncRepGetNthLatestSyncRecPtr, SyncRepGetOldestSyncRecPtr.
 */
import { describe, expect, test } from 'vitest';
import { parseSyncNames } from '../../../src/core/sync-names.ts';
import { toLsn } from '../../../src/core/units.ts';
import { type Confirming, candidates, confirms, priorityOf } from './syncrep.ts';

const sender = (name: string, flushed: number | null, state: Confirming['state'] = 'streaming'): Confirming => ({
  standby: { name },
  state,
  writeLsn: null,
  flushLsn: flushed === null ? null : toLsn(flushed),
});
const at = toLsn(100);
const confirmed = (names: string, ...senders: Confirming[]) => confirms(parseSyncNames(names), senders, at);

describe('FIRST', () => {
  test('waits only for the first k that are connected', () => {
    expect(confirmed('1 (a,b)', sender('a', 100), sender('b', 0))).toBe(true);
    expect(confirmed('1 (a,b)', sender('a', 0), sender('b', 100))).toBe(false);
    expect(confirmed('1 (a,b)', sender('b', 100))).toBe(true);
    expect(confirmed('2 (a,b)', sender('b', 100))).toBe(false);
    expect(confirmed('2 (a,b,c)', sender('c', 100), sender('a', 100))).toBe(true);
  });

  test('a standby that is still catching up, or has not replied yet, does not count', () => {
    expect(confirmed('1 (a,b)', sender('a', 0, 'catchup'), sender('b', 100))).toBe(true);
    expect(confirmed('1 (a)', sender('a', 100, 'catchup'))).toBe(false);
    expect(confirmed('1 (a)', sender('a', null))).toBe(false);
  });

  test('of two walsenders of one name the older one counts', () => {
    expect(confirmed('1 (a)', sender('a', 0), sender('a', 100))).toBe(false);
  });
});

describe('ANY', () => {
  test('waits for any k of those that are listed, and knows walsenders rather than standbys', () => {
    expect(confirmed('ANY 1 (a,b)', sender('a', 0), sender('b', 100))).toBe(true);
    expect(confirmed('ANY 2 (a,b)', sender('a', 0), sender('b', 100))).toBe(false);
    expect(confirmed('ANY 1 (a,b)', sender('c', 100))).toBe(false);
    expect(confirmed('ANY 2 (a,b)', sender('a', 100), sender('a', 100))).toBe(true);
  });
});

test('case does not matter, `*` means every standby, and without names nothing is waited for', () => {
  expect(priorityOf(parseSyncNames('2 (x,"A",b)'), 'a')).toBe(2);
  expect(priorityOf(parseSyncNames('ANY 1 (x,a)'), 'a')).toBe(1);
  expect(priorityOf(parseSyncNames('a'), 'b')).toBe(0);
  expect(confirmed('*', sender('anybody', 100))).toBe(true);
  expect(confirmed('')).toBe(true);
  expect(candidates(parseSyncNames('2 (a,b)'), [sender('b', 1), sender('c', 1), sender('a', 1)]).map((one) => one.standby.name)).toEqual([
    'a',
    'b',
  ]);
});
