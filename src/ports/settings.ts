import type { ConfigKey } from '../core/cluster.ts';
import type { LocalSettings, Settings } from '../core/settings.ts';
import type { JsonObject } from '../support/json.ts';

/** In the data directory; Patroni reads it as well. */
export const DYNAMIC_CACHE = 'patroni.dynamic.json';

export interface ReloadPreview {
  /** Why nothing would be taken over; null: something would. */
  readonly refusal: string | null;
  /** Keys that would wait for a restart of the agent, as the file has them. */
  readonly waiting: readonly string[];
}

/** The settings in force, whatever they were read from. */
export interface SettingsSource {
  current(): Settings;
  /**
   * The `config` key as last read; null: absent. `refuses`: what it says of `standby_cluster` does
   * not count. True when the settings changed by it.
   */
  adopt(key: ConfigKey | null, refuses?: boolean): boolean;
  /** What the settings would be by that key, all of it. Changes nothing, reports nothing. */
  preview(key: ConfigKey): Settings;
  /**
   * Reads the local configuration again. Never throws: a broken file is reported and the old
   * settings stay (refused). What needs a restart of the agent stays as it is and is reported; the
   * rest is taken over.
   */
  reload(): 'changed' | 'same' | 'refused';
  /**
   * What reload() would say now. A refusal is reported like there; changes nothing, never throws.
   */
  previewReload?(): ReloadPreview;
  /** What a new cluster's `config` key starts with. */
  bootstrapConfig(): JsonObject;
  /**
   * Remembers the dynamic configuration beside the data. An agent that starts without etcd uses it.
   * In the background: nobody waits for the disk. Never throws.
   */
  save(): void;
  local(): LocalSettings;
}
