/**
 * Settings for one role only: `parameters_primary`, `pg_hba_replica` and so on. Rules:
 * docs/dialect.md, "Settings by role".
 */
import { ROLE_NAMES, type RoleName, type RoleSettings, type Settings } from '../core/settings.ts';
import { isClusterWide } from '../pgconf/guc-table.ts';
import { linesOf, splitParameters } from './build-postgres.ts';
import type { Finding } from './problems.ts';
import type { SharedParsed } from './table.ts';

/** What each role has, laid over what holds for all; undefined: the same as all. */
export function byRoleOf(
  parsed: SharedParsed,
  all: RoleSettings,
  finish: (parameters: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
): Settings['byRole'] {
  const given = ROLE_NAMES.some((role) => keysOf(role).some((key) => parsed[key] !== undefined));
  return given ? { primary: laid('primary'), replica: laid('replica'), standby_leader: laid('standby_leader') } : undefined;

  function laid(role: RoleName): RoleSettings {
    const own = splitParameters(parsed[`parameters_${role}`] ?? {});
    return {
      parameters: finish({ ...all.parameters, ...own.plain }),
      recoveryConf: { ...all.recoveryConf, ...own.recovery },
      pgHba: linesOf(parsed[`pg_hba_${role}`]) ?? all.pgHba,
      pgIdent: linesOf(parsed[`pg_ident_${role}`]) ?? all.pgIdent,
    };
  }
}

const keysOf = (role: RoleName) => [`parameters_${role}`, `pg_hba_${role}`, `pg_ident_${role}`] as const;

/** The parameters of each role that was given some, by the setting's name. */
export function roleParameters(parsed: SharedParsed): [string, Readonly<Record<string, string>>][] {
  return ROLE_NAMES.flatMap((role): [string, Readonly<Record<string, string>>][] => {
    const parameters = parsed[`parameters_${role}`];
    return parameters === undefined ? [] : [[`parameters_${role}`, parameters]];
  });
}

/** What is the same on all members cannot depend on the role. */
export function clusterWideFindings(parameters: Readonly<Record<string, string>>, path: readonly string[]): Finding[] {
  return Object.keys(parameters)
    .filter(isClusterWide)
    .map((name) => ({
      path: [...path, name],
      message: `${name} is the same on all members, whatever their role; it is ignored here`,
      mend: `write it under postgresql.parameters of the dynamic configuration ('regentctl edit-config')`,
      severity: 'warning',
    }));
}
