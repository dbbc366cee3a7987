/**
 * A live process in postmaster.pid is not recognized as our server, but may be it. So nothing is
 * begun in its directory.
 */
import type { UnexplainedProcess } from '../../core/postgres-facts.ts';
import { RegentError } from '../../support/errors.ts';
import { pidFileOwner } from './detect.ts';
import type { LocalServer } from './local-server.ts';
import { serverPrograms } from './programs.ts';

export const UNEXPLAINED_MEND =
  'if it is this PostgreSQL, correct postgresql.bin_dir and bin_name, or stop it. Otherwise end it; or remove postmaster.pid once you are sure that no process of this PostgreSQL is left';

export function findUnexplained({ settings }: LocalServer): UnexplainedProcess | null {
  const owner = pidFileOwner(settings.postgresql.dataDir, serverPrograms(settings));
  return owner?.verdict === 'unexplained' ? { pid: owner.pid, program: owner.program } : null;
}

/** Throws PG_PID_UNEXPLAINED. */
export function refuseUnexplained(server: LocalServer, what: string): void {
  const found = findUnexplained(server);
  if (found === null) return;
  const { dataDir } = server.settings.postgresql;
  const message = `${dataDir}/postmaster.pid names process ${found.pid} (${found.program}), which may be a PostgreSQL of this directory: ${what} would collide with it`;
  throw new RegentError('PG_PID_UNEXPLAINED', message, { policy: 'transient', mend: UNEXPLAINED_MEND });
}

/** Logs a line when it begins, when it is another process, and when it is over. */
export class UnexplainedLog {
  #last: number | null = null;

  note({ log, settings }: LocalServer, found: UnexplainedProcess | null): void {
    if (found?.pid === this.#last || (found === null && this.#last === null)) return;
    const file = `${settings.postgresql.dataDir}/postmaster.pid`;
    if (found === null) log.info(`process ${this.#last}, which ${file} named, is gone or explained`);
    else
      log.error(`${file} names process ${found.pid} (${found.program}), which is not known as this PostgreSQL`, { mend: UNEXPLAINED_MEND });
    this.#last = found?.pid ?? null;
  }
}
