/**
 * Findings about synchronous_standby_names among the parameters: the setting works, but does less
 * than its author expects.
 */
import type { DynamicSettings } from '../core/settings.ts';
import { isMalformed, parseSyncNames, userSyncNames } from '../core/sync-names.ts';
import type { ConfigProblem, Finding } from './problems.ts';

const NAME = 'synchronous_standby_names';

/** One finding at most. `me` null: the settings of all members. */
export function syncNamesFindings(
  parameters: Readonly<Record<string, string>>,
  path: readonly string[],
  mode: DynamicSettings['synchronousMode'],
  me: string | null,
): Finding[] {
  const key = Object.keys(parameters).find((name) => name.toLowerCase() === NAME);
  const value = key === undefined ? '' : parameters[key]!.trim();
  if (key === undefined || value === '') return [];
  const finding = (message: string, mend: string): Finding[] => [{ path: [...path, key], message, mend, severity: 'warning' }];
  if (mode !== 'off')
    return finding(`ignored as long as synchronous_mode is ${mode}: Regent chooses the standbys that confirm`, 'remove it');
  const cost = 'without synchronous_mode every commit waits as long as none of them is connected, and a failover does not ask who they are';
  return finding(
    [...remarks(value, me), cost].join('; '),
    "let Regent choose them: 'regentctl edit-config -s synchronous_mode=on', and remove it here",
  );
}

/**
 * What is said of the list in a node's file. Whether it is true depends on the cluster's
 * synchronous_mode, which the file does not know.
 */
export function isSyncNamesProblem({ path, severity }: ConfigProblem): boolean {
  return severity === 'warning' && path.toLowerCase() === `postgresql.parameters.${NAME}`;
}

function remarks(value: string, me: string | null): string[] {
  if (isMalformed(value)) return ['it is not a list of names as PostgreSQL reads them, and is left out'];
  // A node's name may be anything; this one nobody has.
  const read = userSyncNames(value, me ?? '\0');
  if (read === value) return me === null ? ['a member leaves its own name out'] : [];
  if (read === '') return ['it names this node alone, which cannot confirm its own commits: while it leads, no standby confirms'];
  const named = parseSyncNames(value).names.length !== parseSyncNames(read).names.length;
  return [`${named ? "this node's own name is left out: " : ''}it is read as ${read}`];
}
