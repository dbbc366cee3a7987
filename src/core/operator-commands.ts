/** Commands that a log line tells an operator to run. */
import type { Settings } from './settings.ts';

interface Asker {
  readonly me: string;
  readonly o: { readonly settings: Settings };
}

export const reinitCommand = (c: Asker) => `run: regentctl reinit ${c.o.settings.local.scope} ${c.me}`;

export const withoutStandbyCluster = (scope: string) => `regentctl edit-config ${scope} -s standby_cluster=null`;

/** A standby cluster takes writes again. */
export const promoteCluster = (scope: string, program = 'regentctl') => `${program} promote-cluster ${scope}`;
