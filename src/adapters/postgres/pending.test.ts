import { expect, test } from 'vitest';
import { judgePending } from './pending.ts';

const wanted = new Map([
  ['max_connections', '200'],
  ['wal_level', 'hot_standby'],
  ['wal_log_hints', 'on'],
  ['listen_addresses', '127.0.0.1, ::1'],
  ['hot_standby', 'on'],
]);
const row = (name: string, running: string, filed: string | null = null, pending = false, unfiled = false) => ({
  name,
  running,
  filed,
  pending,
  unfiled,
  recovering: false,
});

test('the same value in other words is no change', () => {
  const rows = [
    row('max_connections', '200'),
    row('wal_level', 'replica'),
    row('wal_log_hints', 'true'),
    row('listen_addresses', '127.0.0.1,::1'),
  ];
  expect(judgePending(rows, wanted)).toEqual({});
});

test('a file by another path is no change; another file is, as a restart reads that', () => {
  const files = new Map([
    ['config_file', '/proc/self/../version'],
    ['hba_file', '/d/pg_hba.conf'],
  ]);
  const rows = [row('config_file', '/proc/version'), row('hba_file', '/etc/pg_hba.conf')];
  expect(judgePending(rows, files)).toEqual({ hba_file: { old_value: '/etc/pg_hba.conf', new_value: '/d/pg_hba.conf' } });
});

test('a line that was taken out again before it took effect is not pending; one that had taken effect is', () => {
  const rows = [
    row('shared_buffers', '128MB', null, true, true),
    row('wal_buffers', '4MB', null, true, false),
    row('max_files_per_process', '1000', '2000', true, true),
  ];
  expect(judgePending(rows, new Map())).toEqual({
    wal_buffers: { old_value: '4MB', new_value: '?' },
    max_files_per_process: { old_value: '1000', new_value: '2000' },
  });
});

test('command line and files', () => {
  const rows = [
    row('max_connections', '100'),
    row('shared_buffers', '128MB', '256MB', true),
    row('archive_mode', 'on', null, true),
    row('hot_standby', 'off', null, true),
  ];
  expect(judgePending(rows, wanted)).toEqual({
    max_connections: { old_value: '100', new_value: '200' },
    shared_buffers: { old_value: '128MB', new_value: '256MB' },
    archive_mode: { old_value: 'on', new_value: '?' },
  });
});

test('restore_command waits for a restart on a standby of PostgreSQL 13, and on no primary', () => {
  const changed = row('restore_command', 'old', 'new', true);
  expect(judgePending([changed], new Map())).toEqual({});
  expect(judgePending([{ ...changed, recovering: true }], new Map())).toEqual({ restore_command: { old_value: 'old', new_value: 'new' } });
  expect(judgePending([{ ...row('recovery_target', '', 'x', true), recovering: true }], new Map())).toEqual({});
});
