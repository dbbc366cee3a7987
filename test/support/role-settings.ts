/** Settings that differ between the primary and the others. */
import fc from 'fast-check';
import type { RoleName, Settings } from '../../src/core/settings.ts';

export const workMemByRole = (): NonNullable<Settings['byRole']> => {
  const workMem = (value: string) => ({ parameters: { work_mem: value }, recoveryConf: {}, pgHba: null, pgIdent: null });
  return { primary: workMem('8MB'), replica: workMem('64MB'), standby_leader: workMem('64MB') };
};

/** undefined: the settings are the same for all roles. */
export const anyFilesFor = fc.constantFrom<RoleName | null | undefined>(undefined, undefined, undefined, null, 'primary', 'replica');

export function inRole(filesFor: RoleName | null | undefined) {
  return filesFor === undefined ? { pg: {}, settings: {} } : { pg: { filesFor }, settings: { byRole: workMemByRole() } };
}
