/**
 * Settings that hold for one role only: `parameters_primary`, `pg_hba_replica` and so on. What is
 * made of them is whole: it has the settings of all roles in it.
 */
import type { ServerRole } from './effects.ts';
import type { RoleName, Settings } from './settings.ts';

/** By the word that the settings use. */
export function roleNameOf(role: ServerRole): RoleName {
  if (role.kind === 'primary') return 'primary';
  return role.leads || role.source?.remote ? 'standby_leader' : 'replica';
}

const made = new WeakMap<Settings, Map<RoleName, Settings>>();

/**
 * The settings as they are for the role; the same object each time. null: the role is not known,
 * and what holds for one role only is left out.
 */
export function settingsFor(settings: Settings, role: RoleName | null): Settings {
  const own = role === null ? undefined : settings.byRole?.[role];
  if (own === undefined) return settings;
  const before = made.get(settings) ?? new Map<RoleName, Settings>();
  const known = before.get(role!);
  if (known !== undefined) return known;
  const result = { ...settings, parameters: own.parameters, postgresql: { ...settings.postgresql, ...own } };
  made.set(settings, before.set(role!, result));
  return result;
}

/**
 * Whether files that were written for one role serve another one; null: it is not known for which
 * they were written.
 */
export function differByRole({ byRole }: Settings, written: RoleName | null, wanted: RoleName): boolean {
  if (byRole === undefined || written === wanted) return false;
  return written === null || JSON.stringify(byRole[written]) !== JSON.stringify(byRole[wanted]);
}
