import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lsn, settings } from '../../../test/support/build.ts';
import { fake } from '../../../test/support/fake.ts';
import type { LocalServer } from './local-server.ts';
import { checkRoom, hasWal, judgeSlots, placeSlots, type Room, removeSlots, type SourceRow } from './slot-copies.ts';

let dataDir = '';

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'regent-slots-'));
  mkdirSync(join(dataDir, 'pg_replslot'), { mode: 0o700 });
  mkdirSync(join(dataDir, 'pg_wal'));
  segment('000000070000000000000002');
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const SEGMENT = 16 * 1024 * 1024;
const segment = (name: string) => writeFileSync(join(dataDir, 'pg_wal', name), '');
const said: string[] = [];
const server = (running: { readonly pid: number } | null = null) => ({
  settings: settings('a', { postgresql: { dataDir } }),
  runAs: null,
  watch: fake<LocalServer['watch']>({ current: () => running as ReturnType<LocalServer['watch']['current']> }),
  walSegmentBytes: SEGMENT,
  log: fake<LocalServer['log']>({ warning: (line) => void said.push(line) }),
});
const slots = () => readdirSync(join(dataDir, 'pg_replslot')).sort();
const state = (name: string) => readFileSync(join(dataDir, 'pg_replslot', name, 'state'), 'utf8');
const copy = (name: string, text: string, restart = 2 * SEGMENT) => ({ name, restart: lsn(restart), state: Buffer.from(text) });

describe('the files of copied slots', () => {
  it('replace what is there, also what an interrupted copy left, and are as open as the directory', async () => {
    mkdirSync(join(dataDir, 'pg_replslot', 'app.tmp'));
    await placeSlots(server(), [copy('app', 'old'), copy('other', 'x')]);
    chmodSync(join(dataDir, 'pg_replslot'), 0o750);
    await placeSlots(server(), [copy('app', 'new')]);
    expect(slots()).toEqual(['app', 'other']);
    expect([state('app'), state('other')]).toEqual(['new', 'x']);
    const mode = (path: string) => statSync(join(dataDir, 'pg_replslot', path)).mode & 0o777;
    expect([mode('app'), mode('app/state'), mode('other'), mode('other/state')]).toEqual([0o750, 0o640, 0o700, 0o600]);
  });

  it('are not put in place where the stop took the WAL that they begin with', async () => {
    await placeSlots(server(), [copy('app', 'old')]);
    expect(await placeSlots(server(), [copy('app', 'new', SEGMENT), copy('other', 'x')])).toEqual(['other']);
    expect([state('app'), state('other')]).toEqual(['old', 'x']);
    expect(said.splice(0)).toEqual([expect.stringContaining('the WAL that the slot app begins with is gone here')]);
  });

  it('are taken away by name', async () => {
    await placeSlots(server(), [copy('app', 'x'), copy('other', 'x')]);
    await removeSlots(server(), ['app', 'never_was']);
    expect(slots()).toEqual(['other']);
  });

  it('are not touched under a running server', async () => {
    await placeSlots(server(), [copy('app', 'x')]);
    await expect(placeSlots(server({ pid: 7 }), [copy('app', 'y')])).rejects.toMatchObject({ code: 'PG_RUNNING' });
    await expect(removeSlots(server({ pid: 7 }), ['app'])).rejects.toMatchObject({ code: 'PG_RUNNING' });
    expect(state('app')).toBe('x');
  });
});

describe('what PostgreSQL would not start with is not copied', () => {
  const fits: Room = { wal_level: 'logical', feedback: 'on', most: 4, server_version: 150018, syncs: false, slots: ['b', 'c'] };
  const refusal = (room: Partial<Room>, names = ['app'], controlledParameters: Record<string, string> = {}) => {
    try {
      checkRoom({ settings: { ...settings('a'), controlledParameters } }, { ...fits, ...room }, names);
      return null;
    } catch (error) {
      return String(error);
    }
  };

  it('judges by the running server and by what it will start with', () => {
    expect(refusal({})).toBeNull();
    expect(refusal({}, ['app', 'b', 'c'])).toBeNull();
    expect(refusal({ wal_level: 'replica' })).toContain('wal_level is below logical');
    expect(refusal({}, ['app'], { wal_level: 'replica' })).toContain('wal_level is below logical');
    expect(refusal({}, ['app', 'two', 'three'])).toContain('max_replication_slots is 4, and 5 slots would be needed');
    expect(refusal({}, ['app'], { max_replication_slots: '2' })).toContain('max_replication_slots is 2');
    expect(refusal({ feedback: 'off' })).toContain('hot_standby_feedback is not in force');
  });

  it('needs the segment in which the slot begins, of whatever timeline', async () => {
    segment('000000070000000000000003.partial');
    const has = (at: number) => hasWal(server(), lsn(at));
    expect(await Promise.all([2 * SEGMENT, 3 * SEGMENT - 1, 2 * SEGMENT - 1, 3 * SEGMENT].map(has))).toEqual([true, true, false, false]);
  });
});

describe('of several slots', () => {
  const wanted = (name: string) => ({ name, database: 'shop', plugin: 'pgoutput' });
  const row = (name: string, over: Partial<SourceRow> = {}) => ({
    ...wanted(name),
    restart: '0/2000000',
    flushed: '0/3000000',
    state: '78',
    ...over,
  });
  const judged = async (...rows: readonly SourceRow[]) => {
    const { copies, refusals } = await judgeSlots(server(), 'b', rows, ['app', 'other'].map(wanted));
    return { copied: copies.map(({ name }) => name), refused: refusals.map(({ why }) => why) };
  };

  it('those are copied whose WAL is here, though another’s consumer is idle or the leader lacks one', async () => {
    expect(await judged(row('app'), row('other'))).toEqual({ copied: ['app', 'other'], refused: [] });
    const gone = 'the WAL that the slot app begins with is gone here; it can be copied once its consumer has come further';
    expect(await judged(row('app', { restart: '0/1000000' }), row('other'))).toEqual({ copied: ['other'], refused: [gone] });
    const none = 'b has no usable slot app';
    expect(await judged(row('other'))).toEqual({ copied: ['other'], refused: [none] });
    expect(await judged(row('app', { state: null }), row('other'))).toEqual({ copied: ['other'], refused: [none] });
  });

  it('does not copy a slot of another plugin or database: this standby would drop it', async () => {
    expect(await judged(row('app', { plugin: 'wal2json' }), row('other', { database: 'test' }))).toEqual({
      copied: [],
      refused: [
        'the slot app of b is of plugin wal2json in database shop, not of pgoutput in shop',
        'the slot other of b is of plugin pgoutput in database test, not of pgoutput in shop',
      ],
    });
  });
});
