/** Settings that hold for one role only, from both places where they may stand. */
import { describe, expect, it } from 'vitest';
import { nodeEnv, resolved } from '../../test/fixtures/config-files.ts';
import { settingsFor } from '../core/role-settings.ts';
import { ROLE_NAMES, type RoleName, type Settings } from '../core/settings.ts';
import { readDynamic } from './dynamic.ts';
import { examineLocal } from './load.ts';
import { formatProblem } from './problems.ts';

const inRoles = (settings: Settings, look: (settings: Settings) => unknown) =>
  Object.fromEntries(ROLE_NAMES.map((role) => [role, look(settingsFor(settings, role))]));

describe('settings by role', () => {
  it('lay parameters over those for all roles, and keep the others', () => {
    const settings = resolved({
      parameters: { work_mem: '4MB', log_statement: 'ddl' },
      parameters_primary: { Work_Mem: '8MB' },
      parameters_standby_leader: { restore_command: 'fetch %f %p' },
    });
    const all = { wal_keep_size: '128MB', work_mem: '4MB', log_statement: 'ddl' };
    expect(inRoles(settings, ({ parameters }) => parameters)).toEqual({
      primary: { ...all, work_mem: '8MB' },
      replica: all,
      standby_leader: all,
    });
    expect(inRoles(settings, ({ postgresql }) => postgresql.recoveryConf)).toMatchObject({
      primary: {},
      standby_leader: { restore_command: 'fetch %f %p' },
    });
    expect(settings.parameters).toEqual(all);
  });

  it('replace the lines of access files whole; an empty list replaces nothing', () => {
    const settings = resolved({ pg_hba: ['local all all peer'], pg_hba_replica: ['host all all all reject'], pg_hba_primary: [] });
    expect(inRoles(settings, ({ postgresql }) => postgresql.pgHba)).toEqual({
      primary: ['local all all peer'],
      replica: ['host all all all reject'],
      standby_leader: ['local all all peer'],
    });
    const ident = resolved({ pg_ident_primary: ['m root postgres'] });
    expect(inRoles(ident, ({ postgresql }) => postgresql.pgIdent)).toEqual({
      primary: ['m root postgres'],
      replica: null,
      standby_leader: null,
    });
  });

  it('write no access file of an empty list: PostgreSQL would not start with it', () => {
    const { postgresql } = resolved({ pg_hba: [], pg_ident: ['', null] });
    expect([postgresql.pgHba, postgresql.pgIdent]).toEqual([null, null]);
    expect(resolved({}, { postgresql: { pg_hba: [] } }).postgresql.pgHba).toBeNull();
  });

  it.each<[RoleName, string]>([
    ['primary', '1MB'],
    ['replica', '2MB'],
    ['standby_leader', '3MB'],
  ])('of the cluster give way to those of the node, key by key: %s', (role, value) => {
    const everywhere = { parameters_primary: { work_mem: '1MB' }, parameters_replica: { work_mem: '9MB', work: 'x' } };
    const settings = resolved(
      { parameters_replica: { work_mem: '2MB' }, parameters_standby_leader: { work_mem: '3MB' } },
      { postgresql: everywhere },
    );
    expect(settingsFor(settings, role).parameters).toEqual({ wal_keep_size: '128MB', work_mem: value });
  });

  it('leave what is the same on all members alone, and say so', () => {
    const given = { parameters_primary: { max_connections: 500, wal_keep_size: '1GB', work_mem: '8MB' } };
    const settings = resolved(given);
    expect(settings.controlledParameters['max_connections']).toBe('100');
    expect(settingsFor(settings, 'primary').parameters).toEqual({ wal_keep_size: '128MB', work_mem: '8MB' });
    const told = examineLocal({ path: null, env: nodeEnv(given) }).problems.filter(({ path }) => path.startsWith('postgresql.parameters_'));
    expect(told.map(({ severity, path }) => `${severity} ${path}`)).toEqual([
      'warning postgresql.parameters_primary.max_connections',
      'warning postgresql.parameters_primary.wal_keep_size',
    ]);
    expect(formatProblem(told[0]!)).toContain('max_connections is the same on all members, whatever their role; it is ignored here');
    const dynamic = readDynamic({ postgresql: given }).findings;
    expect(dynamic.map(({ path, severity }) => `${severity} ${path.join('.')}`)).toEqual([
      'warning postgresql.parameters_primary.max_connections',
      'warning postgresql.parameters_primary.wal_keep_size',
    ]);
  });

  it('cannot choose the standbys that confirm while Regent does', () => {
    const given = { parameters_primary: { synchronous_standby_names: 'b' } };
    expect(settingsFor(resolved(given), 'primary').parameters['synchronous_standby_names']).toBe('b');
    const synchronous = resolved(given, { synchronous_mode: true });
    expect(settingsFor(synchronous, 'primary').parameters).not.toHaveProperty('synchronous_standby_names');
  });

  it('are not there where nothing is set for a role', () => {
    expect(resolved({ parameters: { work_mem: '4MB' } }).byRole).toBeUndefined();
  });
});
