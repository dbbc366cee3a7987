/**
 * A configuration directory apart from the data directory. It must exist before anything is copied
 * or made that needs it.
 */
import { access, chown, constants, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../../core/settings.ts';
import { confName } from '../../pgconf/conf-place.ts';
import { codeOf, ensureError, RegentError } from '../../support/errors.ts';
import { ACCESS_FILES } from './conf-backup.ts';
import type { Deps } from './deps.ts';

/** As Debian makes them; what is in it has modes of its own. */
const MODE = 0o755;

/**
 * Makes it where it is missing, when a data directory is about to be made. A server that exists
 * already has its files somewhere. Throws CONFIG_DIR_UNUSABLE.
 */
export async function provideConfigDir(settings: Settings, { runAs, log }: Pick<Deps, 'runAs' | 'log'>): Promise<void> {
  const { configDir, dataDir } = settings.postgresql;
  if (configDir === dataDir || configDir.startsWith(`${dataDir}/`)) return;
  try {
    const first = await mkdir(configDir, { recursive: true, mode: MODE });
    if (first !== undefined) {
      if (runAs) await chown(configDir, runAs.uid, runAs.gid);
      log.info(`made ${configDir}, which postgresql.config_dir names`);
    } else if (!(await stat(configDir)).isDirectory()) throw new Error('it is not a directory');
    await writable(settings);
  } catch (error) {
    const reason = codeOf(error) === 'EEXIST' ? 'it is not a directory' : ensureError(error).message;
    throw new RegentError('CONFIG_DIR_UNUSABLE', `postgresql.config_dir ${configDir} cannot be used: ${reason}`, {
      mend: `make it, owned by the user PostgreSQL runs as: install -d -o postgres -g postgres ${configDir}`,
      cause: error,
    });
  }
}

/**
 * Or the files in it are: those are written in place (see in-place.ts), and the base file lies in
 * the data directory.
 */
async function writable(settings: Settings): Promise<void> {
  const { configDir } = settings.postgresql;
  try {
    await access(configDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    for (const name of [confName(settings), ...ACCESS_FILES]) {
      await access(join(configDir, name), constants.R_OK | constants.W_OK).catch(() => {
        throw error;
      });
    }
  }
}
