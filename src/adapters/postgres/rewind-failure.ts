/**
 * What pg_rewind's last words mean for the next try. Texts: src/bin/pg_rewind and src/common of
 * PostgreSQL 13 to 18, run with LC_ALL=C; core/rewind-prospects.ts says what the codes stand for.
 */
import type { RunResult } from '../../support/exec.ts';

export interface RewindFailure {
  readonly code: string;
  readonly mend: string;
  /**
   * The line that tells, without moment and process; where none is known to, the last lines in one.
   */
  readonly words: string;
}

const REINIT = 'reinitialize the member';

const CAUSES: ReadonlyArray<readonly [pattern: RegExp, failure: Omit<RewindFailure, 'words'>]> = [
  [
    /No space left on device|Disk quota exceeded|Read-only file system/i,
    { code: 'REWIND_NO_ROOM', mend: 'make room on the disk of the data directory; Regent tries again by itself' },
  ],
  [
    /could not open file "[^"]*\.s\.PGSQL\.\d+"/,
    {
      code: 'REWIND_SOURCE_SOCKET',
      mend: `set unix_socket_directories of the source to a directory outside of its data directory, or ${REINIT}`,
    },
  ],
  [/are from different systems|could not find common ancestor/, { code: 'REWIND_NOTHING_IN_COMMON', mend: REINIT }],
  [
    /needs to use either data checksums or "?wal_log_hints/,
    { code: 'REWIND_REFUSED', mend: `set wal_log_hints for the next time, and ${REINIT}` },
  ],
  [
    /permission denied for (function|database|schema)|must be superuser/,
    {
      code: 'REWIND_NO_RIGHT',
      mend: 'give the rewind user EXECUTE on pg_ls_dir, pg_stat_file, pg_read_binary_file (docs/configuration.md)',
    },
  ],
  [
    /could not find previous WAL record|could not read WAL record|could not open file "[^"]*pg_wal\/|could not restore file .* from archive/,
    { code: 'REWIND_WAL_GONE', mend: `WAL from before the point where the histories part is missing on this node: ${REINIT}` },
  ],
  [
    /connection to server|could not connect|server closed the connection|terminating connection|could not (fetch|receive|send)|SSL (error|connection)/i,
    { code: 'REWIND_SOURCE_LOST', mend: 'check that the leader lets the rewind user in; Regent tries again by itself' },
  ],
];

/** `archive`: a restore_command may bring missing WAL at another time. */
export function rewindFailure({ cause, stdout, stderr }: Pick<RunResult, 'cause' | 'stdout' | 'stderr'>, archive: boolean): RewindFailure {
  const lines = `${stdout}\n${stderr}`
    .split(/[\r\n]+/)
    .map(plain)
    .filter((line) => line !== '');
  const last = lines.slice(-3).join('; ') || 'it said nothing';
  if (cause !== 'exit') return { code: 'REWIND_CALLED_OFF', mend: 'Regent tries again by itself', words: last };
  for (const [pattern, failure] of CAUSES) {
    const words = lines.find((line) => pattern.test(line));
    if (words === undefined) continue;
    if (failure.code === 'REWIND_WAL_GONE' && archive)
      return {
        code: 'REWIND_WAL_NOT_RESTORED',
        mend: `look at restore_command and the archive; if the WAL is not there, ${REINIT}`,
        words,
      };
    return { ...failure, words };
  }
  return { code: 'REWIND_FAILED', mend: `if it fails again and again, ${REINIT}`, words: last };
}

/** A server that pg_rewind started says when and which process before what. */
const plain = (line: string) => line.replace(/^\d{4}-\d\d-\d\d [\d:.]+ \S+ (\[\d+\] )?/, '').trim();
