/**
 * Where this node's own settings lie: beside postgresql.conf, or in the data directory where that
 * one's directory takes no new file.
 */
import { join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { baseConfName } from '../../pgconf/conf-place.ts';
import { exists } from './file-steps.ts';
import { canWrite } from './marks.ts';

export async function basePath(settings: Settings, open: (directory: string) => Promise<boolean> = takesFiles): Promise<string> {
  const { configDir, dataDir } = settings.postgresql;
  const usual = join(configDir, baseConfName(settings));
  if (configDir === dataDir || (await exists(usual)) || (await open(configDir))) return usual;
  return join(dataDir, baseConfName(settings));
}

/** The full path of a configuration file. */
export async function configPath(settings: Settings, name: string): Promise<string> {
  return name === baseConfName(settings) ? await basePath(settings) : join(settings.postgresql.configDir, name);
}

/** One that does not exist yet will. */
async function takesFiles(directory: string): Promise<boolean> {
  return !(await exists(directory)) || (await canWrite(directory));
}
