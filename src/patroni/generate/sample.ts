/** `--generate-sample-config`: a configuration to start from, for the PostgreSQL installed here. */
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Environment, readEnvironment } from '../../config/env.ts';
import { valueAt } from '../../config/merge.ts';
import { RegentError } from '../../support/errors.ts';
import type { JsonObject } from '../../support/json.ts';
import { hasPrograms, majorOf } from '../surroundings.ts';
import { configOf, REWIND_USER } from './template.ts';

/** Debian keeps each version's programs apart, and none in the PATH. */
const DEBIAN = '/usr/lib/postgresql';

export async function sampleConfig(env: Environment): Promise<JsonObject> {
  const given = readEnvironment(env).raw;
  const directory = await programDirectory(env, valueAt(given, ['postgresql', 'bin_dir']));
  const replication = valueAt(given, ['postgresql', 'authentication', 'replication', 'username']) ?? 'replicator';
  const postgresql: JsonObject = {
    bin_dir: directory,
    authentication: { rewind: REWIND_USER },
    parameters: { password_encryption: 'scram-sha-256' },
    pg_hba: ['host all all all scram-sha-256', `host replication ${String(replication)} all scram-sha-256`],
  };
  return configOf({ bootstrap: { dcs: { postgresql: { use_pg_rewind: true } } }, postgresql }, env);
}

/** Throws PROGRAM_MISSING. '' means the PATH, as in the configuration. */
async function programDirectory(env: Environment, given: unknown): Promise<string> {
  const named = typeof given === 'string' && given !== '' ? [given] : null;
  const places = named ?? [...(env['PATH'] ?? '').split(delimiter).filter((one) => one !== ''), ...debianDirectories()];
  for (const directory of places) {
    if (hasPrograms(directory) && (await majorOf(join(directory, 'postgres'))) !== null) return directory;
  }
  const where = named === null ? 'in the PATH' : `in ${named[0]}`;
  throw new RegentError('PROGRAM_MISSING', `PostgreSQL’s programs were not found ${where}`, {
    mend: 'set PATRONI_POSTGRESQL_BIN_DIR to the directory of PostgreSQL’s programs',
  });
}

function debianDirectories(): string[] {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).filter((name) => /^\d+$/.test(name)) : [];
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(DEBIAN, version, 'bin'));
}
