import { describe, expect, it } from 'vitest';
import { settings } from '../../test/support/build.ts';
import { differByRole, roleNameOf, settingsFor } from './role-settings.ts';
import type { RoleSettings, Settings } from './settings.ts';

const none: RoleSettings = { parameters: {}, recoveryConf: {}, pgHba: null, pgIdent: null };
const withRoles: Settings = {
  ...settings('a'),
  byRole: {
    primary: { ...none, parameters: { work_mem: '8MB' }, pgHba: ['local all all peer'] },
    replica: { ...none, parameters: { work_mem: '64MB' } },
    standby_leader: { ...none, parameters: { work_mem: '64MB' } },
  },
};

describe('settings by role', () => {
  it('names a role as the settings do', () => {
    expect(roleNameOf({ kind: 'primary' })).toBe('primary');
    expect(roleNameOf({ kind: 'standby', source: null })).toBe('replica');
  });

  it('has what the role sets in every place that is read, and the same object each time', () => {
    const primary = settingsFor(withRoles, 'primary');
    expect(primary.parameters).toEqual({ work_mem: '8MB' });
    expect(primary.postgresql).toMatchObject({ parameters: { work_mem: '8MB' }, pgHba: ['local all all peer'] });
    expect(primary.local).toBe(withRoles.local);
    expect(settingsFor(withRoles, 'primary')).toBe(primary);
    // A role that was laid on already changes nothing.
    expect(settingsFor(primary, 'primary').parameters).toEqual({ work_mem: '8MB' });
  });

  it('leaves the settings as they are where no role is known, or none has its own', () => {
    expect(settingsFor(withRoles, null)).toBe(withRoles);
    const same = settings('a');
    expect(settingsFor(same, 'primary')).toBe(same);
  });

  it('wants files written again only for a role whose settings differ', () => {
    expect(differByRole(withRoles, 'replica', 'primary')).toBe(true);
    expect(differByRole(withRoles, 'replica', 'standby_leader')).toBe(false);
    expect(differByRole(withRoles, null, 'replica')).toBe(true);
    expect(differByRole(settings('a'), 'replica', 'primary')).toBe(false);
  });
});
