import type { ConfigKey } from '../core/cluster.ts';
import type { JsonObject } from '../core/json.ts';
import type { LocalSettings, Settings } from '../core/settings.ts';

/** The settings in force, whatever they were read from. */
export interface SettingsSource {
  current(): Settings;
  /** The `config` key as last read; null: absent. True when the settings changed by it. */
  adopt(key: ConfigKey | null): boolean;
  /** Reads the local configuration again. Never throws: a broken file is reported and the old settings stay (refused). */
  reload(): 'changed' | 'same' | 'refused';
  /** Why reload() would keep the old settings now; null: it would not. Reported like there; changes nothing, never throws. */
  reloadRefusal?(): string | null;
  /** What a new cluster's `config` key starts with. */
  bootstrapConfig(): JsonObject;
  /** Remembers the dynamic configuration beside the data, for a start without etcd. Bounded, never throws. */
  save(): void;
  local(): LocalSettings;
}
