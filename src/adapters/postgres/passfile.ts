/**
 * Passfiles: https://www.postgresql.org/docs/current/libpq-pgpass.html. libpq ignores one that
 * others may read.
 */
import { chown, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Source } from '../../core/effects.ts';
import { endpointsOf } from '../../core/remote.ts';
import type { Credentials, Settings } from '../../core/settings.ts';
import { connectionPairs } from '../../pgconf/conninfo.ts';
import { passfileLines, programConninfo, renderPassfile } from '../../pgconf/server-config.ts';
import { codeOf, RegentError } from '../../support/errors.ts';
import { type WriteOptions, writeFileAtomic } from './atomic-file.ts';
import type { Deps } from './deps.ts';
import { scratchDirectory } from './scratch.ts';

export interface Host {
  readonly host: string;
  readonly port: number;
}

/**
 * The passfile that primary_conninfo names, with an entry for every user Regent connects as,
 * against each host. False: it was so already. Throws PASSFILE_NOT_A_FILE, FILE_WRITE_FAILED.
 */
export async function writePassfile(settings: Settings, hosts: readonly Host[], ways: Omit<WriteOptions, 'mode'>): Promise<boolean> {
  const path = settings.postgresql.pgpass;
  // Writing will tell what is wrong with the directory.
  await mkdir(dirname(path), { recursive: true }).catch(() => {});
  await refuseOthersPath(path);
  return await writeFileAtomic(path, renderPassfile(settings, hosts), { ...ways, mode: 0o600 });
}

async function refuseOthersPath(path: string): Promise<void> {
  try {
    if ((await stat(path)).isFile()) return;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  throw new RegentError('PASSFILE_NOT_A_FILE', `${path} is not a regular file and cannot hold passwords`, {
    mend: 'give postgresql.pgpass the path of a file of its own',
  });
}

export interface ProgramConnection {
  /** For --dbname or --source-server. Holds no secret. */
  readonly conninfo: string;
  readonly env: Readonly<Record<string, string>>;
  readonly remove: () => Promise<void>;
}

/** A connection broken without a word ends after about 25 s instead of the kernel's two hours. */
const KEEPALIVES = { keepalives_idle: '10', keepalives_interval: '5', keepalives_count: '3', connect_timeout: '10' };

/**
 * Who copies data with `--wal-method=stream` confirms what it receives, as a standby does. Under
 * the member's own name it would count as one.
 */
export const copyName = ({ local }: Settings): string => `${local.name} copy`;

/**
 * What a libpq program needs to connect, its secrets in files of one private directory that
 * `remove` deletes. What follows on the machine's own environment (PGPASSWORD, PGSERVICE …) is
 * taken out of the way.
 */
export async function programConnection(
  deps: Pick<Deps, 'settings' | 'runAs'>,
  target: Pick<Source, 'host' | 'port' | 'remote'> & {
    readonly credentials: Credentials;
    readonly major: number;
    readonly database?: string;
    readonly readWrite?: boolean;
    readonly applicationName?: string;
  },
): Promise<ProgramConnection> {
  const { settings } = deps;
  const pairs = connectionPairs({
    ...target,
    database: target.database ?? settings.postgresql.database,
    applicationName: target.applicationName ?? settings.local.name,
    passfile: null,
    krbsrvname: settings.postgresql.krbsrvname,
    readWrite: target.readWrite ?? false,
  });
  const { text, secrets } = programConninfo({ ...pairs, ...KEEPALIVES });
  const directory = await scratchDirectory('pass');
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const passfile = join(directory, 'passfile');
    const service = join(directory, 'service');
    const lines = endpointsOf(target).flatMap(({ host, port }) => passfileLines(target.credentials, host, port));
    await writeFile(passfile, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    // libpq takes the key's passphrase from nowhere else but the connection string or a service
    // file.
    const hidden = Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(service, `[regent]\n${hidden.join('')}`, { mode: 0o600 });
    if (deps.runAs) for (const path of [passfile, service, directory]) await chown(path, deps.runAs.uid, deps.runAs.gid);
    const conninfo = hidden.length > 0 ? `service=regent ${text}` : text;
    return {
      conninfo,
      env: { PGPASSFILE: passfile, ...(hidden.length > 0 ? { PGSERVICEFILE: service } : {}), LC_ALL: 'C', LANG: 'C' },
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
