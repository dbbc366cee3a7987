/**
 * WAL of a former primary that waits for its archiver. pg_rewind removes or overwrites it, a
 * standby recycles it, and a recovery to a point in that time would be lost with it. So it is
 * archived first.
 */
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { confPath } from '../../pgconf/conf-place.ts';
import type { Bounded } from '../../ports/postgres.ts';
import { ensureError } from '../../support/errors.ts';
import { lastLines } from '../../support/exec.ts';
import type { Deps } from './deps.ts';
import { binary } from './programs.ts';

const READ_TIMEOUT_MS = 5000;
/** Of one segment: an archive that hangs must not keep the node down. */
const SEGMENT_TIMEOUT_MS = 60_000;
const ALL_TIMEOUT_MS = 600_000;

/**
 * A setting as the stopped server would have it; '' when it cannot be told (the server's own
 * configuration is broken, say).
 */
export async function runningValue(deps: Deps, name: string, timeoutMs: number): Promise<string> {
  const { dataDir } = deps.settings.postgresql;
  const args = ['-D', dataDir, `--config-file=${confPath(deps.settings)}`, '-C', name];
  const result = await deps.run(binary(deps.settings, 'postgres'), args, {
    timeoutMs: Math.min(timeoutMs, READ_TIMEOUT_MS),
    env: { LC_ALL: 'C' },
  });
  if (result.code === 0) return result.stdout.replace(/\n$/, '');
  deps.log.warning(`the value of ${name} could not be read from the configuration`, { reason: lastLines(result.stderr, 2) });
  return '';
}

/**
 * Stops at the first segment that cannot be archived in a minute, and after ten minutes in all,
 * with a warning: a standby is worth more than the tail of what was archived. Never throws.
 */
export async function archiveReadySegments(deps: Deps, major: number, options: Bounded): Promise<number> {
  const { dataDir } = deps.settings.postgresql;
  const deadline = deps.clock.monotonicMs() + Math.min(options.timeoutMs, ALL_TIMEOUT_MS);
  let done = 0;
  try {
    const statusDir = join(dataDir, 'pg_wal', 'archive_status');
    const ready = (await readdir(statusDir)).filter((name) => name.endsWith('.ready')).sort();
    if (ready.length === 0 || !['on', 'always'].includes(await runningValue(deps, 'archive_mode', READ_TIMEOUT_MS))) return 0;
    const command = await runningValue(deps, 'archive_command', READ_TIMEOUT_MS);
    if (command === '') {
      const library = major >= 15 ? await runningValue(deps, 'archive_library', READ_TIMEOUT_MS) : '';
      deps.log.warning('WAL that waits to be archived will be missing from the archive: there is no archive_command to run', {
        segments: ready.length,
        archiveLibrary: library,
      });
      return 0;
    }
    deps.log.info('archiving the WAL that waits for it, before this node becomes a standby', { segments: ready.length });
    for (const status of ready) {
      const leftMs = Math.min(SEGMENT_TIMEOUT_MS, deadline - deps.clock.monotonicMs());
      if (leftMs <= 0 || options.signal?.aborted) break;
      const segment = status.slice(0, -'.ready'.length);
      if (!(await archiveOne(deps, command, segment, { ...options, timeoutMs: leftMs }))) break;
      await rename(join(statusDir, status), join(statusDir, `${segment}.done`));
      done += 1;
    }
    if (done < ready.length && !options.signal?.aborted)
      deps.log.warning('WAL that waited to be archived will be missing from the archive', { segments: ready.length - done });
  } catch (error) {
    deps.log.warning('WAL that waits to be archived was not', { reason: ensureError(error).message });
  }
  return done;
}

async function archiveOne(deps: Deps, command: string, segment: string, options: Bounded): Promise<boolean> {
  const result = await deps.run('/bin/sh', ['-c', archiveCommand(command, segment)], {
    timeoutMs: options.timeoutMs,
    ...(options.signal ? { signal: options.signal } : {}),
    cwd: deps.settings.postgresql.dataDir,
  });
  if (result.code === 0) return true;
  deps.log.warning(`${segment} could not be archived`, {
    code: result.code,
    cause: result.cause,
    said: lastLines(result.stderr, 2),
  });
  return false;
}

/** PostgreSQL's placeholders: %p path from the data directory, %f name, %% a percent sign. */
export function archiveCommand(command: string, segment: string): string {
  return command.replace(/%([pf%])/g, (_, letter: string) => (letter === 'p' ? `pg_wal/${segment}` : letter === 'f' ? segment : '%'));
}
