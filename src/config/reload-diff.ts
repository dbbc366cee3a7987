/** What a reload of the local file changes, and what each change needs. */
import type { LocalSettings } from '../core/settings.ts';
import { eachSetting, type Need, namesOf } from './setting.ts';
import { localTable } from './table.ts';

export interface SettingChange {
  readonly section: keyof LocalSettings;
  /**
   * Name in the settings, '' when the section is a single value. Values are not told: they may be
   * secret.
   */
  readonly key: string;
  readonly need: Need;
}

/** What is made of a row of the table, and where the row stands: `etcd.endpoints`. */
interface Origin {
  readonly path: readonly string[];
  readonly need: Need;
  /** Path of what waits with it for a restart of the agent. */
  readonly holds: string | undefined;
}

/** By the name of what is made, the rows it is made of. `etcd` means `etcd3` as well. */
const ORIGINS = origins();

function origins(): ReadonlyMap<string, readonly Origin[]> {
  const result = new Map<string, Origin[]>();
  const { etcd3: _, ...table } = localTable;
  eachSetting(table, (path, row, around) => {
    const { about } = row;
    const section = path.slice(0, -1).join('.');
    for (const name of namesOf(path.at(-1)!, row)) {
      const made = section === '' || name.includes('.') ? name : `${section}.${name}`;
      const origin = { path, need: about.needs ?? around.needs ?? 'reload', holds: about.holds };
      result.set(made, [...(result.get(made) ?? []), origin]);
    }
  });
  return result;
}

/** `setting`: `etcd.endpoints`, `scope`. */
export function originsOf(setting: string): readonly Origin[] {
  return ORIGINS.get(setting) ?? [];
}

/** In the order of LocalSettings. Empty: nothing changed. */
export function diffLocal(before: LocalSettings, after: LocalSettings): readonly SettingChange[] {
  // Why there is no bootstrap is told where there is none.
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const sections = [...names].filter((name) => name !== 'bootstrapRefusal') as (keyof LocalSettings)[];
  return sections.flatMap((section) =>
    changedKeys(before[section], after[section]).map((key) => ({ section, key, need: needOf(section, key) })),
  );
}

/** Of several rows the strictest counts. */
function needOf(section: keyof LocalSettings, key: string): Need {
  if (section === 'bootstrap') return 'bootstrap';
  const needs = originsOf(key === '' ? section : `${section}.${key}`).map(({ need }) => need);
  return (['restart-agent', 'restart-postgres'] as const).find((need) => needs.includes(need)) ?? 'reload';
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
