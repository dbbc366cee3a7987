import { describe, expect, it } from 'vitest';
import { resolved } from '../../test/fixtures/config-files.ts';
import type { JsonObject } from '../support/json.ts';

describe('resolveSettings', () => {
  it('has the cluster-wide parameters with their defaults, as text', () => {
    const settings = resolved({}, {});
    expect(settings.controlledParameters).toEqual({
      listen_addresses: '127.0.0.1,::1',
      port: '5433',
      cluster_name: 'demo',
      wal_level: 'replica',
      hot_standby: 'on',
      max_connections: '100',
      max_wal_senders: '10',
      max_prepared_transactions: '0',
      max_locks_per_transaction: '64',
      track_commit_timestamp: 'off',
      max_replication_slots: '10',
      max_worker_processes: '8',
      wal_log_hints: 'on',
    });
    expect(settings.parameters).toEqual({ wal_keep_size: '128MB' });
    expect(settings.postgresql.connectHost).toBe('::1');
  });

  it.each<[string, JsonObject, string]>([
    ['wal_level', { wal_level: 'hot_standby' }, 'replica'],
    ['wal_level', { WAL_Level: 'Logical' }, 'logical'],
    ['wal_level', { wal_level: 'minimal' }, 'replica'],
    ['hot_standby', { hot_standby: false }, 'on'],
    ['max_connections', { max_connections: '300' }, '300'],
    ['max_connections', { max_connections: 24 }, '100'],
    ['max_connections', { max_connections: 300_000 }, '100'],
    ['max_connections', { max_connections: 'many' }, '100'],
    ['max_wal_senders', { max_wal_senders: 2 }, '10'],
    ['max_locks_per_transaction', { max_locks_per_transaction: 31 }, '64'],
    ['max_replication_slots', { max_replication_slots: 4 }, '4'],
    ['max_worker_processes', { max_worker_processes: 1 }, '8'],
    ['track_commit_timestamp', { track_commit_timestamp: 'YES' }, 'on'],
    ['wal_log_hints', { wal_log_hints: false }, 'off'],
    ['port', { port: 1 }, '5433'],
    ['cluster_name', { cluster_name: 'x' }, 'demo'],
  ])('%s of %j is %s', (name, parameters, expected) => {
    expect(resolved({}, { postgresql: { parameters } }).controlledParameters[name]).toBe(expected);
  });

  it.each<[JsonObject, string]>([
    [{ wal_keep_size: '1GB' }, '1GB'],
    [{ wal_keep_size: 512 }, '512MB'],
    [{ wal_keep_size: '8MB' }, '128MB'],
    [{ wal_keep_segments: 10 }, '160MB'],
    [{ wal_keep_segments: 10, wal_keep_size: '32MB' }, '32MB'],
    [{ wal_keep_segments: 0 }, '128MB'],
  ])('wal_keep_size of %j is %s', (parameters, expected) => {
    expect(resolved({}, { postgresql: { parameters } }).parameters['wal_keep_size']).toBe(expected);
  });

  it('lets the local file win key by key, and parameter by parameter, except in cluster-wide settings', () => {
    const settings = resolved(
      { parameters: { Work_Mem: '8MB', max_connections: 500, log_checkpoints: true }, pg_hba: ['local'], callbacks: { on_start: '/l' } },
      {
        postgresql: {
          use_pg_rewind: true,
          pg_hba: ['dynamic'],
          pg_ident: ['d'],
          callbacks: { on_stop: '/d' },
          parameters: { work_mem: '4MB', max_connections: 200, jit: false },
          data_dir: '/elsewhere',
          authentication: { superuser: { username: 'evil' } },
        },
      },
    );
    expect(settings.parameters).toEqual({ wal_keep_size: '128MB', work_mem: '8MB', log_checkpoints: 'on', jit: 'off' });
    expect(settings.postgresql.parameters).toEqual(settings.parameters);
    expect(settings.controlledParameters['max_connections']).toBe('200');
    expect(settings.postgresql).toMatchObject({
      usePgRewind: true,
      pgHba: ['local'],
      pgIdent: ['d'],
      callbacks: { on_start: '/l' },
      dataDir: '/data/a',
      superuser: { username: 'postgres' },
    });
  });

  it('moves recovery parameters to recovery_conf and drops those that Regent sets', () => {
    const settings = resolved(
      { parameters: { restore_command: 'local %f %p' } },
      {
        postgresql: {
          parameters: { recovery_min_apply_delay: '5min', primary_conninfo: 'host=evil' },
          recovery_conf: { restore_command: 'dynamic', recovery_target: 'immediate' },
        },
      },
    );
    expect(settings.postgresql.recoveryConf).toEqual({ restore_command: 'local %f %p', recovery_min_apply_delay: '5min' });
    expect(settings.parameters).toEqual({ wal_keep_size: '128MB' });
  });

  it('joins relative hba_file and ident_file to config_dir', () => {
    const settings = resolved({ config_dir: '/etc/pg', parameters: { hba_file: 'my_hba.conf', ident_file: '/x/ident' } }, {});
    expect(settings.parameters).toMatchObject({ hba_file: '/etc/pg/my_hba.conf', ident_file: '/x/ident' });
  });

  it('keeps the user’s synchronous_standby_names unless synchronous mode owns it', () => {
    const local = { parameters: { synchronous_standby_names: 'b' } };
    expect(resolved(local, {}).parameters['synchronous_standby_names']).toBe('b');
    expect(resolved(local, { synchronous_mode: 'quorum' }).parameters).not.toHaveProperty('synchronous_standby_names');
  });

  it('takes use_slots from the dynamic configuration only', () => {
    expect(resolved({ use_slots: false }, {}).dynamic.useSlots).toBe(true);
    expect(resolved({}, { postgresql: { use_slots: false } }).dynamic.useSlots).toBe(false);
  });

  it('takes custom methods from the place where they are given', () => {
    const settings = resolved({}, { postgresql: { create_replica_methods: ['b', 'basebackup'], b: { command: '/b', no_params: true } } });
    expect(settings.postgresql.createReplicaMethods).toEqual(['b', 'basebackup']);
    expect(settings.postgresql.methodOptions).toEqual({ b: { command: '/b', no_params: true } });
  });
});
