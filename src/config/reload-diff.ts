/** What a reload of the local file changes, and what each change needs. */
import type { LocalSettings } from '../core/settings.ts';

/**
 * reload: in force at once. restart-postgres: in force when PostgreSQL restarts (pending until
 * then). restart-agent: the running agent keeps the old value. bootstrap: matters for a new cluster
 * only.
 */
export type Need = 'reload' | 'restart-postgres' | 'restart-agent' | 'bootstrap';

export interface SettingChange {
  readonly section: keyof LocalSettings;
  /**
   * Name in the settings, '' when the section is a single value. Values are not told: they may be
   * secret.
   */
  readonly key: string;
  readonly need: Need;
}

const ALWAYS_RESTART: ReadonlySet<string> = new Set(['scope', 'name', 'namespace']);

/** Connections and directories the agent stands on. */
const RESTART_AGENT: Readonly<Record<string, ReadonlySet<string>>> = {
  // Endpoints and certificates belong to the running client; who logs in is read anew
  // (patroni-compat 1.13).
  etcd: new Set(['endpoints', 'cacert', 'cert', 'key', 'discover', 'srv', 'srvSuffix']),
  restapi: new Set(['listenHost', 'listenPort']),
  postgresql: new Set(['dataDir', 'configDir', 'pgpass']),
  watchdog: new Set(['device']),
};

const RESTART_POSTGRES: ReadonlySet<string> = new Set(['listenAddresses', 'port']);

/** In the order of LocalSettings. Empty: nothing changed. */
export function diffLocal(before: LocalSettings, after: LocalSettings): readonly SettingChange[] {
  // Why there is no bootstrap is told where there is none.
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const sections = [...names].filter((name) => name !== 'bootstrapRefusal') as (keyof LocalSettings)[];
  return sections.flatMap((section) =>
    changedKeys(before[section], after[section]).map((key) => ({ section, key, need: needOf(section, key) })),
  );
}

function needOf(section: keyof LocalSettings, key: string): Need {
  if (section === 'bootstrap') return 'bootstrap';
  if (ALWAYS_RESTART.has(section) || RESTART_AGENT[section]?.has(key)) return 'restart-agent';
  return section === 'postgresql' && RESTART_POSTGRES.has(key) ? 'restart-postgres' : 'reload';
}

function changedKeys(before: unknown, after: unknown): string[] {
  if (same(before, after)) return [];
  if (!isRecord(before) || !isRecord(after)) return [''];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.filter((key) => !same(before[key], after[key]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Order of keys does not count, order of lists does. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => same(item, b[index]));
  if (!isRecord(a) || !isRecord(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}
