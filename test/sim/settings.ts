/** Settings of a simulated member. The dynamic ones are read as the real agent reads them. */
import { resolveDynamic } from '../../src/config/dynamic.ts';
import type { ConfigKey, Tags } from '../../src/core/cluster.ts';
import type { DynamicSettings, LocalSettings, PostgresSettings, Settings } from '../../src/core/settings.ts';
import type { SettingsSource } from '../../src/ports/settings.ts';
import type { JsonObject } from '../../src/support/json.ts';

const postgresql = (name: string) =>
  ({
    listenAddresses: '*',
    port: 5432,
    connectHost: name,
    connectPort: 5432,
    proxyAddress: null,
    dataDir: `/data/${name}`,
    database: 'postgres',
    usePgRewind: true,
    removeDataDirectoryOnRewindFailure: true,
    removeDataDirectoryOnDivergedTimelines: true,
    pgCtlTimeoutSeconds: 60,
    createReplicaMethods: ['basebackup'],
    methodOptions: {},
  }) as unknown as PostgresSettings;

const local = (name: string, tags: Tags, dcs: JsonObject) =>
  ({
    scope: 'sim',
    name,
    namespace: 'service',
    tags,
    restapi: { connectAddress: `${name}:8008`, certfile: null },
    watchdog: { mode: 'off', device: '/dev/watchdog', safetyMarginSeconds: 5 },
    bootstrap: { dcs, method: 'initdb', initdb: [], postBootstrap: null, pgHba: [], methodOptions: null },
    postgresql: postgresql(name),
  }) as unknown as LocalSettings;

/** Reading the same text gives the same settings, and zod is slow next to everything else here. */
const resolved = new Map<string, DynamicSettings>();

function dynamicOf(raw: JsonObject): DynamicSettings {
  const text = JSON.stringify(raw);
  const known = resolved.get(text);
  if (known !== undefined) return known;
  const { dynamic } = resolveDynamic(raw);
  resolved.set(text, dynamic);
  return dynamic;
}

/** What to do with data that diverged, where the cluster-wide settings say it. */
function mendingOf({ postgresql }: DynamicSettings): Partial<PostgresSettings> {
  const { use_pg_rewind, remove_data_directory_on_rewind_failure, remove_data_directory_on_diverged_timelines } = postgresql;
  return {
    ...(typeof use_pg_rewind === 'boolean' && { usePgRewind: use_pg_rewind }),
    ...(typeof remove_data_directory_on_rewind_failure === 'boolean' && {
      removeDataDirectoryOnRewindFailure: remove_data_directory_on_rewind_failure,
    }),
    ...(typeof remove_data_directory_on_diverged_timelines === 'boolean' && {
      removeDataDirectoryOnDivergedTimelines: remove_data_directory_on_diverged_timelines,
    }),
  };
}

export function simSettings(name: string, bootstrap: JsonObject, tags: Tags, old = false): SettingsSource {
  const mine = local(name, tags, bootstrap);
  const build = (raw: JsonObject): Settings => ({
    local: mine,
    // Whoever knows of no promises gives none, whatever else is broken.
    dynamic: old ? { ...dynamicOf(raw), failoverFence: 'lease' } : dynamicOf(raw),
    postgresql: { ...mine.postgresql, ...mendingOf(dynamicOf(raw)) },
    controlledParameters: {},
    parameters: {},
  });
  let settings = build(bootstrap);
  let seen: string | null = null;
  return {
    current: () => settings,
    adopt: (key: ConfigKey | null, refuses = false) => {
      if (key === null || Object.keys(key.data).length === 0 || `${key.modRevision} ${refuses}` === seen) return false;
      seen = `${key.modRevision} ${refuses}`;
      const { standby_cluster: _, ...others } = key.data;
      settings = build(refuses ? others : key.data);
      return true;
    },
    preview: ({ data }) => build(data),
    reload: () => 'same' as const,
    bootstrapConfig: () => bootstrap,
    save: () => undefined,
    local: () => mine,
  };
}
